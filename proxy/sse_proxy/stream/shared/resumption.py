"""Clients that come back: where each begins, by the ring or by asking upstream for what it missed.

Upstream is asked once for each id, however many clients come with it, for at most `LONGEST` seconds, and for at most
`AT_ONCE` ids at a time: when a proxy is new, everybody comes at once with an id that it does not have. What it answered
is kept, beside the ring and within the same bytes, for as long as the ring goes on where it ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from sse_proxy.config import Replay
from sse_proxy.errors import UpstreamError
from sse_proxy.stream.framing import chunk
from sse_proxy.stream.shared.catch_up import Beginning, CatchUp, Found
from sse_proxy.stream.shared.hub import Hub
from sse_proxy.stream.shared.key import shareable
from sse_proxy.stream.shared.ring import Portion, Ring
from sse_proxy.upstream.connection import Receiver
from sse_proxy.upstream.pool import Lease
from sse_proxy.upstream.response import ResponseHead

_log = logging.getLogger(__name__)

LONGEST = 5.0
"""Seconds that a client waits for what it missed, and for its response head."""

SILENCE = 1.0
"""Seconds without an event after which upstream has sent what it keeps."""

FIRST_DELAY = 0.1
"""Seconds until upstream is asked again where the connection is lost, doubled each time."""

AT_ONCE = 16
"""Ids of one shared stream that upstream is asked for at a time."""

_RESYNC = b"event: resync\ndata: {}\n\n"

RESYNC = Portion(chunk(_RESYNC), len(_RESYNC), 1)
"""Tells a client to fetch its state anew."""

Ask = Callable[[Receiver, bytes], Awaitable[Lease]]


def on_miss(replay: Replay, ring: Ring) -> Beginning:
    """Where a client begins whose missed events cannot be told."""
    position = ring.start if replay.on_miss == "All" else ring.end
    return Beginning(Found.MISS, position, (RESYNC,) if replay.on_miss == "Resync" else ())


class Resumptions:
    """Those of one shared stream."""

    def __init__(self, hub: Hub[Any], replay: Replay, ask: Ask, now: Callable[[], float]) -> None:
        """`ask` has upstream answer, to a receiver, for what comes after an id."""
        self._hub = hub
        self._replay = replay
        self._ask = ask
        self._now = now
        self._known: dict[bytes, Beginning] = {}
        """What upstream was asked for last, by id, oldest first."""
        self._known_size = 0
        self._searches: dict[bytes, asyncio.Task[Beginning]] = {}
        self._free = asyncio.Semaphore(AT_ONCE)

    async def beginning(self, ring: Ring, last_event_id: bytes) -> Beginning:
        """Where a client begins that had this id last."""
        ring.forget(self._now())
        if (position := ring.after(last_event_id)) is not None:
            return Beginning(Found.HIT, position)
        known = self._known.get(last_event_id)
        if known is not None and known.position >= ring.start:
            return known
        nothing_to_compare = len(ring) > 0 and not self._hub.last_id
        if self._replay.ids == "Generate" or nothing_to_compare:
            return on_miss(self._replay, ring)
        search = self._searches.get(last_event_id)
        if search is None:
            search = asyncio.get_running_loop().create_task(self._search(ring, last_event_id))
            self._searches[last_event_id] = search
            search.add_done_callback(lambda task: self._searched(last_event_id, task))
        await asyncio.wait((search,))
        if search.cancelled() or search.exception() is not None or search.result().found is Found.MISS:
            return on_miss(self._replay, ring)
        return search.result()

    def _remember(self, last_event_id: bytes, beginning: Beginning) -> None:
        self._known[last_event_id] = beginning
        self._known_size += beginning.size
        while self._known_size > self._replay.bytes:
            oldest = next(iter(self._known))
            self._known_size -= self._known.pop(oldest).size

    def close(self) -> None:
        """Nobody waits any more."""
        for search in self._searches.values():
            search.cancel()

    async def _search(self, ring: Ring, last_event_id: bytes) -> Beginning:
        search = _Search(CatchUp(ring, last_event_id, self._replay, self._hub.largest_event), self._hub)
        self._hub.watchers.add(search)
        try:
            async with asyncio.timeout(LONGEST), self._free:
                if (position := ring.after(last_event_id)) is not None:
                    return Beginning(Found.HIT, position)
                await search.run(self._ask, last_event_id)
        except TimeoutError:
            search.catch_up.fail()
        finally:
            self._hub.watchers.discard(search)
        return search.catch_up.result or on_miss(self._replay, ring)

    def _searched(self, last_event_id: bytes, task: asyncio.Task[Beginning]) -> None:
        del self._searches[last_event_id]
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            _log.error("what a client missed could not be asked for", exc_info=error)
        elif task.result().found is Found.CAUGHT_UP:
            self._remember(last_event_id, task.result())


class _Search:
    """One id's private connection, asked for again where it is lost."""

    def __init__(self, catch_up: CatchUp, hub: Hub[Any]) -> None:
        self.catch_up = catch_up
        self._hub = hub
        self._changed = asyncio.Event()
        self._ended = self._lost = False

    async def run(self, ask: Ask, last_event_id: bytes) -> None:
        """Until there is a result."""
        delay = FIRST_DELAY
        while self.catch_up.result is None:
            self._ended = self._lost = False
            try:
                lease = await ask(self, last_event_id)
            except UpstreamError:
                self._lost = True
            else:
                try:
                    await self._follow()
                finally:
                    lease.discard()
            if self.catch_up.result is None:
                self.catch_up.begin_anew()
                await self._change(delay)
                delay *= 2

    async def _follow(self) -> None:
        """Until there is a result, or the connection is lost."""
        while self.catch_up.result is None and not self._lost:
            if self._ended or not await self._change(SILENCE):
                if not self._hub.last_id:
                    self.catch_up.nothing_more()
                    if self.catch_up.result is not None:
                        self._hub.stand_behind(self.catch_up.last_id)
                        return
                await self._change(None)

    async def _change(self, within: float | None) -> bool:
        """Whether something has come in so many seconds."""
        self._changed.clear()
        try:
            async with asyncio.timeout(within):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def head_received(self, head: ResponseHead) -> None:
        if not shareable(head):
            self.catch_up.fail()
            self._changed.set()

    def body_received(self, body: bytes, framed: bytes) -> None:
        self.catch_up.missed(body)
        self._changed.set()

    def response_ended(self, failure: str | None) -> None:
        self._ended = True
        self._lost = failure is not None
        self._changed.set()

    def appeared(self, id_: bytes) -> None:
        self.catch_up.appeared(id_)
        if self.catch_up.result is not None:
            self._changed.set()
