"""Which shared streams there are, and who waits to hear whether there will be one.

Of those who ask for the same while there is no stream yet, the first one leads: it asks upstream for itself, as if
nothing were shared. A response that may be shared becomes the stream, which it and all who waited join in the same
moment. Any other is its own alone, and who waited asks for itself; an error is everybody's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterator
from enum import Enum

from sse_proxy.errors import UpstreamError
from sse_proxy.stream.shared.stream import SharedStream


class Outcome(Enum):
    """What a lead found."""

    JOINED = "joined"
    """There is a stream, and who waited has joined it."""
    PRIVATE = "private"
    """The response is for who asked alone."""
    ABANDONED = "abandoned"
    """Who led has left before there was a response."""


class Lead:
    """One who asks for all."""

    __slots__ = ("_followers", "found")

    def __init__(self) -> None:
        self._followers: dict[asyncio.Task[object] | None, Callable[[SharedStream], None]] = {}
        """What is called for each who waits when there is a stream."""
        self.found: asyncio.Future[Outcome | UpstreamError] = asyncio.get_running_loop().create_future()

    def joined(self, stream: SharedStream) -> None:
        """There is a stream: those who wait join it."""
        for task, join in tuple(self._followers.items()):
            if task is None or not task.cancelling():
                join(stream)
        self.settle(Outcome.JOINED)

    def settle(self, outcome: Outcome | UpstreamError) -> None:
        """Tell those who wait; only the first word counts."""
        if not self.found.done():
            self.found.set_result(outcome)

    async def outcome(self, join: Callable[[SharedStream], None] | None = None) -> Outcome:
        """Wait; `join` is called in the very moment when there is a stream, unless the task that waits is being
        cancelled: its client has gone. Raises UpstreamError."""
        task = asyncio.current_task()
        if join is not None:
            self._followers[task] = join
        try:
            found = await asyncio.shield(self.found)
        finally:
            self._followers.pop(task, None)
        if isinstance(found, UpstreamError):
            raise found
        return found


class SharedStreams:
    """Those that can be joined, by key, and all others that still serve somebody."""

    def __init__(self) -> None:
        self._by_key: dict[Hashable, SharedStream] = {}
        self._all: dict[SharedStream, Hashable] = {}
        self.leads: dict[Hashable, Lead] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[SharedStream]:
        return iter(tuple(self._all))

    def find(self, key: Hashable, now: float) -> SharedStream | None:
        """The stream to join."""
        stream = self._by_key.get(key)
        return stream if stream is not None and stream.may_join(now) else None

    def add(self, key: Hashable, stream: SharedStream) -> None:
        """From now on, this one is to be joined. One before it goes on for those whom it has."""
        self._by_key[key] = stream
        self._all[stream] = key

    def remove(self, stream: SharedStream) -> None:
        """One that has ended."""
        key = self._all.pop(stream, None)
        if self._by_key.get(key) is stream:
            del self._by_key[key]

    def close(self) -> None:
        """End all."""
        for stream in self:
            stream.close()
