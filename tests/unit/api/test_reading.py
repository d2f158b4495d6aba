"""From documents to objects: faults that say how to mend them, and nothing that raises."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_operator.api.reading import read_sse_api, read_sse_gateway
from sse_operator.api.sse_api import SseApiStatus
from unit.api.corpus import GONE, Case, api_spec, cases


def sse_api(spec: Any, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a", "namespace": "n"}, "spec": spec, **more}


def faults(document: dict[str, Any]) -> list[str]:
    return [str(fault) for fault in read_sse_api(document).faults]


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.label)
def test_the_corpus(case: Case) -> None:
    read = read_sse_api if case.kind == "SseApi" else read_sse_gateway
    found = read(case.document("n"))
    assert (not found.faults) is case.good, found.faults
    assert (found.spec is not None) is case.good
    for fault in found.faults:
        assert fault.message
        assert "\n" not in str(fault)
        assert len(str(fault)) < 300


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (api_spec(contextPath=""), "spec.contextPath: must not be empty"),
        (api_spec(contextPath=GONE), "spec.contextPath: is required"),
        (api_spec(contextPath="a"), "spec.contextPath: must start with /"),
        (api_spec(contextPath="/a//b"), "spec.contextPath: must not contain // (an empty segment)"),
        (api_spec(contextPath="/a/../b"), "spec.contextPath: must not have a . or .. segment"),
        (
            api_spec(contextPath="/a?b=c"),
            "spec.contextPath: is a path only, without ? and #: query parameters belong into the target",
        ),
        (
            api_spec(contextPath="/a b"),
            "spec.contextPath: may hold letters, digits and -._~!$&'()*+,;=:@/ only: no blanks, no percent-encoding",
        ),
        (api_spec(contextPath="/" + "a" * 2999), "spec.contextPath: must have at most 1024 characters"),
        (
            api_spec(target="rest.ably.io/sse"),
            "spec.target: must be an absolute URL that starts with http:// or https://",
        ),
        (api_spec(target="ftp://h"), "spec.target: must be an absolute URL that starts with http:// or https://"),
        (
            api_spec(target="https://key:secret@h/"),
            "spec.target: must not carry credentials: keep them in a Secret that upstream.credentials names",
        ),
        (api_spec(target="http://h/#f"), "spec.target: must not have a fragment (#…): it never reaches a server"),
        (api_spec(target="http://h:0"), "spec.target: must have a port from 1 to 65535"),
        (
            api_spec(target="http://h/a b"),
            "spec.target: must be percent-encoded: no blanks, and only characters that a URL may hold",
        ),
        (api_spec(endpoints=[{"name": "a", "target": "http://h"}]), "spec: needs exactly one of target and endpoints"),
        (api_spec(target=GONE), "spec: needs exactly one of target and endpoints"),
        (api_spec(timeouts={"idle": 70}), "spec.timeouts.idle: must be a string with a unit such as 70s"),
        (api_spec(timeouts={"idle": 0.5}), "spec.timeouts.idle: must be a string with a unit such as 0.5s"),
        (
            api_spec(timeouts={"idle": "-5s"}),
            "spec.timeouts.idle: must be a duration with units such as 70s, 1m30s or 500ms, at most 8760h; 0s",
        ),
        (
            api_spec(timeouts={"idle": "99999h"}),
            "spec.timeouts.idle: must be a duration with units such as 70s, 1m30s or 500ms, at most 8760h; 0s",
        ),
        (api_spec(timeouts=["idle"]), "spec.timeouts: must be an object with fields, not a single value or a list"),
        (api_spec(timeout="70s"), "spec.timeout: unknown field 'timeout'; did you mean 'timeouts'?"),
        (api_spec(timeouts={"idel": "70s"}), "spec.timeouts.idel: unknown field 'idel'; did you mean 'idle'?"),
        (api_spec(contextpath="/a"), "spec.contextpath: unknown field 'contextpath'; did you mean 'contextPath'?"),
        (
            api_spec(gatewayRef={"zzz": 1}),
            "spec.gatewayRef.zzz: unknown field 'zzz'; known here: name, namespace",
        ),
        (
            api_spec(target=GONE, endpoints=[{"name": "a", "target": "http://h", "wieght": 1}]),
            "spec.endpoints[0].wieght: unknown field 'wieght'; did you mean 'weight'?",
        ),
        (api_spec(version=1.0), 'spec.version: must be a string, not a number: put it in quotes, "1.0"'),
        (api_spec(version=True), "spec.version: must be a string, not true or false: put it in quotes"),
        (
            api_spec(version=datetime(2026, 1, 1, tzinfo=UTC)),
            "spec.version: must be a string, not a date: put it in quotes",
        ),
        (api_spec(contextPath=["/a"]), "spec.contextPath: must be a string, not a list"),
        (api_spec(suspend="yes"), "spec.suspend: must be true or false, not a string"),
        (api_spec(plan={"type": "Jwt"}), "spec.plan.type: must be Keyless, ApiKey or Basic"),
        (api_spec(plan={"type": "ApiKey"}), "spec.plan: apiKey goes with type: ApiKey"),
        (api_spec(hostnames="a"), "spec.hostnames: must be a list, not a string"),
        (api_spec(hostnames=["a", "a"]), "spec.hostnames: must not have the host name 'a' twice"),
        (
            api_spec(target=GONE, endpoints=[{"name": "a", "target": "http://h", "weight": -1}]),
            "spec.endpoints[0].weight: must be 0 or more",
        ),
        (
            api_spec(target=GONE, endpoints=[{"name": "a", "target": "http://h", "weight": 1.5}]),
            "spec.endpoints[0].weight: must be a whole number, not a fraction",
        ),
        (
            api_spec(target=GONE, endpoints=[{"name": "a", "target": "http://h", "weight": 0}]),
            "spec.endpoints: must have an endpoint that is not secondary and whose weight is not 0",
        ),
        (
            api_spec(target=GONE, endpoints=[{"name": "a", "target": "http://h"}] * 2),
            "spec.endpoints: must not have two endpoints of the name 'a'",
        ),
        (api_spec(target=GONE, endpoints=[]), "spec.endpoints: must have at least one item"),
        (api_spec(**{"1": 2}), "spec.1: unknown field '1'; known here: "),
        ({1: 2}, "spec[1]: must have a string as its name: put it in quotes"),
        (None, "spec: is required"),
        ([], "spec: must be an object with fields, not a single value or a list"),
    ],
)
def test_a_fault_says_where_and_how_to_mend_it(spec: Any, told: str) -> None:
    assert any(fault.startswith(told) for fault in faults(sse_api(spec))), faults(sse_api(spec))


def test_every_fault_is_told_at_once() -> None:
    assert len(faults(sse_api({"contextPath": "a", "target": "b", "timeouts": {"idle": 1}, "x": 1}))) == 4


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        (None, "metadata.name: is required"),
        ({}, "metadata.name: is required"),
        ([], "metadata: must be an object with fields, not a single value or a list"),
        ({"name": "A_b"}, "metadata.name: must be a Kubernetes name: "),
        ({"name": 5}, 'metadata.name: must be a string, not a number: put it in quotes, "5"'),
        ({"name": "a", "namespace": "a.b"}, "metadata.namespace: must be a name of lower-case letters"),
        ({"name": "a", "labels": {"a": 1}}, "metadata.labels.a: must be a string, not a number"),
    ],
)
def test_metadata_has_faults_too(metadata: Any, told: str) -> None:
    api = read_sse_api({"metadata": metadata, "spec": api_spec()})
    assert [str(fault)[: len(told)] for fault in api.faults] == [told]
    assert api.spec is None
    assert api.context_path == "/sseconsumer"


def test_an_unknown_field_beside_the_spec() -> None:
    assert faults({**sse_api(api_spec()), "sepc": {}}) == ["sepc: unknown field 'sepc'; did you mean 'spec'?"]


def test_a_document_without_namespace_is_in_default_as_for_kubectl() -> None:
    assert read_sse_api({"metadata": {"name": "a"}, "spec": api_spec()}).metadata.key == "default/a"


def test_times_are_aware() -> None:
    for created in ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00", datetime(2026, 1, 1)):
        document = {"metadata": {"name": "a", "creationTimestamp": created}, "spec": api_spec()}
        assert read_sse_api(document).metadata.creation_timestamp == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_gateway_needs_no_spec() -> None:
    assert read_sse_gateway({"metadata": {"name": "a"}}).spec is not None
    assert read_sse_gateway({"metadata": {"name": "a"}, "spec": {"replicas": "1"}}).spec is None


class TestRoutesOfAFaultyObject:
    def read(self, **changes: Any) -> Any:
        return read_sse_api(sse_api(api_spec(**{"unknown": 1, **changes})))

    def test_what_is_valid_is_kept(self) -> None:
        api = self.read(contextPath="/a/", hostnames=["a", "B", "a", 1], gatewayRef={"name": "edge"})
        assert (api.context_path, api.hostnames, api.gateway_ref) == ("/a", ("a",), (None, "edge"))

    def test_a_faulty_path_is_none(self) -> None:
        assert self.read(contextPath="/a/..").context_path is None

    @pytest.mark.parametrize("hostnames", [["B"], "a", {}, [None]])
    def test_no_valid_host_name_never_means_any_host(self, hostnames: Any) -> None:
        assert self.read(hostnames=hostnames).context_path is None

    @pytest.mark.parametrize("hostnames", [None, []])
    def test_no_host_name_means_any_host(self, hostnames: Any) -> None:
        assert self.read(hostnames=hostnames).context_path == "/sseconsumer"

    @pytest.mark.parametrize("reference", ["edge", {"name": "A"}, {"nme": "edge"}, None])
    def test_a_faulty_reference_is_none(self, reference: Any) -> None:
        assert self.read(gatewayRef=reference).gateway_ref is None


class TestStatus:
    CLAIM = {"gateway": "n/g", "contextPath": "/a", "since": "2026-01-01T00:00:00Z"}

    def read(self, status: Any) -> SseApiStatus:
        api = read_sse_api(sse_api(api_spec(), status=status))
        assert api.spec is not None, "a status never makes an object faulty"
        return api.status

    @pytest.mark.parametrize("status", [None, {}, [], "x", {"observedGeneration": "x"}, {"urls": 1, "conditions": {}}])
    def test_nonsense_is_an_empty_status(self, status: Any) -> None:
        assert self.read(status) == SseApiStatus()

    def test_unknown_fields_are_passed_over(self) -> None:
        status = self.read({"observedGeneration": 3, "new": 1, "claim": {**self.CLAIM, "new": 1}})
        assert status.observed_generation == 3
        assert status.claim is not None
        assert status.claim.context_path == "/a"

    def test_what_does_not_parse_is_dropped_alone(self) -> None:
        good = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "Ready"}
        status = self.read({"conditions": [good, {"type": 1}, "x"], "claim": self.CLAIM, "urls": 5})
        assert [each.type for each in status.conditions] == ["Ready"]
        assert status.claim is not None
        assert status.urls == []

    @pytest.mark.parametrize("change", [{"since": "yesterday"}, {"contextPath": None}, {"hostnames": "a"}])
    def test_a_claim_that_says_nothing_is_dropped(self, change: dict[str, Any]) -> None:
        assert self.read({"claim": {**self.CLAIM, **change}}).claim is None


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(datetime.max)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=6,
)
fields = ["contextPath", "target", "endpoints", "hostnames", "timeouts", "gatewayRef", "plan", "replicas", "defaults"]
near_objects = st.fixed_dictionaries(
    {},
    optional={
        "metadata": anything
        | st.dictionaries(st.sampled_from(["name", "namespace", "labels", "generation"]), anything),
        "spec": anything | st.dictionaries(st.sampled_from(fields), anything),
        "status": anything | st.dictionaries(st.sampled_from(["conditions", "claim", "urls", "warnings"]), anything),
        "extra": anything,
    },
)


@given(document=near_objects | st.dictionaries(st.text(max_size=3) | st.integers(), anything, max_size=3))
def test_nothing_raises(document: Any) -> None:
    for found in (read_sse_api(document), read_sse_gateway(document)):
        assert (found.spec is None) is bool(found.faults)
        for fault in found.faults:
            assert "\n" not in fault.message
