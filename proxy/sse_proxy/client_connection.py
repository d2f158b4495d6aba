"""Client connections: one protocol for each, which reads requests and runs one handler at a time.

A handler gets a `Request` and writes its answer's bytes to the connection. It may leave the rest of the answer to
somebody else, its `downstream`, and return: a task is made where a request has to wait to be decided (`see_to`), and
lives until then, not as long as its stream. Whoever ends the answer says so with `answered`. Until then further
requests wait, in their order.

Everything that decides how long a connection lives is here: a head must come in time and a next one some day, bytes
that cannot be read as HTTP end it, and a client that still sends what nobody reads has a moment to stop, since closing
a connection with unread bytes resets it and takes the answer with it.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import socket
import struct
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from sse_proxy.errors import ProxyHeaderError
from sse_proxy.problem import Problem
from sse_proxy.proxy_protocol import ProxyHeaderReader
from sse_proxy.request import Request, RequestBody
from sse_proxy.request_framing import RequestFraming, RequestHead

if TYPE_CHECKING:
    from sse_proxy.listener import Listener

_log = logging.getLogger(__name__)

WRITE_BUFFER = 64 * 1024
"""Bytes that wait for one client before upstream is held back."""

_MOST_PIPELINED = 16
_LINGER_SECONDS = 2.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Downstream(Protocol):
    """Who must hear what becomes of the client's connection while a response is under way."""

    def client_full(self) -> None:
        """So many bytes wait for the client that no more should be written."""

    def client_takes(self) -> None:
        """More can be written again."""

    def client_lost(self) -> None:
        """The connection is gone."""

    def abandoned(self) -> None:
        """The connection is about to be closed at once, since the proxy stops."""


class ClientConnection(asyncio.Protocol):
    """One client's connection."""

    __slots__ = (
        "_arrived",
        "_body",
        "_busy",
        "_come",
        "_deaf",
        "_framing",
        "_in_head",
        "_keep_alive",
        "_lingering",
        "_listener",
        "_look_at",
        "_preface",
        "_receiving",
        "_task",
        "_transport",
        "_until",
        "_waiting",
        "address",
        "downstream",
        "due_tick",
        "head_sent",
        "secure",
    )

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._preface = ProxyHeaderReader() if listener.proxy_protocol else None
        """Reads the PROXY protocol header that is to come."""
        self._framing = RequestFraming(listener.limits)
        self._arrived = b""
        """What has come, and waits for its turn."""
        self._receiving: RequestBody | None = None
        """The body that the bytes to come belong to."""
        self._busy = False
        """Whether a request is being answered."""
        self._body: RequestBody | None = None
        """That request's body."""
        self._come: Request | None = None
        """That request, while it is not handed to its handler yet: first all is read that came with its head."""
        self._task: asyncio.Task[None] | None = None
        """What has to be done until it is decided."""
        self._waiting: list[Request | Problem] = []
        """What is to be answered after it."""
        self._lingering = False
        """Whether the answer has gone out before its request has come whole."""
        self._keep_alive = True
        self._deaf = False
        """Whether nothing more is read."""
        self._in_head = False
        """Whether the client's time is that for the head that has begun."""
        self._until: float | None = None
        """When the client's time is up."""
        self._look_at = math.inf
        self.due_tick: int | None = None
        self.address: str | None = None
        """The IP address of who connected, or of whom a PROXY protocol header says so."""
        self.secure = False
        """Whether the client speaks TLS."""
        self.downstream: Downstream | None = None
        """Who hears what becomes of the connection during an answer."""
        self.head_sent = False
        """Whether the answer to the current request has begun."""

    # What handlers and relays use.

    @property
    def port(self) -> int:
        """The port that the client connected to."""
        return self._listener.port

    def send(self, data: bytes) -> None:
        """Write to the client. On a connection that is gone, nothing happens: `client_lost` is on the way."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(data)

    def send_all(self, parts: Sequence[bytes]) -> None:
        """Write these, one after the other, without making one of them."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.writelines(parts)

    @property
    def transport(self) -> asyncio.Transport | None:
        """For who writes often, and looks at what waits before; None once it is gone."""
        return self._transport

    @property
    def unsent(self) -> int:
        """Bytes that wait for the client in this process."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    @property
    def descriptor(self) -> int | None:
        """File descriptor of the socket, where what is sent goes to it as it is: not with TLS. None: there is none.

        It is the connection's until `client_lost`: the event loop closes it behind that.
        """
        transport = self._transport
        if transport is None or transport.is_closing() or transport.get_extra_info("sslcontext") is not None:
            return None
        sock = transport.get_extra_info("socket")
        return sock.fileno() if sock is not None and sock.fileno() >= 0 else None

    @property
    def socket(self) -> socket.socket | None:
        """The connection's socket while there is one."""
        return self._transport.get_extra_info("socket") if self._transport is not None else None

    def hold(self) -> None:
        """Take no more from the client for now. That it leaves is not noticed meanwhile."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def take(self) -> None:
        """Take from the client again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def shut(self) -> None:
        """Close after what waits has been flushed: for a body with a length or chunks, whose end is then missing."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Close by a reset and drop what waits, so that the end cannot be taken for the end of a close-delimited
        body."""
        if (sock := self.socket) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        if self._transport is not None:
            self._transport.abort()

    def answered(self, *, keep_alive: bool) -> None:
        """The current request has had its answer; whether the connection can take another."""
        body, self._body = self._body, None
        self.downstream = None
        self._busy = False
        if self._transport is None or self._transport.is_closing():
            return
        self._keep_alive = keep_alive
        if body is not None and not body.complete:
            self._lingering = True
            self._linger(half_close=not keep_alive)
            body.drop()
        else:
            self._go_on()

    def close_when_idle(self) -> None:
        """Close it now, or after the answer that is under way."""
        self._keep_alive = False
        if not (self._busy or self._arrived):
            self.shut()

    def see_to(self, rest: Coroutine[Any, Any, None], given_up: Callable[[], None]) -> None:
        """Do the rest of what the current request's handler has to do. When the connection is lost meanwhile, that is
        broken off, and `given_up` is called."""
        self._task = task = asyncio.get_running_loop().create_task(rest)
        task.add_done_callback(functools.partial(self._seen_to, given_up))

    def release_handler(self) -> None:
        """What the current request's handler has to do goes on even if the connection is lost."""
        self._task = None

    async def abandon(self) -> None:
        """Close it at once, and wait for its handler's end."""
        task = self._task
        if self.downstream is not None:
            self.downstream.abandoned()
        if self._transport is not None:
            self._transport.abort()
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    # One request after the other.

    def _go_on(self) -> None:
        if self._listener.closing or not self._keep_alive:
            self.shut()
        elif self._waiting:
            following = self._waiting.pop(0)
            if isinstance(following, Request):
                self._take_up(following)
                self._handle(following)
            else:
                self._refuse(following)
        else:
            self._wait()

    def _take_up(self, request: Request) -> None:
        """A request's turn has come."""
        self._busy, self._body = True, request.body
        self._until = None
        self._in_head = False
        self.head_sent = False
        self._come = request

    def _handle(self, request: Request) -> None:
        self._come = None
        try:
            self._listener.handler(request)
        except Exception:
            _log.exception("a request could not be handled")
            self.reset()

    def _seen_to(self, given_up: Callable[[], None], task: asyncio.Task[None]) -> None:
        if self._task is task:
            self._task = None
        if task.cancelled():
            given_up()
        elif (error := task.exception()) is not None:
            _log.error("a request could not be handled", exc_info=error)
            self.reset()

    def _refuse(self, problem: Problem) -> None:
        """Answer what cannot be read as HTTP, and nothing more."""
        self._deaf = True
        self._listener.refused(problem, self.address)
        self.send(problem.message(close=True))
        self._linger(half_close=True)

    def _linger(self, *, half_close: bool) -> None:
        """Give the client a moment to stop sending."""
        transport = self._transport
        if half_close and transport is not None and not transport.is_closing() and transport.can_write_eof():
            transport.write_eof()
        self._allow(_LINGER_SECONDS)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else None
        self.secure = transport.get_extra_info("sslcontext") is not None
        self._listener.connections.add(self)
        if self._preface is not None and self._listener.trusted and not self._listener.trusted.trusts(self.address):
            self._turn_away(Problem(403, "UntrustedProxy"))
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._arrived:
            self._arrived += data
            self.hold()
        elif self._busy or self._lingering or self._listener.turns.may_begin():
            self._received(data)
        else:
            self._arrived = data
            self._until = None  # It is not the client who takes time now.
            self._listener.turns.wait(self._begin)

    def _begin(self) -> None:
        """It is the turn of what has come."""
        data, self._arrived = self._arrived, b""
        if self._transport is not None:
            self.take()
            self._wait()
            self._received(data)

    def _received(self, data: bytes) -> None:
        if self._preface is not None:
            data = self._preface_received(self._preface, data)
        framing = self._framing
        for part in framing.feed(data):
            if isinstance(part, RequestHead):
                self._head_received(part)
            else:
                self._body_received(part)
        if framing.fault is not None:
            self._fault_received(framing.fault)
        if self._come is not None:
            self._handle(self._come)
        elif framing.in_head and not (self._in_head or self._busy or self._lingering):
            self._wait()

    def _preface_received(self, reader: ProxyHeaderReader, data: bytes) -> bytes:
        """The bytes behind the PROXY protocol header, as far as they are there."""
        try:
            read = reader.feed(data)
        except ProxyHeaderError as error:
            self._turn_away(Problem(400, "BadProxyHeader", str(error)))
            return b""
        if read is None:
            return b""
        header, rest = read
        self._preface = None
        self.address = header.source or self.address
        self.secure = self.secure or header.secure
        self._wait()
        return rest

    def _turn_away(self, problem: Problem) -> None:
        """Close a connection that HTTP has not begun on: nobody is there to read an answer."""
        self._deaf = True
        self._listener.refused(problem, self.address)
        self.reset()

    def _head_received(self, head: RequestHead) -> None:
        request = Request(head, self)
        self._receiving = request.body
        if not self._busy and not self._lingering:
            self._take_up(request)
            return
        self._waiting.append(request)
        if len(self._waiting) > _MOST_PIPELINED:
            self.reset()

    def _body_received(self, part: bytes) -> None:
        body = self._receiving
        if body is None:
            return
        if part:
            body.feed(part)
            if body.full and body is not self._body:
                # Held back, the client could not be seen to leave the stream that is under way.
                self.reset()
            return
        self._receiving = None
        body.end()
        if self._lingering and body.dropped:
            self._lingering = False
            self._go_on()

    def _fault_received(self, fault: Problem) -> None:
        self._deaf = True
        if self._receiving is not None:
            # No request can begin within a body.
            self._receiving.break_off()
            if self._lingering and self._receiving.dropped:
                self.shut()
        elif self._busy or self._lingering:
            self._waiting.append(fault)
        else:
            self._refuse(fault)

    def pause_writing(self) -> None:
        if self.downstream is not None:
            self.downstream.client_full()

    def resume_writing(self) -> None:
        if self.downstream is not None:
            self.downstream.client_takes()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._transport = None
        self._deaf = True
        self._waiting.clear()
        self._listener.deadlines.forget(self)
        self._listener.lost(self)
        downstream, self.downstream = self.downstream, None
        if downstream is not None:
            downstream.client_lost()
        if self._task is not None:
            self._task.cancel()

    # The client's time.

    def _wait(self) -> None:
        limits = self._listener.limits
        self._in_head = self._framing.in_head or self._preface is not None
        self._allow(limits.head_timeout if self._in_head else limits.idle_timeout)

    def _allow(self, seconds: float) -> None:
        """The client has so much time from now on. A look that comes too early is harmless, and costs less than one
        that is moved with each request."""
        deadlines = self._listener.deadlines
        self._until = deadlines.now() + seconds
        if self._until < self._look_at:
            self._look_at = self._until
            deadlines.watch(self, self._until)

    def look(self, now: float) -> float | None:
        """Part of `Timed`: the client's time may be up."""
        if self._until is None or now < self._until:
            self._look_at = math.inf if self._until is None else self._until
            return self._until
        self._look_at = math.inf
        if self._in_head and not self._deaf:
            self._refuse(Problem(408, "RequestTimeout"))
            return self._until
        self.shut()
        return None
