"""The short way of an event: one read of upstream's connection, one write to the client's.

Nearly every read of a stream is one canonical chunk that ends with a blank line, behind another one. Neither the
decoder nor the event boundary would be changed by it, so that they are not asked. Whatever else would have to be looked
at for it (bytes that wait for the client, a long silence before) closes the passage, and the read takes the long way.

Streams are many and each speaks seldom, so what an event costs is what it must fetch from memory: all that changes with
it is in one small object, and the time is read once a tick rather than once an event.
"""

from __future__ import annotations

import asyncio

from sse_proxy.stream.deadlines import Deadlines


def _size_line(length: int) -> bytes:
    for digits in range(1, 5):
        size = length - digits - 4
        if size > 0 and len(b"%x" % size) == digits:
            return b"%x\r\n" % size
    return bytes(length + 1)


SIZE_LINES = tuple(map(_size_line, range(4096)))
"""By the length of a canonical chunk, framing included: the line that it begins with. Where no chunk has that length,
it is what nothing of that length begins with."""


class Passage:
    """That of one response. Closed at first."""

    __slots__ = ("_deadlines", "_to", "_within", "bytes_sent", "last")

    def __init__(self, deadlines: Deadlines, within: float) -> None:
        """A silence of `within` seconds and more is for others to judge."""
        self._deadlines = deadlines
        self._within = within
        self._to: asyncio.Transport | None = None
        self.bytes_sent = 0
        """Bytes of the body, without framing, on whichever way."""
        self.last = 0.0
        """When the last of them came; on the short way up to a `TICK` later than that."""

    def open(self, to: asyncio.Transport | None) -> None:
        """The bytes so far end with a blank line in LFs, and a chunk ends with it. What comes next may be written `to`
        the client's transport."""
        self._to = to

    def close(self) -> None:
        """What comes next takes the long way."""
        self._to = None

    def take(self, read: bytes) -> bool:
        """Pass a read on. False: it has to take the long way, and so has what follows until `open`."""
        to = self._to
        if to is None:
            return False
        length = len(read)
        now = self._deadlines.coarse_now
        if (
            length < len(SIZE_LINES)
            and read.endswith(b"\n\n\r\n")
            and read.startswith(SIZE_LINES[length])
            and not to.get_write_buffer_size()
            and now - self.last < self._within
        ):
            self.last = now
            self.bytes_sent += length - len(SIZE_LINES[length]) - 2
            to.write(read)
            return True
        self._to = None
        return False
