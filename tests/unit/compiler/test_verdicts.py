"""What conditions say: of every reason, and of what the proxies answered."""

from dataclasses import replace

import pytest

from sse_operator.api.conditions import Verdict
from sse_operator.api.reading import read_sse_api, read_sse_gateway
from sse_operator.api.sse_api import Warned
from sse_operator.compiler.gateway import compile_gateway
from sse_operator.compiler.model import ApiResult, CompiledGateway, Environment, GatewayInputs, Programmed
from sse_operator.compiler.reasons import SSE_API_REASONS, SSE_GATEWAY_REASONS, Reason
from sse_operator.compiler.verdicts import api_verdicts, gateway_verdicts
from sse_proxy.config import shard_of
from unit.compiler.scenario import NOW

GATEWAY = read_sse_gateway({"metadata": {"name": "default", "namespace": "shop"}})
SHARD = shard_of("shop", "a")
REVISION = 5


def compiled(**spec: object) -> CompiledGateway:
    document = {"contextPath": "/a", "target": "http://h", **spec}
    api = read_sse_api({"metadata": {"name": "a", "namespace": "shop"}, "spec": document})
    return compile_gateway(GatewayInputs("shop/default", GATEWAY, [api]), Environment(), NOW)


def result(**spec: object) -> ApiResult:
    return compiled(**spec).results["shop/a"]


def by_type(verdicts: tuple[Verdict, ...]) -> dict[str, Verdict]:
    assert len({each.type for each in verdicts}) == len(verdicts)
    return {each.type: each for each in verdicts}


ANSWERS = [
    (None, "NotAsked", ""),
    (Programmed(0, {}), "NoReadyProxy", ""),
    (Programmed(1, {"p": {"": REVISION}}), "Ready", ""),
    (Programmed(1, {"p": {"": REVISION + 3}}), "Ready", ""),
    (Programmed(1, {"p": {"": REVISION - 1}}), "Pending", "pod p"),
    (Programmed(1, {"p": {}}), "Pending", "pod p"),
    (Programmed(2, {"p": {"": REVISION}, "q": {"": REVISION - 1}}), "Pending", "pod q"),
    (Programmed(1, {}, unreachable=("p",)), "ProxyUnreachable", "pod p"),
    (Programmed(2, {"p": {"": REVISION}}, unreachable=("q",)), "ProxyUnreachable", "pod q"),
    (Programmed(2, {"p": {"": REVISION - 1}}, unreachable=("q",)), "Pending", "pod p"),
    (Programmed(2, {"p": {"": REVISION}}), "NotAsked", ""),
    # The proxy goes on with the last good one of the shards that it cannot load.
    (Programmed(1, {"p": {"": REVISION, SHARD: REVISION - 1}}), "Pending", "pod p"),
    (Programmed(5, {f"p{number}": {} for number in range(5)}), "Pending", "pods p0, p1, p2 and 2 more"),
]


@pytest.mark.parametrize(("programmed", "reason", "told"), ANSWERS)
def test_programmed_is_what_the_proxies_say(programmed: Programmed | None, reason: str, told: str) -> None:
    api = by_type(api_verdicts(result(), programmed, REVISION))
    gateway = by_type(gateway_verdicts(GATEWAY, compiled(), programmed, REVISION))
    for verdicts in (api, gateway):
        assert verdicts["Ready"].reason == reason
        assert told in verdicts["Ready"].message


def test_another_shard_that_is_behind_does_not_concern_an_api() -> None:
    programmed = Programmed(1, {"p": {"": REVISION - 1, SHARD: REVISION}})
    assert by_type(api_verdicts(result(), programmed, REVISION))["Ready"].status == "True"
    assert by_type(gateway_verdicts(GATEWAY, compiled(), programmed, REVISION))["Ready"].reason == "Pending"


def test_a_suspended_api_is_ready_once_its_503_is_loaded() -> None:
    suspended = result(suspend=True)
    assert by_type(api_verdicts(suspended, Programmed(1, {"p": {"": 4}}), REVISION))["Ready"].reason == "Pending"
    ready = by_type(api_verdicts(suspended, Programmed(1, {"p": {"": REVISION}}), REVISION))["Ready"]
    assert (ready.status, ready.reason) == ("True", "Suspended")


def check_row(verdicts: dict[str, Verdict], row: Reason) -> None:
    statuses = {kind: each.status for kind, each in verdicts.items()}
    assert statuses == {
        "Accepted": row.accepted,
        "ResolvedRefs": row.resolved_refs,
        "Programmed": row.programmed,
        "Ready": row.ready,
        **({row.progress: "True"} if row.progress else {}),
    }
    assert verdicts["Ready"].reason == row.name
    assert verdicts["Ready"].message
    for kind, each in verdicts.items():
        assert each.reason == (
            kind if each.status == "True" and kind in ("Accepted", "ResolvedRefs", "Programmed") else row.name
        )


@pytest.mark.parametrize("row", list(SSE_API_REASONS.values()), ids=lambda row: row.name)
def test_every_reason_of_an_api_is_given_as_the_table_says(row: Reason) -> None:
    programmed = next((each for each, reason, _ in ANSWERS if reason == row.name), Programmed(1, {"p": {"": 9}}))
    judged = result(suspend=row.name == "Suspended")
    if row.accepted != "True":
        judged = replace(judged, accepted=Verdict("Accepted", row.accepted, row.name, "why"))
    elif row.resolved_refs != "True":
        judged = replace(judged, resolved_refs=Verdict("ResolvedRefs", row.resolved_refs, row.name, "why"))
    check_row(by_type(api_verdicts(judged, programmed, REVISION)), row)


@pytest.mark.parametrize("row", list(SSE_GATEWAY_REASONS.values()), ids=lambda row: row.name)
def test_every_reason_of_a_gateway_is_given_as_the_table_says(row: Reason) -> None:
    programmed = next((each for each, reason, _ in ANSWERS if reason == row.name), Programmed(1, {"p": {"": 9}}))
    judged, gateway = compiled(), GATEWAY
    if row.accepted != "True":
        judged = replace(judged, accepted=Verdict("Accepted", row.accepted, row.name, "why"))
    elif row.resolved_refs != "True":
        judged = replace(judged, resolved_refs=Verdict("ResolvedRefs", row.resolved_refs, row.name, "why"))
    if row.name == "ScaledToZero":
        gateway = read_sse_gateway({"metadata": {"name": "default", "namespace": "shop"}, "spec": {"replicas": 0}})
    failure = "quota exceeded" if row.name == "ApplyFailed" else ""
    check_row(by_type(gateway_verdicts(gateway, judged, programmed, REVISION, apply_failure=failure)), row)


@pytest.mark.parametrize("row", [*SSE_API_REASONS.values(), *SSE_GATEWAY_REASONS.values()], ids=lambda row: row.name)
def test_kstatus_never_takes_for_current_what_is_not_ready(row: Reason) -> None:
    """Neither does it wait for what is as asked: Ready is True exactly where nothing is left to do."""
    assert (row.ready == "True") is (row.progress is None)
    assert row.ready != "True" or row.accepted == row.resolved_refs == "True"


def test_warnings_are_summed_up() -> None:
    programmed = Programmed(1, {"p": {"": REVISION}})
    one, two = Warned(reason="A", message="a hurts"), Warned(reason="B", message="b hurts")
    assert "Warning" not in by_type(api_verdicts(result(), programmed, REVISION))
    warned = by_type(api_verdicts(replace(result(), warnings=(one,)), programmed, REVISION))
    assert warned["Warning"] == Verdict("Warning", "True", "A", "a hurts")
    assert warned["Ready"].status == "True"
    warned = by_type(api_verdicts(replace(result(), warnings=(one, two)), programmed, REVISION))
    assert warned["Warning"] == Verdict("Warning", "True", "SeveralWarnings", "a hurts; b hurts")
