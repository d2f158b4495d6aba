"""Connections to upstream: one shared connector for the process, without limits, cookies or state of any client."""

from __future__ import annotations

import asyncio
import functools
import ssl
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from sse_proxy import errors
from sse_proxy.config import TargetGuard
from sse_proxy.upstream.connection import UpstreamConnection
from sse_proxy.upstream.guard import AddressGuard
from sse_proxy.upstream.target import Target

IDLE_SECONDS = 4.0
"""How long an unused connection is kept: less than the 5 s after which Node and uvicorn close theirs, so that a
request hardly ever meets a connection that upstream is just closing."""

DNS_SECONDS = 5
"""How long a host's addresses are remembered."""

_NO_LIMIT = aiohttp.ClientTimeout()


@dataclass(slots=True)
class Lease:
    """A connection for one exchange. Given back exactly once."""

    connection: UpstreamConnection
    _owner: Connection

    def give_back(self) -> None:
        """Return the connection to the pool; it is closed where it cannot be used again."""
        self._owner.release()

    def discard(self) -> None:
        """Close the connection at once: unsent bytes are dropped."""
        self.connection.detach()
        transport = self.connection.transport
        if transport is not None:
            transport.abort()
        self._owner.close()


class UpstreamPool:
    """Makes, keeps and closes connections to targets. Lives in one event loop."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._guard = AddressGuard(TargetGuard())
        self._shared = self._connector(loop, reuse=True)
        self._single = self._connector(loop, reuse=False)
        self._requests: dict[tuple[str, str, int], aiohttp.ClientRequest] = {}

    def _connector(self, loop: asyncio.AbstractEventLoop, *, reuse: bool) -> aiohttp.TCPConnector:
        connector = aiohttp.TCPConnector(
            limit=0,
            ttl_dns_cache=DNS_SECONDS,
            socket_factory=lambda info: self._guard.socket_for(info),
            **({"keepalive_timeout": IDLE_SECONDS} if reuse else {"force_close": True}),
        )
        # aiohttp has no public name for the protocol that its connector makes.
        if not hasattr(connector, "_factory"):
            raise RuntimeError("this version of aiohttp is not supported: TCPConnector has no _factory")
        cast("Any", connector)._factory = functools.partial(UpstreamConnection, loop)
        return connector

    def guard(self, guard: AddressGuard) -> None:
        """From now on, connect only where `guard` permits. Connections that exist are kept."""
        self._guard = guard

    async def connect(self, target: Target, *, reuse: bool, within: float | None) -> Lease:
        """A connection to `target`, TLS included, in `within` seconds (None: no limit).

        With `reuse` it may be an idle one, and may be kept afterwards; without, it is a new one that will be closed.
        Raises an UpstreamError.
        """
        connector = self._shared if reuse else self._single
        try:
            async with asyncio.timeout(within):
                owner = await connector.connect(self._request(target), [], _NO_LIMIT)
        except TimeoutError:
            raise errors.UpstreamConnectTimeoutError("no connection in time") from None
        except aiohttp.ClientConnectorDNSError as error:
            raise errors.UpstreamUnresolvableError(str(error)) from error
        except (aiohttp.ClientConnectorSSLError, aiohttp.ClientConnectorCertificateError, ssl.SSLError) as error:
            raise errors.UpstreamTlsFailedError(str(error)) from error
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, errors.TargetDeniedError):
                raise errors.UpstreamDeniedError(str(error.os_error)) from error
            raise errors.UpstreamUnreachableError(str(error)) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise errors.UpstreamUnreachableError(str(error)) from error
        return Lease(cast("UpstreamConnection", owner.protocol), owner)

    def _request(self, target: Target) -> aiohttp.ClientRequest:
        """What aiohttp's connector wants to know of a target. Nothing of it is ever sent."""
        key = (target.scheme, target.host, target.port)
        request = self._requests.get(key)
        if request is None:
            url = URL.build(scheme=target.scheme, host=target.host, port=target.port)
            request = aiohttp.ClientRequest("GET", url, loop=asyncio.get_running_loop())
            self._requests[key] = request
        return request

    def keep_only(self, targets: set[tuple[str, str, int]]) -> None:
        """Forget what is remembered of targets other than these (scheme, host, port)."""
        self._requests = {key: request for key, request in self._requests.items() if key in targets}

    async def close(self) -> None:
        """Close every connection."""
        await self._shared.close()
        await self._single.close()
