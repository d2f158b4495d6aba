"""What the conditions of an SseApi and of a gateway say: one deciding reason each, and its row of `reasons`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from sse_operator.api.conditions import Verdict
from sse_operator.api.objects import SseGateway
from sse_operator.api.sse_api import Warned
from sse_operator.compiler.model import ApiResult, CompiledGateway, Programmed
from sse_operator.compiler.reasons import SSE_API_REASONS, SSE_GATEWAY_REASONS, Reason
from sse_proxy.config import shard_ids, shard_of


def api_verdicts(result: ApiResult, programmed: Programmed | None, revision: int) -> tuple[Verdict, ...]:
    """The conditions of an SseApi: Accepted, ResolvedRefs, Programmed, Ready, and where they are true Reconciling,
    Stalled and Warning.

    `programmed` is what the gateway's proxies said, None where they have not been asked; `revision` is the one of the
    SseApi's entry (`Revised.revisions`), of no account where it has none."""
    if result.accepted.status != "True":
        reason, message = result.accepted.reason, result.accepted.message
    elif result.resolved_refs.status != "True":
        reason, message = result.resolved_refs.reason, result.resolved_refs.message
    else:
        shard = shard_of(result.api.metadata.namespace, result.api.metadata.name)
        reason, message = _loading(programmed, (shard,), revision)
        if reason == "Ready" and result.entry and result.entry.unavailable:
            reason, message = "Suspended", "Suspended as asked: it answers 503 until spec.suspend is false"
    verdicts = _row_verdicts(SSE_API_REASONS[reason], message, attached=result.accepted.message)
    return (*verdicts, *_warning(result.warnings))


def gateway_verdicts(
    gateway: SseGateway,
    compiled: CompiledGateway,
    programmed: Programmed | None,
    revision: int,
    *,
    apply_failure: str = "",
) -> tuple[Verdict, ...]:
    """The conditions of a gateway that exists: as those of an SseApi. `revision` is that of its newest index;
    `apply_failure` is what the API server said when it refused one of the gateway's objects."""
    if compiled.accepted.status != "True":
        reason, message = compiled.accepted.reason, compiled.accepted.message
    elif apply_failure:
        reason, message = "ApplyFailed", apply_failure
    elif compiled.resolved_refs.status != "True":
        reason, message = compiled.resolved_refs.reason, compiled.resolved_refs.message
    elif gateway.spec and gateway.spec.replicas == 0:
        reason, message = "ScaledToZero", "Scaled to zero as asked: no proxies run until spec.replicas is above 0"
    else:
        reason, message = _loading(programmed, shard_ids(), revision)
    return _row_verdicts(SSE_GATEWAY_REASONS[reason], message)


def _loading(programmed: Programmed | None, shards: Iterable[str], revision: int) -> tuple[str, str]:
    """How far `revision` of the `shards` has come: the deciding reason and its message."""
    if programmed is None:
        return "NotAsked", "The proxies have not been asked yet which config they have"
    if programmed.ready_pods == 0:
        return "NoReadyProxy", "No proxy of the gateway is ready: look at the gateway's pods"
    behind = sorted(
        pod
        for pod, loaded in programmed.loaded.items()
        if any(loaded.get(shard, loaded.get("", 0)) < revision for shard in shards)
    )
    if behind:
        return "Pending", f"Revision {revision} is not loaded yet by {_named(behind)}"
    if programmed.unreachable:
        return "ProxyUnreachable", f"Which config it has was not told by {_named(sorted(programmed.unreachable))}"
    if len(programmed.loaded) < programmed.ready_pods:
        return "NotAsked", "Not all ready proxies have been asked yet which config they have"
    return "Ready", "Every ready proxy has loaded it"


def _named(pods: list[str]) -> str:
    """`pod a`, or `pods a, b, c and 7 more`: bounded, since it goes into every status."""
    told = ", ".join(pods[:3]) + (f" and {len(pods) - 3} more" if len(pods) > 3 else "")
    return f"pod {told}" if len(pods) == 1 else f"pods {told}"


@lru_cache(maxsize=1024)
def _row_verdicts(row: Reason, message: str, *, attached: str = "") -> tuple[Verdict, ...]:
    """The conditions that a row gives. The message is told where it is decided, in Ready, and where kstatus looks for
    it; not in all of them, since five copies in every object are hard to read. `attached` is what Accepted says when
    it is True."""
    decided = ""
    verdicts = []
    for kind, status in (
        ("Accepted", row.accepted),
        ("ResolvedRefs", row.resolved_refs),
        ("Programmed", row.programmed),
    ):
        if status == "True":
            verdicts.append(Verdict(kind, status, kind, attached if kind == "Accepted" else ""))
        else:
            verdicts.append(Verdict(kind, status, row.name, "" if decided else message))
            decided = kind
    verdicts.append(Verdict("Ready", row.ready, row.name, message))
    if row.progress:
        verdicts.append(Verdict(row.progress, "True", row.name, message))
    return tuple(verdicts)


def _warning(warnings: tuple[Warned, ...]) -> tuple[Verdict, ...]:
    """The Warning condition, which sums up `status.warnings`; absent where there are none."""
    if not warnings:
        return ()
    if len(warnings) == 1:
        return (Verdict("Warning", "True", warnings[0].reason, warnings[0].message),)
    return (Verdict("Warning", "True", "SeveralWarnings", "; ".join(warning.message for warning in warnings)),)
