"""Events that are kept for nobody: upstream gives no ids, so that no client can say what it had last."""

from __future__ import annotations

from sse_proxy.observations import Observations

REASON = "ReplayWithoutIds"

ENOUGH = 20
"""Events that tell whether upstream gives ids."""

_STANDS = 3600.0
"""Seconds for which it is told of."""


def observe(observations: Observations, now: float) -> None:
    """Warn of it."""
    observations.make(
        REASON,
        f"{ENOUGH} events of a shared stream and more had no id: stream.replay keeps them for nobody, and clients that "
        "come back begin at what comes next. Have the endpoint give ids, set stream.replay.ids to Generate, or take "
        "stream.replay away.",
        now,
        stands=_STANDS,
    )
