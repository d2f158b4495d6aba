"""What proxies warn of, and what of it stands in an SseApi's status.

A status changes only when the truth does. So a warning that stands already keeps its text for as long as any proxy
makes it, whatever figures the others saw; and while a proxy did not answer, what it may have warned of stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sse_operator.api.sse_api import Warned
from sse_operator.compiler.model import ApiResult, Programmed

OBSERVED_REASONS = frozenset(("EndpointUnhealthy", "IdleTimeoutTooShort", "MaxConnectionsReached", "ReplayWithoutIds"))
"""Reasons of warnings that are the proxies' to make."""


def with_observed(result: ApiResult, programmed: Programmed | None) -> ApiResult:
    """The result with the proxies' warnings; `programmed` is what they said, None where they were not asked."""
    if not result.served:
        return result
    observed = tuple(_observed(result, programmed))
    return replace(result, warnings=(*result.warnings, *observed)) if observed else result


def _observed(result: ApiResult, programmed: Programmed | None) -> Iterator[Warned]:
    standing = {each.reason: each for each in result.api.status.warnings if each.reason in OBSERVED_REASONS}
    told: dict[str, list[Warned]] = {}
    silent = True
    if programmed is not None:
        silent = bool(programmed.unreachable) or len(programmed.loaded) < programmed.ready_pods
        for _, warnings in sorted(programmed.warnings.items()):
            for warned in warnings.get(result.api.metadata.key, ()):
                told.setdefault(warned.reason, []).append(warned)
    for reason in sorted(told.keys() | (standing.keys() if silent else set())):
        known, new = standing.get(reason), told.get(reason, [])
        yield known if known is not None and (known in new or not new) else new[0]
