"""kopf: watches, login and signals. Its handlers only update the store and enqueue.

Why no more of kopf than `on.event`: its other handlers put finalizers or annotations on every object, and its own
memory keeps objects that were deleted while a watch was broken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import kopf
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory

from sse_operator.cluster.api_server import PAGE, ApiServer
from sse_operator.cluster.kinds import Kind
from sse_operator.cluster.store import Store
from sse_operator.cluster.sweep import watched_kinds

LIST_TIMEOUT = 30.0
"""Seconds for one page of the list that comes before a watch."""

EVENT_WORKERS = 100
"""Objects of one kind whose events kopf handles at the same time. Without a limit it starts a task for each object of
the first list; ten thousand of them leave the lease no chance to be renewed in time."""

EVENT_WORKER_IDLE = 0.05
"""Seconds for which an object without further events keeps its place among those."""


class NoDiffs(kopf.DiffBaseStorage):
    """kopf compares each object with what its handlers saw last, also where no handler asks for that: a deep copy of
    each object, half of the time that an event takes."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        """Nothing of the object."""
        return kopf.BodyEssence({})

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """Nothing was stored."""
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Store nothing."""


class NoMemories(ResourceMemories):
    """kopf keeps a record of each object, more than a kilobyte, for handlers of kinds that are not used here."""

    async def recall(
        self,
        raw_body: kopf.RawBody,
        *,
        memobase: Any = None,
        noticed_by_listing: bool = False,
        ephemeral: bool = False,
    ) -> ResourceMemory:
        """A record for one event."""
        return await super().recall(raw_body, memobase=memobase, noticed_by_listing=noticed_by_listing, ephemeral=True)


async def watch(
    api: ApiServer,
    store: Store,
    *,
    namespaces: Sequence[str],
    enqueue: Callable[[Kind, str], None],
    inactivity_timeout: float,
    stopping: Callable[[], object],
) -> None:
    """Watch until SIGTERM, SIGINT or cancellation. `enqueue` gets the kind of each event's object, and the key of each
    gateway that it concerns; `inactivity_timeout` is for how many seconds a watch may bring nothing, bookmarks
    included, before it is taken for dead; `stopping` is called once watching has ended, and has to end every other
    task: kopf waits for those that were started after it."""
    registry = kopf.OperatorRegistry()
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.inactivity_timeout = inactivity_timeout
    settings.networking.request_timeout = LIST_TIMEOUT
    settings.watching.chunk_size = PAGE
    settings.queueing.exit_timeout = 0.5
    settings.queueing.worker_limit = EVENT_WORKERS
    settings.queueing.idle_timeout = EVENT_WORKER_IDLE
    settings.persistence.diffbase_storage = NoDiffs()
    for kind in watched_kinds(namespaces):
        _register(kind, registry, settings, store, enqueue)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return await api.login()

    @kopf.on.cleanup(registry=registry)
    async def cleanup(**_: Any) -> None:
        stopping()

    await kopf.operator(
        registry=registry,
        settings=settings,
        memories=NoMemories(),
        standalone=True,
        # Nobody peers. Kopf would make an identity of the user's name, which a bare user id of a container has not.
        identity="",  # type: ignore[arg-type]
        clusterwide=not namespaces,
        namespaces=list(namespaces),
    )


def _register(
    kind: Kind,
    registry: kopf.OperatorRegistry,
    settings: kopf.OperatorSettings,
    store: Store,
    enqueue: Callable[[Kind, str], None],
) -> None:
    if kind.selector:
        settings.watching.label_selectors[kind.group, kind.version, kind.plural] = kind.selector

    @kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=kind.plural)
    async def took_place(event: Any, **_: Any) -> None:
        gone = event["type"] == "DELETED"
        for key in (store.delete if gone else store.put)(kind, event["object"]):
            enqueue(kind, key)
        await asyncio.sleep(0)
