"""What the clients of one shared stream are written. Sans-I/O.

Everybody gets whole events only, in upstream's order, from the moment when they joined. The bytes of what one read of
upstream completes are made once, as one chunk, and are the same object for every client.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from sse_proxy.stream.framing import chunk
from sse_proxy.stream.shared.events import EventSplitter


@dataclass(frozen=True, slots=True)
class Portion:
    """Whole events, as clients are written them."""

    framed: bytes
    size: int
    """Bytes without framing."""
    events: int
    """How many of them clients see."""


class Taker(Protocol):
    """A client."""

    def write(self, portion: Portion) -> None: ...


T = TypeVar("T", bound=Taker)


class Hub(Generic[T]):
    """Who listens, and what was said."""

    __slots__ = ("_everybody", "_members", "_splitter", "started")

    def __init__(self) -> None:
        self._members: set[T] = set()
        self._everybody: tuple[T, ...] | None = ()
        self._splitter = EventSplitter()
        self.started = False
        """Whether there was anything to write yet."""

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
        """Whether upstream has begun an event that is too large."""
        return self._splitter.too_large

    def join(self, member: T) -> None:
        """From now on `member` is written everything."""
        self._members.add(member)
        self._everybody = None

    def leave(self, member: T) -> None:
        """From now on nothing."""
        self._members.discard(member)
        self._everybody = None

    def feed(self, data: bytes) -> None:
        """Upstream said so."""
        events = self._splitter.feed(data)
        whole = b"".join([event.data for event in events])
        if whole:
            self.started = True
            portion = Portion(chunk(whole), len(whole), sum(event.counts for event in events))
            for member in self.members:
                member.write(portion)

    def upstream_lost(self) -> None:
        """What was not whole is dropped: upstream sends it again."""
        self._splitter.begin_anew()
