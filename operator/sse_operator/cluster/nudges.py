"""Nudges a gateway's pods to a new config: not more often than once a second, and again where one did not help."""

from __future__ import annotations

from collections.abc import Callable, Collection

from sse_operator.cluster.api_server import settle
from sse_operator.cluster.proxies import Proxies
from sse_operator.cluster.store import Store

NUDGE_INTERVAL = 1.0
"""Seconds between two nudges of a gateway's pods."""

NUDGE_AGAIN = 10.0
"""Seconds until a pod that has not loaded what it was nudged to is nudged again."""


class Nudges:
    """Of all gateways. `clock` is a monotonic one; where not `wanted`, nobody is nudged."""

    def __init__(self, proxies: Proxies, store: Store, clock: Callable[[], float], *, wanted: bool) -> None:
        self._proxies = proxies
        self._store = store
        self._clock = clock
        self._wanted = wanted
        self._nudged: dict[str, float] = {}

    async def nudge(self, gateway: str, names: Collection[str] | None, revision: int) -> float | None:
        """Nudge these pods of the gateway, None means all, to the revision, as far as they need it. Seconds until it
        may be done where it is too early; None where nothing is left to do. Raises ApiServerError."""
        if not self._wanted:
            return None
        elapsed = self._clock() - self._nudged.get(gateway, float("-inf"))
        nudges = [
            (pod, to)
            for pod in self._store.pods.of_gateway(gateway)
            if (names is None or pod.name in names) and not pod.leaving
            if (to := pod.next_nudge(revision, again=elapsed >= NUDGE_AGAIN))
        ]
        if not nudges:
            return None
        if elapsed < NUDGE_INTERVAL:
            return NUDGE_INTERVAL - elapsed
        self._nudged[gateway] = self._clock()
        await settle(*(self._proxies.nudge(pod, to) for pod, to in nudges))
        return None

    def forget(self, gateway: str) -> None:
        """The gateway is gone."""
        self._nudged.pop(gateway, None)
