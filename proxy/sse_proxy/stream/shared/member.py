"""One client of a shared stream: its connection, and how it ends.

It is written whole events only, so that every moment is an event boundary. A client that does not take them costs the
others nothing: what waits for it is bounded, and at the bound it is sent away (`Disconnect`), or the oldest of what
waits is dropped and a comment says how much (`DropOldest`). Its end is never clean, but for a drain with `Reconnect`.

One that comes back reads what it missed from the ring, as fast as its connection takes it. Only when it has all of it
is it written what comes next: so nothing is queued for it, and nothing comes twice or out of order.

While it takes everything and nothing else is due, it is among those who are written to directly (`direct.py`): then
nothing of it is touched for an event.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from sse_proxy.client_connection import ClientConnection
from sse_proxy.config import Stream, Timeouts
from sse_proxy.stream.close import CloseReason
from sse_proxy.stream.deadlines import TICK, Deadlines
from sse_proxy.stream.ending import Ending, parting
from sse_proxy.stream.failure import FAILURE_CHUNKS
from sse_proxy.stream.framing import chunk
from sse_proxy.stream.heartbeat import HEARTBEAT_CHUNK
from sse_proxy.stream.observer import Observer
from sse_proxy.stream.shared.catch_up import Beginning
from sse_proxy.stream.shared.hub import Hub
from sse_proxy.stream.shared.ring import Portion

_PARTING_PATIENCE = 60.0
"""Seconds that a client may take nothing of what it is still to get, where the API sets no time."""


_READ_AT_ONCE = 64 * 1024
"""Bytes that are read from the ring before the client's connection is looked at again."""


def _dropped(events: int) -> bytes:
    return chunk(b": %d events were dropped\n" % events)


class Member:
    """Takes a hub's events for one client, from `opened` on."""

    __slots__ = (
        "_deadlines",
        "_descriptor",
        "_direct_since",
        "_dropped",
        "_ended",
        "_ending",
        "_full",
        "_hub",
        "_observer",
        "_of_drain",
        "_opened",
        "_policy",
        "_position",
        "_sent",
        "_stalled_since",
        "_taken",
        "_tells_failure",
        "_timeouts",
        "_waiting",
        "_waiting_size",
        "client",
        "due_tick",
        "finished",
        "reason",
    )

    keep_alive = False

    def __init__(
        self,
        client: ClientConnection,
        hub: Hub[Member],
        timeouts: Timeouts,
        settings: Stream,
        deadlines: Deadlines,
        observer: Observer,
        of_drain: Callable[[float, float], Ending],
        ended: Callable[[Member], None],
    ) -> None:
        """`ended` is called once, when nothing is left to do."""
        self.client = client
        self._hub = hub
        self._timeouts = timeouts
        self._policy = settings.slow_consumer
        self._tells_failure = settings.on_upstream_failure == "Event"
        self._deadlines = deadlines
        self._observer = observer
        self._of_drain = of_drain
        self._ended = ended
        self._ending: Ending | None = None
        self._opened = 0.0
        self._full = False
        """Whether the client's connection takes no more for now."""
        self._waiting: deque[Portion] = deque()
        """What the connection is not given yet: with DropOldest, and of what was caught up."""
        self._waiting_size = 0
        self._position: int | None = None
        """Where in the ring it goes on; None: it has all that there is."""
        self._dropped = 0
        self._stalled_since: float | None = None
        self._taken = 0
        self.due_tick: int | None = None
        self._sent = 0
        """Bytes of the body, but for those since `_direct_since`."""
        self._descriptor: int | None = None
        """Of the client's socket, where it can be written to directly."""
        self._direct_since: int | None = None
        """What `Direct.sent` was when it began to be; None: it is not."""
        self.reason: CloseReason | None = None
        self.finished = False
        """Whether nothing is left to do for this client."""

    def open(self, head: bytes, beginning: Beginning | None = None) -> None:
        """Send the response head, and join: at what comes next, if not elsewhere."""
        self._opened = self._deadlines.now()
        self._descriptor = self.client.descriptor
        self.client.downstream = self
        self.client.head_sent = True
        self.client.send(head)
        self._observer.head_sent(200, stream=True)
        self._hub.join(self)
        self._deadlines.watch(self, self._next_look(self._opened))
        if beginning is not None:
            self._position = beginning.position
            for portion in beginning.before:
                self._wait(portion)
            self._go_on()

    @property
    def bytes_sent(self) -> int:
        """Bytes of the body, without framing."""
        directly = 0 if self._direct_since is None else self._hub.direct.sent - self._direct_since
        return self._sent + directly

    # From the hub.

    def write(self, portion: Portion) -> None:
        """Part of `Taker`."""
        if self._position is not None:
            return  # It is in the ring.
        if not self._sent:
            self._observer.first_byte()
        if self._full:
            self._write_full(portion)
            return
        self._sent += portion.size
        self.client.send(portion.framed)
        self._go_direct()

    def fell_behind(self, data: bytes, taken: int) -> None:
        """Part of `Taker`."""
        self._stand_apart()
        self.client.send(data[taken:])

    def _go_direct(self) -> None:
        descriptor, hub = self._descriptor, self._hub
        if descriptor is None or self._full or self.reason is not None or self.client.unsent:
            return
        if hub.go_direct(self, descriptor):
            self._direct_since = hub.direct.sent

    def _stand_apart(self) -> None:
        if self._direct_since is not None and self._descriptor is not None:
            self._sent, self._direct_since = self.bytes_sent, None
            self._hub.stand_apart(self, self._descriptor)

    def _leave(self) -> None:
        """No event is for it any more, and nothing is written to its descriptor."""
        self._stand_apart()
        self._descriptor = None
        self._hub.leave(self)

    def _send_between(self, data: bytes) -> None:
        """What is no event of the stream."""
        self.client.send(data)
        if self.client.unsent:
            self._stand_apart()

    def _write_full(self, portion: Portion) -> None:
        if self._policy.policy == "Disconnect":
            if self.client.unsent + len(portion.framed) > self._policy.buffer:
                self.end(CloseReason.SLOW_CONSUMER)
                return
            self._sent += portion.size
            self.client.send(portion.framed)
            return
        self._wait(portion)
        while self._waiting_size > self._policy.buffer and len(self._waiting) > 1:
            oldest = self._waiting.popleft()
            self._waiting_size -= len(oldest.framed)
            self._dropped += oldest.events

    def _wait(self, portion: Portion) -> None:
        self._waiting.append(portion)
        self._waiting_size += len(portion.framed)

    def _go_on(self) -> None:
        """Give the connection what waits for it, and then what the ring has, as long as it takes something."""
        while self._waiting and not self._full and self.reason is None:
            portion = self._waiting.popleft()
            self._waiting_size -= len(portion.framed)
            self._send((portion,))
        while self._position is not None and not self._full and self.reason is None:
            self._read(self._position)

    def _read(self, position: int) -> None:
        ring = self._hub.ring
        if ring is None:
            self._position = None
            return
        if position < ring.start:
            if self._policy.policy == "Disconnect":
                self.end(CloseReason.SLOW_CONSUMER)
                return
            self.client.send(_dropped(ring.start - position))
            position = ring.start
        portions = ring.read(position, _READ_AT_ONCE)
        self._position = position + len(portions) if portions else None
        if portions:
            self._send(portions)

    def _send(self, portions: Sequence[Portion]) -> None:
        if not self._sent:
            self._observer.first_byte()
        self._sent += sum([portion.size for portion in portions])
        self.client.send_all([portion.framed for portion in portions])

    def heartbeat(self) -> None:
        """Nothing has come for some time."""
        if self.reason is None and self._position is None and not self.client.unsent:
            self._send_between(HEARTBEAT_CHUNK)
            self._observer.heartbeat()

    # From the client's connection.

    def client_full(self) -> None:
        self._full = True
        if self._timeouts.write is not None and self._stalled_since is None:
            now = self._deadlines.now()
            self._stalled_since, self._taken = now, self._bytes_taken()
            self._deadlines.watch(self, now + self._stall_interval())

    def client_takes(self) -> None:
        self._full = False
        self._stalled_since = None
        if self._dropped and self.reason is None:
            self.client.send(_dropped(self._dropped))
            self._dropped = 0
        self._go_on()

    def abandoned(self) -> None:
        self.client_lost()

    def client_lost(self) -> None:
        if self.reason is None:
            self.reason = CloseReason.CLIENT
        self._finish()

    # Ends that are the gateway's.

    def drain(self, start: float, by: float) -> None:
        """End as the API's onDrain says: its turn comes at the time `start`, and at the time `by` nothing is left."""
        self.end_by(self._of_drain(start, by))

    def end_by(self, ending: Ending) -> None:
        """End it so. What has to end earlier already, does."""
        if self._ending is None or self._ending.by > ending.by:
            self._ending = ending
            self._deadlines.watch(self, self._deadlines.now())

    def end(self, reason: CloseReason) -> None:
        """Break the response off behind what was written."""
        if self.reason is not None:
            return
        self._leave()
        if self._tells_failure and not self._waiting and (told := FAILURE_CHUNKS.get(reason)) is not None:
            self.client.send(told)
        self.reason = reason
        self._waiting.clear()
        if reason is CloseReason.WRITE_TIMEOUT:
            self.client.reset()
            self._finish()
        else:
            self._deadlines.watch(self, self._deadlines.now())

    def look(self, now: float) -> float | None:
        """Part of `Timed`: what is overdue."""
        if self.finished:
            return None
        if self.reason is not None:
            return self._look_concluding(now)
        if self._timeouts.stream is not None and now >= self._opened + self._timeouts.stream:
            self.end(CloseReason.STREAM_TIMEOUT)
        elif self._stalled(now):
            self.end(CloseReason.WRITE_TIMEOUT)
        elif self._ending is not None and now >= self._ending.start:
            if self._ending.reconnect and not self._waiting and self._position is None:
                self._send_between(parting())
            self.end(self._ending.reason)
        else:
            return self._next_look(now)
        return None

    def _look_concluding(self, now: float) -> float | None:
        """What was written goes out first, as long as the client takes of it."""
        if self.client.unsent:
            if self._stalled_since is None:
                self._stalled_since, self._taken = now, self._bytes_taken()
            if not self._stalled(now):
                return now + TICK
            self.client.reset()
        else:
            self.client.shut()
        self._finish()
        return None

    def _next_look(self, now: float) -> float | None:
        times = []
        if self._timeouts.stream is not None:
            times.append(self._opened + self._timeouts.stream)
        if self._stalled_since is not None:
            times.append(now + self._stall_interval())
        if self._ending is not None:
            times.append(self._ending.start)
        return min(times, default=None)

    def _stall_interval(self) -> float:
        return max(TICK, (self._timeouts.write or 1.0) / 20)

    def _bytes_taken(self) -> int:
        return self.bytes_sent - self.client.unsent

    def _stalled(self, now: float) -> bool:
        """Whether the client has taken no byte for `timeouts.write`."""
        patience = self._timeouts.write
        if patience is None and self.reason is not None:
            patience = _PARTING_PATIENCE
        if self._stalled_since is None or patience is None:
            return False
        taken = self._bytes_taken()
        if taken > self._taken:
            self._stalled_since, self._taken = now, taken
        return now >= self._stalled_since + patience

    def _finish(self) -> None:
        self._leave()
        self._deadlines.forget(self)
        if not self.finished:
            self.finished = True
            self._waiting.clear()
            self._ended(self)
