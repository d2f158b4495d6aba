"""A complete look at the cluster every few minutes.

A watch can miss what happens while it is broken, above all deletions. The sweep lists everything, so that whatever
was missed is mended within one interval; and the first sweep is what the workers wait for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address

from sse_operator.cluster.api_server import ApiServer
from sse_operator.cluster.errors import ApiServerError, CrdsMissingError, OperatorError
from sse_operator.cluster.kinds import ENDPOINT_SLICES, SSE_APIS, SSE_GATEWAYS, WATCHED, Kind
from sse_operator.cluster.store import NEVER, Name, Store

logger = logging.getLogger(__name__)

RETRY = 2.0
"""Seconds until a sweep that failed is tried again."""


class Sweeper:
    """Keeps the store complete. `namespaces` are the only ones to look at; none means all."""

    def __init__(self, api: ApiServer, store: Store, namespaces: Sequence[str], clock: Callable[[], float]) -> None:
        self._api = api
        self._store = store
        self._namespaces = namespaces
        self._clock = clock
        self.swept_at: float | None = None
        """When the last complete sweep ended."""
        self._wanted = asyncio.Event()
        self.completed = asyncio.Event()
        """Set once a first sweep is complete."""

    async def run(self, interval: float, swept: Callable[[], None]) -> None:
        """Sweep every `interval` seconds until cancelled, and call `swept` after each. Errors are outlasted."""
        while True:
            try:
                await self.sweep()
            except OperatorError as error:
                logger.warning("sweep: %s", error)
                await asyncio.sleep(RETRY)
                continue
            swept()
            self._wanted.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await self._wanted.wait()

    def want(self) -> None:
        """Have the next sweep come at once."""
        self._wanted.set()

    async def sweep(self) -> None:
        """One look at everything. Raises OperatorError; what was listed until then is kept."""
        for kind in watched_kinds(self._namespaces):
            for namespace in self._namespaces or (None,):
                await self._look_at(kind, namespace)
        self.swept_at = self._clock()
        self.completed.set()

    async def _look_at(self, kind: Kind, namespace: str | None) -> None:
        listed: set[Name] = set()
        as_of = 0
        try:
            async for documents, version in self._api.pages(kind, namespace):
                listed |= self._store.put_listed(kind, documents)
                as_of = version
        except ApiServerError as error:
            if error.not_found and kind in (SSE_APIS, SSE_GATEWAYS):
                raise CrdsMissingError(
                    f"the API server serves no {kind.plural}.{kind.group}: install the CRDs of this release"
                ) from error
            if not (error.kind_missing and kind.comes_with):
                raise
            as_of = NEVER  # nothing of it can be there
        self._store.evict(kind, listed, as_of, namespace)


def watched_kinds(namespaces: Sequence[str]) -> Iterable[Kind]:
    """The kinds to look at: with a list of namespaces none that are cluster-wide."""
    return [kind for kind in WATCHED if kind.namespaced or not namespaces]


async def api_server_addresses(api: ApiServer, service_host: str | None) -> set[str]:
    """The addresses of the API server, as far as they can be told: its Service's, its endpoints', and the one that the
    operator uses. Raises OperatorError."""
    hosts = [host for host in (service_host, api.host) if host]
    path = ENDPOINT_SLICES.path("default") + "?labelSelector=kubernetes.io/service-name%3Dkubernetes"
    for endpoint_slice in (await api.get_path(path))["items"]:
        for endpoint in endpoint_slice.get("endpoints") or ():
            hosts += endpoint.get("addresses") or ()
    return {host for host in hosts if _is_address(host)}


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
