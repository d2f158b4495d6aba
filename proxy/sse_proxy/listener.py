"""Client connections: aiohttp's HTTP server, with what it lacks for a gateway.

aiohttp reads requests and runs one handler task per request. This adds: requests are read strictly (`request_framing`),
and their heads must arrive in time; refusals are problem bodies; the response goes out as bytes that the relay writes,
without headers of aiohttp's; the relay hears at once when the client holds back, takes again, or is gone.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, cast

from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import BadHttpMethod, HttpProcessingError
from aiohttp.streams import StreamReader
from aiohttp.web import BaseRequest, RequestHandler, RequestPayloadError, Server, StreamResponse

from sse_proxy.errors import ListenError
from sse_proxy.problem import Problem
from sse_proxy.request_framing import UNREADABLE, HeadLimits, RequestFraming
from sse_proxy.stream.deadlines import Deadlines
from sse_proxy.upstream.guard import probe_silent_peers

_log = logging.getLogger(__name__)

WRITE_BUFFER = 64 * 1024
"""Bytes that wait for one client before upstream is held back."""

_BACKLOG = 2048
_MOST_PIPELINED = 16
_LINGER_SECONDS = 2.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class ListenerLimits(HeadLimits):
    """What a client may send, and how slowly."""

    head_timeout: float = 10.0
    """Seconds from a head's first byte to its end; beyond: 408."""
    idle_timeout: float = 75.0
    """Seconds that a connection may wait for its next request."""


class Downstream(Protocol):
    """Who must hear what becomes of the client's connection while a response is under way."""

    def client_full(self) -> None:
        """So many bytes wait for the client that no more should be written."""

    def client_takes(self) -> None:
        """More can be written again."""

    def client_lost(self) -> None:
        """The connection is gone."""


class Sent(StreamResponse):
    """Tells aiohttp that the response has gone out, and whether the connection can take another request."""

    def __init__(self, *, keep_alive: bool) -> None:
        super().__init__()
        self._keep_alive = keep_alive

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


KEEP_ALIVE = Sent(keep_alive=True)
CLOSE = Sent(keep_alive=False)


class _Refusal(Sent):
    """The answer to what cannot be read as HTTP. It waits a little for the client to stop sending: closing a
    connection with unread bytes resets it, and the client would not see why."""

    def __init__(self, connection: ClientConnection, problem: Problem) -> None:
        super().__init__(keep_alive=False)
        self._connection = connection
        self._problem = problem

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        self._connection.send(self._problem.message(close=True))
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        transport = self._connection.transport
        if transport is not None and transport.can_write_eof():
            transport.write_eof()
        await asyncio.sleep(_LINGER_SECONDS)


class ClientConnection(RequestHandler):
    """One client's connection."""

    __slots__ = (
        "_answered",
        "_body",
        "_deadlines",
        "_deaf",
        "_framing",
        "_head_since",
        "_limits",
        "_refused",
        "downstream",
        "due_tick",
        "head_sent",
    )

    def __init__(
        self,
        listener: Listener,
        loop: asyncio.AbstractEventLoop,
        limits: ListenerLimits,
        deadlines: Deadlines,
        refused: Callable[[Problem, str | None], None],
    ) -> None:
        super().__init__(
            listener,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]
            logger=_log,
            keepalive_timeout=limits.idle_timeout,
            max_line_size=limits.head,
            max_field_size=limits.head,
            # aiohttp counts the request line and the blank line too.
            max_headers=limits.header_fields + 2,
            lingering_time=_LINGER_SECONDS,
            auto_decompress=False,
        )
        self._limits = limits
        self._deadlines = deadlines
        self._refused = refused
        self._answered = 0
        self._deaf = False
        self._framing = RequestFraming(limits)
        self._head_since: float | None = None
        self.due_tick: int | None = None
        self.downstream: Downstream | None = None
        self.head_sent = False
        self._body: StreamReader | None = None

    # What the relay uses.

    def send(self, data: bytes) -> None:
        """Write to the client. On a connection that is gone, nothing happens: `client_lost` is on the way."""
        transport = self.transport
        if transport is not None and not transport.is_closing():
            transport.write(data)

    @property
    def unsent(self) -> int:
        """Bytes that wait for the client in this process."""
        return self.transport.get_write_buffer_size() if self.transport is not None else 0

    @property
    def socket(self) -> socket.socket | None:
        """The connection's socket while there is one."""
        return self.transport.get_extra_info("socket") if self.transport is not None else None

    def shut(self) -> None:
        """Close after what waits has been flushed: for a body with a length or chunks, whose end is then missing."""
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        """Close by a reset and drop what waits, so that the end cannot be taken for the end of a close-delimited
        body."""
        if (sock := self.socket) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        if self.transport is not None:
            self.transport.abort()

    def reads(self, body: StreamReader) -> None:
        """The body of the current request is being read. Its reader gets RequestPayloadError if it breaks off."""
        self._body = body
        if self._framing.fault is not None:
            self._break_body()

    def _break_body(self) -> None:
        # No new request can begin within a body: aiohttp could not read on, and tells only the next reader.
        if self._body is not None and not self._body.is_eof():
            self._body.set_exception(RequestPayloadError("the request's body is not well-formed"))

    def answered(self) -> None:
        """The current request has had its answer."""
        self._answered += 1
        self.downstream = None
        self._body = None
        self.head_sent = False

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        cast("asyncio.Transport", transport).set_write_buffer_limits(high=WRITE_BUFFER)
        if (sock := self.socket) is not None and sock.family != socket.AF_UNIX:
            probe_silent_peers(sock)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        before = self._request_count
        readable = self._framing.fault is None
        # One head at a time: where aiohttp refuses one, it forgets what came before it in the same call.
        for part in self._framing.feed(data) or (b"",):
            super().data_received(part)
        if readable and self._framing.fault is not None:
            super().data_received(UNREADABLE)
        if self._request_count != before:
            self._head_since = None
            self._deadlines.forget(self)
            self._break_body()
            if self._request_count - self._answered > _MOST_PIPELINED:
                self.reset()
        elif self._request_count == self._answered and self._framing.in_head and self._head_since is None:
            self._head_since = self._deadlines.now()
            self._deadlines.watch(self, self._head_since + self._limits.head_timeout)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.downstream is not None:
            self.downstream.client_full()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.downstream is not None:
            self.downstream.client_takes()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._deadlines.forget(self)
        downstream, self.downstream = self.downstream, None
        if downstream is not None:
            downstream.client_lost()
        super().connection_lost(exc)

    # Heads that do not come, or not in a readable form.

    def look(self, now: float) -> float | None:
        """Part of `Timed`: the head's time is up."""
        if self._head_since is None:
            return None
        if now < (due := self._head_since + self._limits.head_timeout):
            return due
        self._refuse(Problem(408, "RequestTimeout"))
        return None

    def _refuse(self, problem: Problem) -> None:
        self._deaf = True
        self._refused(problem, self._client)
        self.send(problem.message(close=True))
        self.shut()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> StreamResponse:
        """Called by aiohttp for what it cannot read, and for exceptions that escape the handler: none should."""
        self._deaf = True
        if isinstance(exc, HttpProcessingError):
            problem = self._problem_of(exc)
            self._refused(problem, self._client)
            return _Refusal(self, problem)
        _log.error("a request could not be handled", exc_info=exc)
        self.reset()
        return CLOSE

    @property
    def _client(self) -> str | None:
        return str(self.peername[0]) if self.peername else None

    def _problem_of(self, error: HttpProcessingError) -> Problem:
        if self._framing.fault is not None:
            return self._framing.fault
        if isinstance(error, BadHttpMethod):
            return Problem(501, "MethodUnknown")
        return Problem(400, "BadRequest")


class Listener(Server):
    """Accepts client connections on one address and hands their requests to `handler`."""

    def __init__(
        self,
        handler: Callable[[BaseRequest], Awaitable[StreamResponse]],
        *,
        limits: ListenerLimits,
        deadlines: Deadlines,
        refused: Callable[[Problem, str | None], None],
    ) -> None:
        # Without cancellation a client that is gone would be noticed only when something is written to it.
        super().__init__(handler, handler_cancellation=True)
        self._limits = limits
        self._deadlines = deadlines
        self._refused = refused
        self._accepting: asyncio.Server | None = None

    def __call__(self) -> RequestHandler:
        return ClientConnection(self, asyncio.get_running_loop(), self._limits, self._deadlines, self._refused)

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Accept connections on an address (port 0: a free one) and return it. Raises ListenError."""
        self._accepting = await listen(self, host, port)
        name = self._accepting.sockets[0].getsockname()
        return str(name[0]), int(name[1])

    def stop_accepting(self) -> None:
        """Take no more connections. Those that exist go on."""
        if self._accepting is not None:
            self._accepting.close()

    async def close(self, within: float) -> None:
        """Close every connection; requests under way have `within` seconds."""
        self.stop_accepting()
        self.pre_shutdown()
        await self.shutdown(within)


async def listen(factory: Callable[[], asyncio.BaseProtocol], host: str, port: int) -> asyncio.Server:
    """A listening server, whose errors are told in one line. Raises ListenError."""
    try:
        return await asyncio.get_running_loop().create_server(factory, host, port, backlog=_BACKLOG)
    except OSError as error:
        where = f"{host}:{port}"
        if error.errno == errno.EADDRINUSE:
            raise ListenError(
                f"cannot listen on {where}: the port is in use; stop what uses it or choose another"
            ) from None
        raise ListenError(f"cannot listen on {where}: {error.strerror or error}") from None
