"""Connections to upstream: made, kept while they are idle, closed. Without limits, cookies or state of any client.

An idle connection is used again only while it is open, not kept for longer than its last user allowed, and to an
address that its host still has: who changed the addresses of a name wants nobody at the old ones.
"""

from __future__ import annotations

import asyncio
import functools
import math
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohappyeyeballs

from sse_proxy import errors
from sse_proxy.config import TargetGuard
from sse_proxy.stream.deadlines import Deadlines
from sse_proxy.upstream.addresses import Addresses, AddressInfo
from sse_proxy.upstream.connection import UpstreamConnection
from sse_proxy.upstream.guard import AddressGuard, probe_silent_peers
from sse_proxy.upstream.reach import Reach
from sse_proxy.upstream.target import Target
from sse_proxy.upstream.tunnel import open_tunnel

MOST_IDLE = 1024
"""Idle connections that are kept for one origin."""

_HAPPY_EYEBALLS_DELAY = 0.25
"""Seconds until the next address is tried beside one that does not answer (RFC 8305)."""

Origin = tuple[str, str, int, str]
"""Scheme, host, port, and the identity of the way there: connections of the same one may be shared."""


def origin_of(target: Target, reach: Reach) -> Origin:
    """The target's origin on this way."""
    return target.scheme, target.host, target.port, reach.identity


@dataclass(slots=True)
class Lease:
    """A connection for one exchange. Given back exactly once."""

    connection: UpstreamConnection
    _pool: UpstreamPool
    _origin: Origin
    _keep_for: float
    ended: Callable[[], None] | None = None
    """Called once, when the exchange needs its connection no more."""

    def give_back(self) -> None:
        """Return the connection to the pool; it is closed where it cannot be used again."""
        self._end()
        self._pool._keep(self.connection, self._origin, self._keep_for)

    def discard(self) -> None:
        """Close the connection at once: unsent bytes are dropped."""
        self._end()
        self.connection.detach()
        self.connection.abort()

    def _end(self) -> None:
        ended, self.ended = self.ended, None
        if ended is not None:
            ended()


@dataclass(slots=True, eq=False)
class _Idle:
    """A connection that waits for its next exchange; `Timed`."""

    connection: UpstreamConnection
    pool: UpstreamPool
    origin: Origin
    until: float
    due_tick: int | None = field(default=None)

    def look(self, now: float) -> float | None:
        if now < self.until:
            return self.until
        self.pool._drop(self)
        self.connection.close()
        return None


class UpstreamPool:
    """Makes, keeps and closes connections to targets. Lives in one event loop."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadlines = deadlines
        self._addresses = Addresses(deadlines.now)
        self._guard = AddressGuard(TargetGuard())
        self._idle: dict[Origin, list[_Idle]] = {}

    def guard(self, guard: AddressGuard) -> None:
        """From now on, connect only where `guard` permits. Connections that exist are kept."""
        self._guard = guard

    async def connect(
        self, target: Target, reach: Reach, *, reuse: bool, keep_for: float, within: float | None
    ) -> Lease:
        """A connection to `target`, TLS included, in `within` seconds (None: no limit).

        With `reuse` it may be an idle one. Afterwards it may be kept for `keep_for` seconds; 0 closes it.
        Raises an UpstreamError.
        """
        if reuse and (lease := self.take(target, reach, keep_for)) is not None:
            return lease
        try:
            async with asyncio.timeout(within):
                connection = await self._make(target, reach)
        except TimeoutError:
            raise errors.UpstreamConnectTimeoutError("no connection in time") from None
        return Lease(connection, self, origin_of(target, reach), keep_for)

    def take(self, target: Target, reach: Reach, keep_for: float) -> Lease | None:
        """An idle connection to `target`, as `connect` gives it; None where there is none."""
        origin = origin_of(target, reach)
        connection = self._take(origin, reach)
        return Lease(connection, self, origin, keep_for) if connection is not None else None

    def keep_only(self, origins: set[Origin]) -> None:
        """Close what is kept for other origins than these."""
        for origin in self._idle.keys() - origins:
            self._close_idle(origin)

    async def close(self) -> None:
        """Close what is kept."""
        for origin in list(self._idle):
            self._close_idle(origin)
        await self._addresses.close()

    # Making connections.

    async def _make(self, target: Target, reach: Reach) -> UpstreamConnection:
        tunnel = reach.tunnel
        if tunnel is not None and not self._guard.permits_host(target.host):
            raise errors.UpstreamDeniedError("the target's address is not permitted")
        host, port = (target.host, target.port) if tunnel is None else (tunnel.host, tunnel.port)
        try:
            addresses = await self._addresses.resolve(host, port)
        except OSError as error:
            raise errors.UpstreamUnresolvableError(str(error)) from error
        if len(addresses) == 1 and target.scheme == "http" and tunnel is None:
            return await self._connect_directly(addresses[0])
        try:
            sock = await aiohappyeyeballs.start_connection(
                addresses,
                happy_eyeballs_delay=_HAPPY_EYEBALLS_DELAY,
                loop=self._loop,
                socket_factory=lambda info: self._guard.socket_for(info),
            )
        except errors.TargetDeniedError as error:
            raise errors.UpstreamDeniedError(str(error)) from error
        except (OSError, RuntimeError) as error:
            raise errors.UpstreamUnreachableError(str(error)) from error
        try:
            if tunnel is not None:
                await open_tunnel(sock, tunnel, target.host, target.port)
            return await self._start(sock, target, reach)
        except BaseException:
            sock.close()
            raise

    async def _connect_directly(self, info: AddressInfo) -> UpstreamConnection:
        """Where there is one address, the loop connects by itself, at a quarter of the cost."""
        host, port = str(info[4][0]), int(str(info[4][1]))
        if not self._guard.permits(host):
            raise errors.UpstreamDeniedError("the target's address is not permitted")
        try:
            transport, connection = await self._loop.create_connection(
                lambda: UpstreamConnection(self._loop), host, port, family=info[0]
            )
        except OSError as error:
            raise errors.UpstreamUnreachableError(str(error)) from error
        if (sock := transport.get_extra_info("socket")) is not None:
            probe_silent_peers(sock)
        return connection

    async def _start(self, sock: socket.socket, target: Target, reach: Reach) -> UpstreamConnection:
        secure = target.scheme == "https"
        try:
            _, connection = await self._loop.create_connection(
                lambda: UpstreamConnection(self._loop),
                sock=sock,
                ssl=(reach.context or _trusting_the_system()) if secure else None,
                server_hostname=(reach.server_name or target.host.rstrip(".")) if secure else None,
            )
        except OSError as error:
            failure = errors.UpstreamTlsFailedError if secure else errors.UpstreamUnreachableError
            raise failure(str(error)) from error
        return connection

    # Keeping connections.

    def _take(self, origin: Origin, reach: Reach) -> UpstreamConnection | None:
        kept = self._idle.get(origin)
        if kept is None:
            return None
        host, port = origin[1:3] if reach.tunnel is None else (reach.tunnel.host, reach.tunnel.port)
        addresses = self._addresses.known(host, port)
        found = None
        while kept and found is None:
            idle = kept.pop()
            self._forget(idle)
            if not idle.connection.usable:
                continue
            if addresses is not None and idle.connection.peer not in addresses:
                idle.connection.close()
            else:
                found = idle.connection
        if not kept:
            del self._idle[origin]
        return found

    def _keep(self, connection: UpstreamConnection, origin: Origin, keep_for: float) -> None:
        if not connection.usable:
            connection.close()
            return
        kept = self._idle.setdefault(origin, [])
        if keep_for <= 0 or len(kept) >= MOST_IDLE:
            connection.close()
            if not kept:
                del self._idle[origin]
            return
        idle = _Idle(connection, self, origin, self._deadlines.now() + keep_for)
        kept.append(idle)
        connection.when_lost = functools.partial(self._drop, idle)
        if math.isfinite(idle.until):
            self._deadlines.watch(idle, idle.until)

    def _drop(self, idle: _Idle) -> None:
        self._forget(idle)
        kept = self._idle.get(idle.origin)
        if kept is not None and idle in kept:
            kept.remove(idle)
            if not kept:
                del self._idle[idle.origin]

    def _forget(self, idle: _Idle) -> None:
        idle.connection.when_lost = None
        self._deadlines.forget(idle)

    def _close_idle(self, origin: Origin) -> None:
        for idle in self._idle.pop(origin):
            self._forget(idle)
            idle.connection.close()


@functools.cache
def _trusting_the_system() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
