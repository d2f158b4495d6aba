"""`sse-gateway validate`: every fault with file, line, object and field, and what to do about it."""

import json
from pathlib import Path

import pytest
import trustme

from sse_operator.command import main
from unit.local.manifest_files import certificate, sse_api, sse_gateway, write


def validate(capsys: pytest.CaptureFixture[str], *sources: object) -> tuple[int, list[str]]:
    code = main(["validate", "-f", *(str(source) for source in sources)])
    return code, capsys.readouterr().out.splitlines()


def faults_of(capsys: pytest.CaptureFixture[str], folder: Path, *documents: str) -> list[str]:
    """What is told of one file, without its name."""
    file = write(folder / "apis.yaml", *documents)
    code, lines = validate(capsys, file)
    assert code == 1
    return [line.removeprefix(f"{file}:") for line in lines]


def test_one_line_that_counts_where_all_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a.yaml", sse_api("a", "/a"), sse_gateway("prod"))
    write(tmp_path / "b.yml", sse_api("b", "/b", more="gatewayRef: {name: prod}"))
    (tmp_path / "c.json").write_text(json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}}))
    assert validate(capsys, tmp_path) == (0, ["valid: 2 SseApis and 1 SseGateway"])


def test_every_fault_of_a_spec_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = "timeouts:\n  idle: 70\n  connect: 1 hour\ntargt: http://x\nplan: {type: Jwt}"
    assert faults_of(capsys, tmp_path, sse_api("ably", "sse", "ftp://x/", more)) == [
        "6: SseApi/ably: spec.contextPath: must start with /",
        "7: SseApi/ably: spec.target: must be an absolute URL that starts with http:// or https://",
        "9: SseApi/ably: spec.timeouts.idle: must be a string with a unit such as 70s",
        "10: SseApi/ably: spec.timeouts.connect: must be a duration with units such as 70s, 1m30s or 500ms, "
        "at most 8760h; 0s means none",
        "11: SseApi/ably: spec.targt: unknown field 'targt'; did you mean 'target'?",
        "12: SseApi/ably: spec.plan.type: must be Keyless, ApiKey or Basic",
    ]


@pytest.mark.parametrize(
    ("context_path", "told"),
    [
        ('""', "must not be empty"),
        ("sse", "must start with /"),
        ("/a//b", "must not contain //"),
        ("/a/../b", ". or .. segment"),
        ("'/a?b'", "without ? and #"),
        ("'/a#b'", "without ? and #"),
        ("/a b", "no blanks"),
        ("/" + "a" * 3000, "at most 1024 characters"),
    ],
)
def test_bad_context_paths(context_path: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (fault,) = faults_of(capsys, tmp_path, sse_api("ably", context_path))
    assert fault.startswith("6: SseApi/ably: spec.contextPath: ")
    assert told in fault


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("rest.ably.io/sse", "http:// or https://"),
        ("ftp://rest.ably.io/sse", "http:// or https://"),
        ("https://user:secret@rest.ably.io/sse", "Secret"),
        ("'https://rest.ably.io/sse#top'", "fragment"),
    ],
)
def test_bad_targets_without_telling_what_they_hold(
    target: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (fault,) = faults_of(capsys, tmp_path, sse_api("ably", target=target))
    assert fault.startswith("7: SseApi/ably: spec.target: ")
    assert told in fault
    assert "user:secret" not in fault


@pytest.mark.parametrize("idle", ["-5s", "99999h", "70", "70.5s", "'70 s'"])
def test_bad_durations(idle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (fault,) = faults_of(capsys, tmp_path, sse_api("ably", more=f"timeouts: {{idle: {idle}}}"))
    assert fault.startswith("8: SseApi/ably: spec.timeouts.idle: must be a ")
    assert "70s" in fault


def test_both_or_neither_of_target_and_endpoints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = sse_api("both", more="endpoints: [{name: a, target: 'http://a'}]")
    neither = sse_api("neither", "/n").replace("  target: http://127.0.0.1:9/\n", "")
    told = "spec: needs exactly one of target and endpoints"
    assert faults_of(capsys, tmp_path, both, neither) == [f"5: SseApi/both: {told}", f"14: SseApi/neither: {told}"]


def test_a_context_path_twice_names_the_holder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = write(tmp_path / "z-first.yaml", sse_api("zebra"))
    second = write(tmp_path / "a-second.yaml", sse_api("ant"))
    code, lines = validate(capsys, first, second)
    assert code == 1
    assert lines == [
        f"{second}:6: SseApi/ant: spec.contextPath: contextPath /sseconsumer on any host is held by SseApi "
        "default/zebra: choose another contextPath or host name, or it takes over when the holder goes"
    ]


def test_a_context_path_within_one_of_another_namespace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = sse_api("inner", "/sseconsumer/inner", more="gatewayRef: {name: default, namespace: default}")
    other = other.replace("name: inner", "name: inner\n  namespace: team-a")
    gateway = sse_gateway("default", spec="{allowedNamespaces: {from: All}}")
    (fault,) = faults_of(capsys, tmp_path, sse_api("outer"), other, gateway)
    assert fault.startswith("15: SseApi/inner: spec.contextPath: ")
    assert "SseApi default/outer" in fault
    assert "allowNestedContextPaths" in fault


def test_gateways_that_are_not_there_or_do_not_allow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = sse_api("a", "/a", more="gatewayRef: {name: prod}")
    refused = sse_api("b", "/b", more="gatewayRef: {name: shared, namespace: infra}")
    assert faults_of(capsys, tmp_path, missing, refused, sse_gateway("shared", "infra")) == [
        "8: SseApi/a: spec.gatewayRef: SseGateway default/prod does not exist: create it, "
        "or let gatewayRef name another",
        "17: SseApi/b: spec.gatewayRef: SseGateway infra/shared does not let SseApis of namespace default attach: "
        "its allowedNamespaces must, or gatewayRef must name another",
    ]


def test_labels_of_namespaces_among_the_files_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    selector = "{allowedNamespaces: {from: Selector, selector: {matchLabels: {streams: 'yes'}}}}"
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {streams: 'yes'}}\n"
    api = sse_api(more="gatewayRef: {name: shared, namespace: infra}")
    file = write(tmp_path / "a.yaml", api, sse_gateway("shared", "infra", selector), namespace)
    assert validate(capsys, file)[0] == 0


def test_documents_that_cannot_be_made_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    documents = [
        sse_api().replace("v1alpha1", "v1"),
        sse_api().replace("kind: SseApi", "kind: SseAPI"),
        sse_api().replace("apiVersion: sse-gateway.dev/v1alpha1\n", ""),
        "- a\n- b\n",
        sse_api("My_API"),
        sse_api().replace("  name: ably\n", "  labels: {}\n"),
        sse_api("ok").replace("name: ok", "name: ok\n  namespace: Team A"),
    ]
    assert faults_of(capsys, tmp_path, *documents) == [
        "1: SseApi: apiVersion: sse-gateway.dev/v1 is not known: write sse-gateway.dev/v1alpha1",
        "10: kind: SseAPI is not known: write SseApi",
        "17: SseApi: apiVersion: is missing: write sse-gateway.dev/v1alpha1",
        "24: is no Kubernetes manifest but a list: it needs apiVersion and kind",
        "30: SseApi/My_API: metadata.name: must be lower-case letters, digits, - and . (at most 253), such as my-api",
        "37: SseApi: metadata.name: is missing: give the object a name",
        "47: SseApi/ok: metadata.namespace: must be lower-case letters, digits and - (at most 63), such as team-a",
    ]


def test_two_documents_with_the_same_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = write(tmp_path / "a.yaml", sse_api("ably", "/a"))
    second = write(tmp_path / "b.yaml", sse_api("ably", "/b"))
    code, lines = validate(capsys, tmp_path)
    assert code == 1
    assert lines == [
        f"{second}:4: SseApi/ably: metadata.name: is defined already at {first}:1, which counts: rename one"
    ]


def test_no_yaml_does_not_hide_the_other_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a.yaml", "spec: [\n")
    write(tmp_path / "b.yaml", sse_api("ably", "sse"))
    code, lines = validate(capsys, tmp_path)
    assert code == 1
    assert [line.removeprefix(f"{tmp_path}/").split(" ")[0] for line in lines] == ["a.yaml:1:", "b.yaml:6:"]


def test_what_kubectl_get_prints_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = "apiVersion: v1\nkind: List\nitems:\n- " + sse_api("ably", "sse").replace("\n", "\n  ").rstrip(" ")
    assert faults_of(capsys, tmp_path, listed) == ["9: SseApi/ably: spec.contextPath: must start with /"]


def test_a_status_and_what_the_server_owns_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api = sse_api() + "status: {observedGeneration: 3, claim: {gateway: a/b, contextPath: /x, since: '2026'}}\n"
    gone = api.replace("  name: ably\n", "  name: ably\n  deletionTimestamp: 2026-01-01T00:00:00Z\n  uid: u\n")
    assert validate(capsys, write(tmp_path / "a.yaml", gone)) == (0, ["valid: 1 SseApi and 0 SseGateways"])


@pytest.mark.parametrize("source", ["absent.yaml", "absent/"])
def test_what_is_not_there(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate(capsys, tmp_path / source) == (
        1,
        [f"{tmp_path / source}: cannot be read: No such file or directory"],
    )


def test_a_folder_without_manifests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "notes.txt", "hello")
    write(tmp_path / ".hidden.yaml", "a: [")
    assert validate(capsys, tmp_path) == (1, [f"{tmp_path}: no *.yaml, *.yml, *.json in it"])


CREDENTIALS = "upstream:\n  credentials:\n    bearer:\n      secretRef: {name: ably}"


def secret(*, label: str = 'labels: {sse-gateway.dev/use: "true"}', data: str = "stringData: {token: sk-1}") -> str:
    metadata = f"metadata:\n  name: ably\n  {label}" if label else "metadata:\n  name: ably"
    return f"apiVersion: v1\nkind: Secret\n{metadata}\n{data}\n"


def test_a_secret_beside_the_api_that_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "a.yaml", sse_api("a", "/a", more=CREDENTIALS), secret())
    assert validate(capsys, file) == (0, ["valid: 1 SseApi and 0 SseGateways"])


@pytest.mark.parametrize("others", [[], [secret(label="")], [secret(label="namespace: other")]])
def test_a_secret_that_is_not_there_or_not_to_be_used(
    others: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (fault,) = faults_of(capsys, tmp_path, sse_api("a", "/a", more=CREDENTIALS), *others)
    assert fault.startswith(
        "11: SseApi/a: spec.upstream.credentials.bearer.secretRef: Secret default/ably does not exist"
    )
    assert fault.endswith("kubectl label secret -n default ably sse-gateway.dev/use=true")


def test_a_secret_whose_content_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (fault,) = faults_of(capsys, tmp_path, sse_api("a", "/a", more=CREDENTIALS), secret(data="stringData: {}"))
    assert fault == (
        "11: SseApi/a: spec.upstream.credentials.bearer.secretRef: Secret default/ably has no entry token: "
        "add it, or let key name another"
    )
    faults = faults_of(capsys, tmp_path, sse_api("a", "/a", more=CREDENTIALS), secret(data="data: {token: sk-1}"))
    assert "18: Secret/ably: data.token: must be base64: write it plain in stringData instead" in faults
    faults = faults_of(capsys, tmp_path, sse_api("a", "/a", more=CREDENTIALS), secret(data="stringData: {token: 5}"))
    assert "18: Secret/ably: stringData.token: must be a string: put it in quotes" in faults


def test_a_certificate_that_a_gateway_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority = trustme.CA()
    gateway = sse_gateway("default", spec="{tls: {certificateRefs: [{name: events}]}}")
    (fault,) = faults_of(capsys, tmp_path, gateway)
    assert fault.startswith("4: SseGateway/default: spec.tls.certificateRefs[0]: Secret default/events does not exist")
    secret = certificate("events", authority.issue_cert("events.example"))
    assert validate(capsys, write(tmp_path / "apis.yaml", gateway, secret))[0] == 0
