"""What the clients of one shared stream are written. Sans-I/O.

Everybody gets whole events only, in upstream's order, from the moment when they joined. The bytes of what one read of
upstream completes are made once, and are the same object for every client. Most are written them directly
(`direct.py`), the others each as it says itself.
"""

from __future__ import annotations

import secrets
from typing import Generic, Protocol, TypeVar

from sse_proxy.config import Replay
from sse_proxy.stream.framing import chunk
from sse_proxy.stream.shared.direct import Behind, Direct
from sse_proxy.stream.shared.events import Event, EventSplitter
from sse_proxy.stream.shared.ring import Portion, Ring, as_sent_back
from sse_proxy.stream.shared.without_ids import ENOUGH


class Taker(Behind, Protocol):
    """A client."""

    def write(self, portion: Portion) -> None: ...


class Watcher(Protocol):
    """Who wants to hear of ids."""

    def appeared(self, id_: bytes) -> None:
        """The ring has a new event with this id."""


T = TypeVar("T", bound=Taker)


class Hub(Generic[T]):
    """Who listens, and what was said."""

    __slots__ = (
        "_apart",
        "_epoch",
        "_everybody",
        "_members",
        "_numbered",
        "_splitter",
        "direct",
        "largest_event",
        "ring",
        "started",
        "watchers",
    )

    def __init__(self, replay: Replay | None = None, largest_event: int | None = None) -> None:
        self._members: set[T] = set()
        self._everybody: tuple[T, ...] | None = ()
        self._apart: set[T] = set()
        """Those of them who are not in `direct`."""
        self.direct: Direct[T] = Direct()
        """Those who have all that was said, and for whom nothing else is due."""
        self._splitter = EventSplitter(largest_event)
        self.largest_event = largest_event
        """Bytes that an event may have; None: as many as `EventSplitter` says."""
        self.started = False
        """Whether there was anything to write yet."""
        self.ring = Ring(replay) if replay is not None else None
        """What is kept for clients that come back."""
        self.watchers: set[Watcher] = set()
        self._epoch = secrets.token_urlsafe(9).encode() if replay is not None and replay.ids == "Generate" else b""
        """What makes the ids of this hub's own unlike those of any other; empty: it gives none."""
        self._numbered = 0

    def __len__(self) -> int:
        return len(self._members)

    @property
    def members(self) -> tuple[T, ...]:
        """Everybody who listens."""
        if self._everybody is None:
            self._everybody = tuple(self._members)
        return self._everybody

    @property
    def last_id(self) -> bytes:
        """After which event upstream is to go on; empty: it gives no ids."""
        return self._splitter.last_id

    @property
    def retry(self) -> float | None:
        """Seconds after which upstream wants to be asked again."""
        return self._splitter.retry

    @property
    def overfull(self) -> bool:
        """Whether upstream has sent an event that is too large."""
        return self._splitter.too_large

    def join(self, member: T) -> None:
        """From now on `member` is written everything."""
        self._members.add(member)
        self._apart.add(member)
        self._everybody = None

    def leave(self, member: T) -> None:
        """From now on nothing. It must not be written to directly any more."""
        self._apart.discard(member)
        self._members.discard(member)
        self._everybody = None

    def go_direct(self, member: T, descriptor: int) -> bool:
        """From now on it is written to directly, at this descriptor; False: not now."""
        if not self.direct.enter(descriptor, member):
            return False
        self._apart.discard(member)
        return True

    def stand_apart(self, member: T, descriptor: int) -> None:
        """From now on it is not written to directly any more."""
        self.direct.leave(descriptor)
        self._apart.add(member)

    def feed(self, data: bytes, now: float) -> None:
        """Upstream said so."""
        events = self._splitter.feed(data)
        if not events:
            return
        self.started = True
        ids: list[bytes] = []
        if self.ring is None:
            whole = events[0].data if len(events) == 1 else b"".join([event.data for event in events])
            portion = Portion(chunk(whole), len(whole), sum(event.counts for event in events))
        else:
            portion = self._keep(self.ring, events, now, ids)
        # Who is not written to directly yet, may be from the next portion on.
        apart = tuple(self._apart)
        self.direct.send(portion.framed, portion.size)
        for member in apart:
            member.write(portion)
        for id_ in ids:
            self._tell(id_)

    def _keep(self, ring: Ring, events: list[Event], now: float, ids: list[bytes]) -> Portion:
        """Put into the ring what clients see; all of it as one portion. The `ids` that came are added."""
        portions = []
        for event in events:
            if self._epoch and event.counts and event.id is None:
                event = self._number(event)
            portion = Portion(chunk(event.data), len(event.data), int(event.counts))
            portions.append(portion)
            if event.counts or event.id is not None:
                ring.add(portion, event.id, now)
                if id_ := as_sent_back(event.id):
                    ids.append(id_)
        if len(portions) == 1:
            return portions[0]
        return Portion(
            b"".join([portion.framed for portion in portions]),
            sum(portion.size for portion in portions),
            sum(portion.events for portion in portions),
        )

    def _number(self, event: Event) -> Event:
        self._numbered += 1
        id_ = b"%b-%d" % (self._epoch, self._numbered)
        return Event(b"id: %b\n%b" % (id_, event.data), id_, counts=True)

    @property
    def lacks_ids(self) -> bool:
        """Whether nobody can say what it had last: upstream has said many events, and no id."""
        return self.ring is not None and self.ring.end >= ENOUGH and not self._epoch and not self.last_id

    def stand_behind(self, id_: bytes) -> None:
        """Upstream has said no id yet, and what it says next follows this one: so it is known after which event it is
        to go on, should it be lost before."""
        self._splitter.last_id = id_
        if self.ring is not None:
            self.ring.begin_behind(id_)
            if self.ring.after(id_) is not None:
                self._tell(id_)

    def _tell(self, id_: bytes) -> None:
        for watcher in tuple(self.watchers):
            watcher.appeared(id_)

    def upstream_lost(self) -> None:
        """What was not whole is dropped: upstream sends it again."""
        self._splitter.begin_anew()
