"""Accepts client connections on an address, for one handler of requests, and ends them when the proxy stops."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace

from sse_proxy.client_connection import ClientConnection
from sse_proxy.config import GatewayLimits
from sse_proxy.errors import ListenError
from sse_proxy.forwarded import TrustedProxies
from sse_proxy.problem import Problem
from sse_proxy.request import Request
from sse_proxy.request_framing import HeadLimits
from sse_proxy.stream.deadlines import Deadlines
from sse_proxy.tls_connection import TlsConnection
from sse_proxy.turns import Turns
from sse_proxy.upstream.guard import probe_silent_peers

_BACKLOG = 4096
"""As many as Linux allows by default: what is beyond is tried again by clients after seconds."""


@dataclass(frozen=True, slots=True)
class ListenerLimits(HeadLimits):
    """What a client may send, and how slowly."""

    head_timeout: float = 10.0
    """Seconds from a head's first byte to its end; beyond: 408."""
    idle_timeout: float = 75.0
    """Seconds that a connection may wait for its next request."""

    def given(self, limits: GatewayLimits) -> ListenerLimits:
        """These limits, but for what the config says of a request's head."""
        head = limits.request_head or self.head
        return replace(
            self,
            request_line=limits.request_line or self.request_line,
            header_fields=limits.header_fields or self.header_fields,
            head=max(head, limits.request_line or 0),
            header_field=head if limits.request_head else self.header_field,
        )


Handler = Callable[[Request], None]
"""Answers a request, has its connection `see_to` what takes time, or leaves it to a `Downstream`."""


class Listener:
    """Accepts client connections on one address and hands their requests to `handler`."""

    def __init__(
        self,
        handler: Handler,
        *,
        limits: ListenerLimits,
        deadlines: Deadlines,
        refused: Callable[[Problem, str | None], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """With `tls`, clients speak TLS."""
        self.handler = handler
        self.limits = limits
        """A connection keeps those for heads that it began with."""
        self.trusted = TrustedProxies()
        self.proxy_protocol = False
        """Whether connections from now on begin with a PROXY protocol header: with `trusted`, one of theirs."""
        self.deadlines = deadlines
        self.refused = refused
        self.turns = Turns()
        self.connections: set[ClientConnection] = set()
        self.closing = False
        """When set, no connection takes another request."""
        self.port = 0
        self._tls = tls
        self._accepting: asyncio.Server | None = None
        self._none_left = asyncio.Event()

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Accept connections on an address (port 0: a free one) and return it. Raises ListenError."""
        self._accepting = await listen(self._connection, host, port)
        for sock in self._accepting.sockets:
            # Accepted connections inherit it.
            probe_silent_peers(sock)
        name = self._accepting.sockets[0].getsockname()
        self.port = int(name[1])
        return str(name[0]), self.port

    def _connection(self) -> asyncio.Protocol:
        connection = ClientConnection(self)
        if self._tls is None:
            return connection
        return TlsConnection(
            connection,
            self._tls,
            self.turns,
            lambda why: self.refused(Problem(400, "TlsHandshakeFailed", why), connection.address),
        )

    def lost(self, connection: ClientConnection) -> None:
        """One that has ended."""
        self.connections.discard(connection)
        if not self.connections:
            self._none_left.set()

    def stop_accepting(self) -> None:
        """Take no more connections. Those that exist go on."""
        if self._accepting is not None:
            self._accepting.close()

    async def close(self, within: float) -> None:
        """Close every connection; requests under way have `within` seconds."""
        self.stop_accepting()
        self.closing = True
        for connection in tuple(self.connections):
            connection.close_when_idle()
        if self.connections:
            self._none_left.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await self._none_left.wait()
        await asyncio.gather(*(connection.abandon() for connection in tuple(self.connections)))


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
