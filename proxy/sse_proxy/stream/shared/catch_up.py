"""What a client missed that the ring does not have: asked of upstream, for it alone, up to where the ring goes on.

Sans-I/O. Two sequences of events come in any interleaving: those of a private connection, which upstream was asked for
with the client's last event id, and those of the shared one. They fit together at the first event with an id that the
ring had when the other began, or that came to it since. A private connection that leaves that event out, and goes on
with one behind it, begins somewhere else than where it was asked to: upstream does not replay, and nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sse_proxy.config import Replay
from sse_proxy.stream.framing import chunk
from sse_proxy.stream.shared.events import EventSplitter
from sse_proxy.stream.shared.ring import Portion, Ring, as_sent_back


class Found(StrEnum):
    """Whether a client that says what it had last gets what it missed. The response header's words."""

    HIT = "hit"
    """From the ring."""
    CAUGHT_UP = "caught-up"
    """From upstream, and then from the ring."""
    MISS = "miss"
    """It does not: the API's `onMiss` counts."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a client's stream begins."""

    found: Found
    position: int
    """In the ring."""
    before: tuple[Portion, ...] = ()
    """What it is written before that."""

    @property
    def size(self) -> int:
        """Bytes of `before`, with framing."""
        return sum(len(portion.framed) for portion in self.before)


class CatchUp:
    """One id's search. `result` is set once, and then nothing else changes."""

    __slots__ = (
        "_bounds",
        "_first",
        "_first_after",
        "_id",
        "_joined",
        "_largest_event",
        "_missed",
        "_places",
        "_ring",
        "_size",
        "_splitter",
        "last_id",
        "result",
    )

    def __init__(self, ring: Ring, last_event_id: bytes, bounds: Replay, largest_event: int | None = None) -> None:
        """`bounds` are those of the ring: as much may be missed as it could have kept."""
        self._ring = ring
        self._bounds = bounds
        self._largest_event = largest_event
        self._id = last_event_id
        self._first = ring.first_id()
        self._first_after = ring.after(self._first)
        """The position behind the event that both must have."""
        self.begin_anew()
        self.result: Beginning | None = None

    def begin_anew(self) -> None:
        """Another private connection, asked with the same id."""
        self._joined = False
        """Whether it has had the event that both must have."""
        self._missed: list[Portion] = []
        self._places: dict[bytes, int] = {}
        """By id: how many events of it there are, up to that one."""
        self._size = 0
        self._splitter = EventSplitter(self._largest_event)
        self.last_id = b""
        """The last one that it has had."""

    def missed(self, data: bytes) -> None:
        """The private connection brought this."""
        for event in self._splitter.feed(data):
            if self.result is not None:
                return
            id_ = as_sent_back(event.id)
            if event.counts or id_:
                self._missed.append(Portion(chunk(event.data), len(event.data), int(event.counts)))
                self._size += len(event.data)
            if id_:
                self.last_id = id_
                self._places[id_] = len(self._missed)
                self._compare(id_)
            if len(self._missed) > self._bounds.events or self._size > self._bounds.bytes:
                self.fail()
        if self._splitter.too_large:
            self.fail()

    def appeared(self, id_: bytes) -> None:
        """The ring has a new event, with this id."""
        if self.result is not None:
            return
        if not self._first:
            self._first, self._first_after = id_, self._ring.after(id_)
        if id_ == self._id:
            self._found(Found.HIT, id_, 0)
        elif id_ in self._places:
            self._joined = self._joined or id_ == self._first
            if self._joined:
                self._found(Found.CAUGHT_UP, id_, self._places[id_])

    def nothing_more(self) -> None:
        """The private connection has ended, or is silent; the shared one has said no id: what it brought is all."""
        if self.result is None and not self._first and self.last_id:
            self.result = Beginning(Found.CAUGHT_UP, self._ring.end, tuple(self._missed))

    def fail(self) -> None:
        """It cannot be known."""
        if self.result is None:
            self.result = Beginning(Found.MISS, self._ring.end)

    def _compare(self, id_: bytes) -> None:
        after = self._ring.after(id_)
        self._joined = self._joined or id_ == self._first
        if after is None:
            return
        if self._joined or (self._first_after is not None and after <= self._first_after):
            self._found(Found.CAUGHT_UP, id_, len(self._missed))
        else:
            self.fail()

    def _found(self, found: Found, id_: bytes, missed: int) -> None:
        position = self._ring.after(id_)
        if position is not None:
            self.result = Beginning(found, position, tuple(self._missed[:missed]))
