"""How many connections to upstream one API uses now, over all its endpoints and all its configs since it is there."""

from __future__ import annotations

from sse_proxy.errors import MaxConnectionsReachedError
from sse_proxy.metrics import ApiCounts
from sse_proxy.observations import Observations

REASON = "MaxConnectionsReached"

_STANDS = 600.0
"""Seconds for which a refusal is told of."""


class Usage:
    """The connections that one API's exchanges hold. An exchange that goes on after a config change still counts."""

    __slots__ = ("_counts", "_observations")

    def __init__(self, counts: ApiCounts, observations: Observations) -> None:
        self._counts = counts
        self._observations = observations

    def take(self, most: int | None, now: float) -> None:
        """One more. Raises MaxConnectionsReachedError where there are `most` already."""
        if most is not None and self._counts.upstream_connections >= most:
            self._observations.make(
                REASON,
                "A proxy refused requests with 503: as many connections to upstream as "
                f"upstream.maxConnections allows, {most}, "
                "were in use. Over HTTP/1.1 every stream uses one: raise it, or add replicas.",
                now,
                stands=_STANDS,
            )
            raise MaxConnectionsReachedError("as many connections as maxConnections allows are in use")
        self._counts.upstream_connections += 1

    def free(self) -> None:
        """One fewer."""
        self._counts.upstream_connections -= 1
