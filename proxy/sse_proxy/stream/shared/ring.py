"""The last events of one shared stream, for clients that come back. Sans-I/O: times are passed in.

Each event has a position, a number that only grows, and its bytes are kept once, framed as clients are written them.
Whoever reads does so by position, so that a client costs no more for being far behind.

An id leads to what comes after the newest event that carries it; events without ids in between are no matter. Of the
events that are no longer kept, only the id of the very last one leads anywhere: nothing behind it is missing.
"""

from __future__ import annotations

from dataclasses import dataclass

from sse_proxy.config import Replay


@dataclass(frozen=True, slots=True)
class Portion:
    """Whole events, as clients are written them."""

    framed: bytes
    size: int
    """Bytes without framing."""
    events: int
    """How many of them clients see."""


@dataclass(frozen=True, slots=True)
class _Kept:
    portion: Portion
    id: bytes
    """As clients send it back; empty: none."""
    at: float


def as_sent_back(id_: bytes | None) -> bytes:
    """An event's id as it comes in a `Last-Event-ID`, which has no white space around it; empty: it has none."""
    return (id_ or b"").strip(b" \t")


class Ring:
    """Positions from `start` on are kept, `end` is the next one."""

    __slots__ = ("_bounds", "_gone_id", "_kept", "_offset", "_positions", "_size", "_start", "end")

    def __init__(self, bounds: Replay) -> None:
        self._bounds = bounds
        self._kept: list[_Kept | None] = []
        """From the position `_offset` on; those before `start` are None."""
        self._offset = 0
        self._size = 0
        self.end = 0
        self._start = 0
        self._gone_id = b""
        self._positions: dict[bytes, int] = {}

    @property
    def start(self) -> int:
        """The position of the first event that is kept; `end` where none is."""
        return self._start

    def __len__(self) -> int:
        return self.end - self._start

    @property
    def size(self) -> int:
        """Bytes that are kept, with framing."""
        return self._size

    def add(self, portion: Portion, id_: bytes | None, now: float) -> None:
        """The next event has come."""
        kept = _Kept(portion, as_sent_back(id_), now)
        self._kept.append(kept)
        if kept.id:
            self._positions[kept.id] = self.end
        self.end += 1
        self._size += len(portion.framed)
        while len(self) > self._bounds.events or self._size > self._bounds.bytes:
            self._drop_first()
        self.forget(now)

    def forget(self, now: float) -> None:
        """Drop what is too old."""
        oldest = self._bounds.max_age
        if oldest is not None:
            while len(self) and (first := self._kept[self._start - self._offset]) and first.at + oldest <= now:
                self._drop_first()

    def after(self, id_: bytes) -> int | None:
        """The position behind the event with this id; None: events between it and the first one may be missing."""
        position = self._positions.get(id_)
        return None if position is None else position + 1

    def first_id(self) -> bytes:
        """The first id that leads anywhere, of those that are kept if there is one; empty: none does."""
        for kept in self._kept[self._start - self._offset :]:
            if kept is not None and kept.id:
                return kept.id
        return self._gone_id

    def begin_behind(self, id_: bytes) -> None:
        """Nothing has come yet, and what comes next is what follows the event with this id."""
        if not self.end:
            self._gone_id = id_
            self._positions[id_] = -1

    def read(self, position: int, most: int) -> list[Portion]:
        """Events from `position` on, which must be kept: at most so many bytes, but at least one if there is one."""
        portions: list[Portion] = []
        size = 0
        for index in range(position - self._offset, len(self._kept)):
            kept = self._kept[index]
            if kept is None or (portions and size + len(kept.portion.framed) > most):
                break
            portions.append(kept.portion)
            size += len(kept.portion.framed)
        return portions

    def _drop_first(self) -> None:
        index = self._start - self._offset
        kept = self._kept[index]
        if kept is None:
            return
        if self._gone_id and self._positions.get(self._gone_id) == self._start - 1:
            del self._positions[self._gone_id]
        self._gone_id = kept.id
        self._kept[index] = None
        self._size -= len(kept.portion.framed)
        self._start += 1
        if self._start - self._offset > max(64, len(self)):
            del self._kept[: self._start - self._offset]
            self._offset = self._start
