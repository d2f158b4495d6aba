"""The short way of an event: one read of upstream's connection, one write to the client's.

Nearly every read of a stream is one canonical chunk that ends with a blank line, behind another one. Neither the
decoder nor the event boundary would be changed by it, so that they are not asked. Whatever else would have to be looked
at for it closes the passage, and the read takes the long way. A long silence closes it as well, when it is looked for
(`Relay.look`).

Streams are many and each speaks seldom, so what an event costs is what it must fetch from memory: all that changes with
it is in one small object, the time is read once a tick rather than once an event, and it is written to the client's
socket past the transport, where that is plain TCP. What the callers keep to, since nobody else can: it is open only
while nothing waits in the transport, so that nothing is overtaken; and it is closed at the latest when the client's
connection is lost, of which the event loop tells before it closes the descriptor.

What `data_received` does is done for every event, hence its shape: it is one call, and two slices are compared, which
takes half the time of `startswith` and `endswith`.
"""

from __future__ import annotations

import asyncio
from os import write
from typing import Protocol

from sse_proxy.stream.deadlines import Deadlines

MOST = 4096
"""Bytes: reads of so many and more take the long way."""

_STARTS = tuple(slice(digits + 2) for digits in range(5))
_END = slice(-4, None)


def _canonical(length: int) -> tuple[slice, bytes, int]:
    for digits in range(1, 5):
        size = length - digits - 4
        if size > 0 and len(b"%x" % size) == digits:
            return _STARTS[digits], b"%x\r\n" % size, size
    return _STARTS[0], b"", 0


CANONICAL = tuple(map(_canonical, range(MOST)))
"""By the length of a canonical chunk, framing included: where the line is that it begins with, that line, and how many
bytes of data it has. Where no chunk has that length, it is a line that is never there."""


class Client(Protocol):
    """The client's connection."""

    @property
    def transport(self) -> asyncio.Transport | None: ...

    @property
    def descriptor(self) -> int | None:
        """Of its socket; None where that is not to be written to."""


class Passage:
    """That of one response. Closed at first."""

    __slots__ = ("bytes_sent", "deadlines", "descriptor", "last", "most", "to")

    def __init__(self, deadlines: Deadlines) -> None:
        self.deadlines = deadlines
        self.to: asyncio.Transport | None = None
        """The client's transport, once it has been open."""
        self.descriptor: int | None = None
        """Where events are written instead."""
        self.most = 0
        """A read of fewer bytes than these may be passed on: `MOST`, or none while it is closed."""
        self.bytes_sent = 0
        """Bytes of the body, without framing, on whichever way."""
        self.last = 0.0
        """When the last of them came; on the short way up to a `TICK` later than that."""

    def open(self, client: Client) -> None:
        """The bytes so far end with a blank line in LFs, and a chunk ends with it; none of them waits for the client.
        What comes next may be written to it, if it is there."""
        to = client.transport
        if to is not self.to:
            self.to, self.descriptor = to, client.descriptor
        if to is not None:
            self.most = MOST

    def close(self) -> None:
        """What comes next takes the long way."""
        self.most = 0

    def leave(self, rest: bytes) -> None:
        """The socket does not take this now, or is broken: which, its transport finds out."""
        self.most = 0
        if self.to is not None and not self.to.is_closing():
            self.to.write(rest)


class Passing(asyncio.Protocol):
    """The end of a connection whose reads may take the short way."""

    __slots__ = ("passage",)

    passage: Passage | None
    """Of the response under way."""

    def received(self, read: bytes) -> None:
        """A read that takes the long way, and so does what follows until the passage is opened."""
        raise NotImplementedError

    def data_received(self, read: bytes) -> None:
        passage = self.passage
        if passage is not None and (length := len(read)) < passage.most:
            start, line, size = CANONICAL[length]
            if read[start] == line and read[_END] == b"\n\n\r\n":
                if (descriptor := passage.descriptor) is not None:
                    try:
                        taken = write(descriptor, read)
                    except OSError:
                        taken = 0
                    if taken != length:
                        passage.leave(read[taken:])
                    passage.last = passage.deadlines.coarse_now
                    passage.bytes_sent += size
                    return
                if (to := passage.to) is not None and not to.get_write_buffer_size():
                    to.write(read)
                    passage.last = passage.deadlines.coarse_now
                    passage.bytes_sent += size
                    return
            passage.most = 0
        self.received(read)
