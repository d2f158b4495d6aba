"""One connection to upstream, as the protocol of its transport.

Everything that decides whether a connection may be used again lives here: only after a complete response to a
complete request, with nothing behind it. What arrives while no request is out (an early 408, a second response)
closes the connection, so that it can never be taken for the answer to somebody else's request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from sse_proxy.errors import FramingError
from sse_proxy.stream.framing import BodyDecoder
from sse_proxy.stream.passage import Passing
from sse_proxy.upstream.response import ResponseHead, head_end, parse_head

MAX_HEAD = 64 * 1024
"""Bytes of a response head, and of all interim heads before it."""


class Receiver(Protocol):
    """Who gets a response, in this order: one head, its body, one end. Calls are synchronous."""

    def head_received(self, head: ResponseHead) -> None: ...

    def body_received(self, body: bytes, framed: bytes) -> None:
        """Bytes of the body, and the same as the head's decoder frames them for the recipient; either may be empty."""

    def response_ended(self, failure: str | None) -> None:
        """The response is complete, or `failure` says what broke it; also before the head."""


class UpstreamConnection(Passing):
    """A client connection that carries one exchange at a time."""

    __slots__ = (
        "_decoder",
        "_full",
        "_head",
        "_loop",
        "_receiver",
        "_reusable",
        "_spent",
        "_to_head_request",
        "_transport",
        "answered",
        "exchanges",
        "peer",
        "when_lost",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._full: asyncio.Future[None] | None = None
        self._receiver: Receiver | None = None
        self._decoder: BodyDecoder | None = None
        self._head: bytearray | None = None
        self._to_head_request = False
        self._spent = 0
        self.exchanges = 0
        self.answered = False
        """Whether the current exchange has got a byte of its response."""
        self.passage = None
        self._reusable = True
        self.peer = ""
        """The address that it is connected to."""
        self.when_lost: Callable[[], None] | None = None
        """Told of its end while it is idle."""

    @property
    def reused(self) -> bool:
        """Whether the current exchange is not the first on this connection."""
        return self.exchanges > 1

    @property
    def usable(self) -> bool:
        """Whether it can take another exchange."""
        open_ = self._transport is not None and not self._transport.is_closing()
        return open_ and self._reusable and self._receiver is None

    def begin(self, receiver: Receiver, *, to_head_request: bool) -> None:
        """Start an exchange: the next response is `receiver`'s."""
        self._receiver = receiver
        self._to_head_request = to_head_request
        self._head, self._decoder, self._spent = bytearray(), None, 0
        self.exchanges += 1
        self.answered = False
        self.passage = None
        if self._transport is None:
            # Lost between being made and being used: nobody else will tell.
            self._loop.call_soon(self._finish, "closed before it could be used")

    def hand_over(self, receiver: Receiver) -> None:
        """The rest of the response under way is `receiver`'s."""
        self._receiver = receiver
        self.passage = None

    def detach(self) -> None:
        """End the exchange early: nothing more is delivered, and the connection is not used again."""
        self._receiver = None
        self.passage = None
        self._reusable = False

    def close(self) -> None:
        """Close it after what was written is flushed."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    def send(self, data: bytes) -> None:
        """Write bytes of the request. On a connection that is gone, nothing happens: its end is on the way."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def drained(self) -> None:
        """Until upstream has taken enough to write on. ConnectionError when it is gone."""
        if self._transport is None:
            raise ConnectionResetError("upstream's connection is gone")
        if self._full is not None:
            await asyncio.shield(self._full)

    def hold(self) -> None:
        """Take no more from upstream for now."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def take(self) -> None:
        """Take from upstream again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername")
        self.peer = str(name[0]) if name else ""

    def pause_writing(self) -> None:
        self._full = self._loop.create_future()

    def resume_writing(self) -> None:
        full, self._full = self._full, None
        if full is not None and not full.done():
            full.set_result(None)

    def received(self, data: bytes) -> None:
        receiver, decoder = self._receiver, self._decoder
        if receiver is None:
            self._discard()
            return
        if decoder is None:
            self.answered = True
            self._head_received(data)
            return
        body, framed = decoder.feed(data)
        if framed:
            receiver.body_received(body, framed)
        if decoder.ended:
            # Bytes behind the end are dropped; the body before them is whole.
            if decoder.broken:
                self._reusable = False
            self._finish(None)
        elif decoder.broken:
            self._fail(f"garbage: {decoder.broken}")

    def connection_lost(self, exc: BaseException | None) -> None:
        self._reusable = False
        self._transport = None
        full, self._full = self._full, None
        if full is not None and not full.done():
            full.set_exception(ConnectionResetError("upstream's connection is gone"))
            # Nobody may be waiting.
            full.exception()
        when_lost, self.when_lost = self.when_lost, None
        if when_lost is not None:
            when_lost()
        if self._receiver is not None:
            if self._decoder is None:
                failure: str | None = "closed before its response head was complete"
            elif exc is not None:
                failure = "the connection was reset"
            else:
                failure = self._decoder.at_eof()
            self._finish(failure)

    def _head_received(self, data: bytes) -> None:
        buffer = self._head if self._head is not None else bytearray()
        while True:
            searched = max(len(buffer) - 3, 0)
            buffer += data
            end = head_end(buffer, searched)
            if self._spent + (len(buffer) if end < 0 else end) > MAX_HEAD:
                self._fail("garbage: its response head is too large")
                return
            if end < 0:
                return
            try:
                head = parse_head(bytes(buffer[:end]), to_head_request=self._to_head_request)
            except FramingError as error:
                self._fail(f"garbage: {error}")
                return
            data = bytes(buffer[end:])
            if not head.interim:
                break
            self._head = buffer = bytearray()
            self._spent += end
        self._head = None
        self._reusable = self._reusable and head.persistent
        self._decoder = head.decoder
        if self._receiver is not None:
            self._receiver.head_received(head)
        if head.decoder is None or head.decoder.ended:
            if data:
                self._reusable = False
            self._finish(None)
        elif data:
            self.received(data)

    def _fail(self, failure: str) -> None:
        self._discard()
        self._finish(failure)

    def _finish(self, failure: str | None) -> None:
        receiver, self._receiver = self._receiver, None
        self._head, self._decoder, self.passage = None, None, None
        if receiver is not None:
            receiver.response_ended(failure)

    def _discard(self) -> None:
        self._reusable = False
        self.close()
