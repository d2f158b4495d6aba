"""What the API server accepts and what the reader accepts is the same: over a corpus, and near the grammars' edges."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apiserver.control_plane import ApiError, ControlPlane
from sse_operator.api.reading import read_sse_api, read_sse_gateway
from unit.api.corpus import Case, api_spec, cases

PLURALS = {"SseApi": "sseapis", "SseGateway": "ssegateways"}

# Reproducible, so that a run of CI tells about the change at hand.
near_the_grammar = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def refusal(control_plane: ControlPlane, document: dict[str, Any]) -> str:
    """What the API server says against the object; nothing where it would take it."""
    path = f"/apis/sse-gateway.dev/v1alpha1/namespaces/default/{PLURALS[document['kind']]}"
    try:
        control_plane.request("POST", path, document, dryRun="All", fieldValidation="Strict")
    except ApiError as error:
        if error.status in (400, 422):  # from the strict decoder; from the schema and its rules
            return error.message
        raise
    return ""


def faults(document: dict[str, Any]) -> list[str]:
    """What the reader says against it."""
    read = read_sse_api if document["kind"] == "SseApi" else read_sse_gateway
    return [str(fault) for fault in read(document).faults]


def test_on_every_case_of_the_corpus(control_plane: ControlPlane) -> None:
    disagreements = []
    for case in cases():
        document = case.document("default")
        by_server, by_model = refusal(control_plane, document), faults(document)
        if (not by_server) is not case.good or (not by_model) is not case.good:
            disagreements.append(f"{case.label}: model {by_model or 'accepts'}, server {by_server or 'accepts'}")
    assert not disagreements, "\n".join(disagreements)


def test_the_server_tells_the_readers_message(control_plane: ControlPlane) -> None:
    document = Case("", "SseApi", api_spec(contextPath="/a//b", endpoints=[]), good=False).document("default")
    said = refusal(control_plane, document)
    assert "must not contain // (an empty segment)" in said
    document = Case("", "SseApi", {"contextPath": "/a"}, good=False).document("default")
    assert "needs exactly one of target and endpoints" in refusal(control_plane, document)


def test_an_object_that_nobody_looked_at_is_not_taken_for_healthy(control_plane: ControlPlane, namespace: str) -> None:
    for kind, spec in (("SseApi", api_spec()), ("SseGateway", {})):
        (created,) = control_plane.apply(Case("", kind, spec, good=True).document(namespace))
        assert created["status"] == {"observedGeneration": -1}
        assert created["spec"] == spec, "the API server writes no default into a spec"


def text_near(*pieces: str) -> st.SearchStrategy[str]:
    """Strings made of pieces that matter to a grammar."""
    return st.lists(st.sampled_from(pieces), max_size=9).map("".join)


context_paths = text_near(
    "/", "a", "B", ".", "..", "-", "%", "%2e", "?", "#", "~", ":", "@", " ", "\n", "é", "\\", "//", "$"
)
durations = text_near("0", "1", "59", "8760", "99999", "h", "m", "s", "ms", "us", "-", ".", " ", "\n", "e", "_")
hostnames = text_near("a", "b1", "A", ".", "*", "*.", "-", "_", ":", "/", "\n", "é", "0", "xn--", " ")
authorities = text_near(
    "a", "A", ".", "-", "_", "1", "255", "256", "0", ":", "@", "[", "]", "::", "[::1]", ":80", "%", "*", "\n"
)
paths = text_near("/", "a", "?", "#", "%", "%20", "@", ":", "[", "]", " ", "é", "'", '"', "=", "&", "\n", "..", "|")
targets = st.builds(
    "{}{}{}".format, st.sampled_from(["http://", "https://", "http:", "HTTP://", ""]), authorities, paths
)
ipv6_targets = text_near(":", "::", "1", "abcd", "12345", "g", ".", "1.2.3.4", "ffff", "%", "0").map(
    "http://[{}]/".format
)


def check(control_plane: ControlPlane, spec: dict[str, Any]) -> None:
    document = Case("", "SseApi", spec, good=True).document("default")
    by_server, by_model = refusal(control_plane, document), faults(document)
    assert (not by_server) is (not by_model), f"{spec}: model {by_model}, server {by_server}"


@near_the_grammar
@given(context_path=context_paths.map("/{}".format) | context_paths)
def test_on_context_paths(control_plane: ControlPlane, context_path: str) -> None:
    check(control_plane, api_spec(contextPath=context_path))


@near_the_grammar
@given(target=targets | ipv6_targets)
def test_on_targets(control_plane: ControlPlane, target: str) -> None:
    check(control_plane, api_spec(target=target))


@near_the_grammar
@given(idle=durations)
def test_on_durations(control_plane: ControlPlane, idle: str) -> None:
    check(control_plane, api_spec(timeouts={"idle": idle}))


@near_the_grammar
@given(hosts=st.lists(hostnames, max_size=3))
def test_on_host_names(control_plane: ControlPlane, hosts: list[str]) -> None:
    check(control_plane, api_spec(hostnames=hosts))


values = (
    st.none() | st.booleans() | st.integers(-3, 70) | st.just(1.0) | st.text(max_size=3) | st.just([]) | st.just({})
)


@near_the_grammar
@given(
    changes=st.dictionaries(
        st.sampled_from(
            [
                "version",
                "gatewayRef",
                "hostnames",
                "contextPath",
                "target",
                "endpoints",
                "timeouts",
                "plan",
                "suspend",
                "x",
            ]
        ),
        values | st.dictionaries(st.sampled_from(["name", "type", "idle", "keepAlive"]), values, max_size=2),
        max_size=3,
    )
)
def test_on_confused_types(control_plane: ControlPlane, changes: dict[str, Any]) -> None:
    check(control_plane, api_spec(**changes))
