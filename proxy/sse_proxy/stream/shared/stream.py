"""A shared stream's connection with upstream: lost, and found again while somebody listens.

Whatever ends the connection, the clients notice nothing but silence: an event that was not whole is dropped, upstream
is asked again after its own `retry`, or ever later, for what comes after the last event ID. It is given up after
`shared.reconnectFor`, and at once where upstream answers anything else than a stream that may be shared: then the
clients' connections are broken, and their next requests get upstream's own answer.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Protocol

from sse_proxy.config import Stream, Timeouts
from sse_proxy.errors import UpstreamError, UpstreamResponseTimeoutError
from sse_proxy.stream.close import CloseReason
from sse_proxy.stream.deadlines import Deadlines
from sse_proxy.stream.shared.hub import Hub
from sse_proxy.stream.shared.key import shareable
from sse_proxy.stream.shared.member import Member
from sse_proxy.stream.shared.resumption import Resumptions
from sse_proxy.upstream.connection import Receiver
from sse_proxy.upstream.pool import Lease
from sse_proxy.upstream.response import ResponseHead

_log = logging.getLogger(__name__)

FIRST_DELAY = 0.5
"""Seconds until upstream is asked again for the first time, where it named no other."""

STEADY = 10.0
"""Seconds after which a connection counts as found, even if nothing came on it."""

LONGEST_DELAY = 30.0
"""Seconds that the doubled delays reach."""

SHORTEST_DELAY = 0.02
"""Seconds between two attempts, whatever upstream named."""


class Asker(Protocol):
    """Who can ask upstream once more."""

    def __call__(self, receiver: Receiver, last_event_id: bytes) -> Awaitable[Lease]:
        """Connect and send the request, whose response goes to `receiver`. Raises UpstreamError."""


class SharedStream:
    """Receives what upstream says for everybody; see the module's head."""

    def __init__(
        self,
        head: ResponseHead,
        lease: Lease,
        asker: Asker,
        settings: Stream,
        timeouts: Timeouts,
        deadlines: Deadlines,
        closed: Callable[[SharedStream], None],
    ) -> None:
        """`closed` is called once, when nobody can join any more."""
        self.head = head
        """The response head that clients get."""
        self.hub: Hub[Member] = Hub(settings.replay, settings.event_size)
        self.resumptions = (
            Resumptions(self.hub, settings.replay, asker, deadlines.now) if settings.replay is not None else None
        )
        self.closed = False
        self.reconnects = 0
        self._lease: Lease | None = lease
        self._asker = asker
        self._settings = settings
        self._timeouts = timeouts
        self._deadlines = deadlines
        self._told = closed
        self._opened = self._last = deadlines.now()
        self._quiet_since = 0.0
        self._users = 0
        """Clients that are here, or about to be."""
        self._empty_since: float | None = self._opened
        self._lost_at: float | None = None
        """Since when there is no connection that something came on, or that held."""
        self._found_at = self._opened
        """When the connection with upstream began."""
        self._attempts = 0
        self._answer: asyncio.Future[bool] | None = None
        self._reconnecting: asyncio.Task[None] | None = None
        self.due_tick: int | None = None
        lease.connection.hand_over(self)
        deadlines.watch(self, self._next_look())

    def may_join(self, now: float) -> bool:
        """Whether another client may come in: upstream is asked anew for those who come late."""
        oldest = self._settings.shared.max_age
        return not self.closed and (oldest is None or now < self._opened + oldest)

    def joined(self) -> None:
        """A client has come, or will when it is known where it begins."""
        self._users += 1
        if self._empty_since is not None:
            self._empty_since = None
            self._deadlines.watch(self, self._next_look())

    def left(self) -> None:
        """It has gone."""
        self._users -= 1
        if self._users or self.closed:
            return
        if self._lease is None:
            self._close(CloseReason.UPSTREAM_ERROR)
        else:
            self._empty_since = self._deadlines.now()
            self._deadlines.watch(self, self._next_look())

    # From upstream.

    def head_received(self, head: ResponseHead) -> None:
        good = shareable(head)
        if good:
            self._last = self._found_at = self._deadlines.now()
            self._deadlines.watch(self, self._next_look())
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(good)

    def body_received(self, body: bytes, framed: bytes) -> None:
        if self._lost_at is not None:
            self._lost_at, self._attempts = None, 0
        self._last = self._deadlines.now()
        self.hub.feed(body, self._last)
        if self.hub.overfull:
            _log.warning("a shared stream has an event that is too large")
            self._close(CloseReason.EVENT_TOO_LARGE)

    def response_ended(self, failure: str | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(UpstreamError(failure or "no response"))
        elif not self.closed:
            self._lost()

    # The connection that is lost.

    def _lost(self) -> None:
        self._release()
        self.hub.upstream_lost()
        now = self._deadlines.now()
        if self._lost_at is None or (self._answer is None and now >= self._found_at + STEADY):
            self._lost_at, self._attempts = now, 0
        if not self._users:
            self._close(CloseReason.UPSTREAM_ERROR)
        elif self._reconnecting is None:
            self._reconnecting = asyncio.get_running_loop().create_task(self._reconnect())
            self._reconnecting.add_done_callback(self._reconnected)

    async def _reconnect(self) -> None:
        patience = self._settings.shared.reconnect_for
        while self._lost_at is not None and not self.closed:
            delay = self._delay()
            if self._deadlines.now() + delay > self._lost_at + patience:
                self._close(CloseReason.UPSTREAM_ERROR)
                return
            self._attempts += 1
            await asyncio.sleep(delay)
            try:
                good = await self._ask()
            except UpstreamError:
                self._release()
                continue
            if not good:
                self._close(CloseReason.UPSTREAM_ERROR)
            return

    def _delay(self) -> float:
        wanted = FIRST_DELAY if self.hub.retry is None else max(self.hub.retry, SHORTEST_DELAY)
        doubled: float = max(wanted, min(LONGEST_DELAY, wanted * 2**self._attempts))
        return doubled * random.uniform(0.75, 1.25)  # noqa: S311

    async def _ask(self) -> bool:
        """Ask upstream; whether it goes on. Raises UpstreamError."""
        self._answer = asyncio.get_running_loop().create_future()
        try:
            self.reconnects += 1
            self._lease = await self._asker(self, self.hub.last_id)
            async with asyncio.timeout(self._timeouts.response):
                return await self._answer
        except TimeoutError:
            raise UpstreamResponseTimeoutError("no response head in time") from None
        finally:
            self._answer.cancel()
            self._answer = None

    def _reconnected(self, task: asyncio.Task[None]) -> None:
        self._reconnecting = None
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a shared stream could not be resumed", exc_info=error)
            self._close(CloseReason.UPSTREAM_ERROR)
        elif not self.closed and self._lease is None:
            # Lost again before the task had ended.
            self._lost()

    # Time.

    def look(self, now: float) -> float | None:
        """Part of `Timed`: silence, of upstream or of everybody."""
        idle, heartbeat = self._timeouts.idle, self._settings.heartbeat
        if self._empty_since is not None:
            if now >= self._empty_since + self._settings.shared.grace_period:
                self._close(CloseReason.CLIENT)
                return None
        elif heartbeat is not None and now >= max(self._last, self._quiet_since) + heartbeat:
            self._quiet_since = now
            if self.hub.started:
                for member in self.hub.members:
                    member.heartbeat()
        if idle is not None and self._listening and now >= self._last + idle:
            self._lost()
        return None if self.closed else self._next_look()

    def _next_look(self) -> float | None:
        times = []
        if self._timeouts.idle is not None and self._listening:
            times.append(self._last + self._timeouts.idle)
        if self._empty_since is not None:
            times.append(self._empty_since + self._settings.shared.grace_period)
        elif (heartbeat := self._settings.heartbeat) is not None:
            times.append(max(self._last, self._quiet_since) + heartbeat)
        return min(times, default=None)

    @property
    def _listening(self) -> bool:
        """Whether there is a connection that events come on."""
        return self._lease is not None and self._answer is None

    # The end.

    def close(self) -> None:
        """The proxy stops."""
        self._close(CloseReason.DRAIN)

    def _close(self, reason: CloseReason) -> None:
        if self.closed:
            return
        self.closed = True
        self._deadlines.forget(self)
        if self._reconnecting is not None and self._reconnecting is not asyncio.current_task():
            self._reconnecting.cancel()
        self._release()
        if self.resumptions is not None:
            self.resumptions.close()
        self._told(self)
        for member in self.hub.members:
            member.end(reason)

    def _release(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.discard()
