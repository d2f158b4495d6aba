"""A gateway of files, served by a proxy in this process and kept current."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime

from sse_operator.local.addresses import Address
from sse_operator.local.watch import Watch
from sse_operator.local.workspace import Reading, Workspace
from sse_proxy.proxy import Proxy, ProxyOptions

DRAIN_PERIOD = 1.0
"""Seconds that streams have to end: who presses Ctrl-C waits for it."""


class LocalGateway:
    """What FILE_OR_DIR… say, at an address. NothingToServeError and GatewayChoiceError where they say too little."""

    def __init__(
        self,
        sources: Sequence[str],
        gateway_key: str | None = None,
        *,
        listen: Address,
        listen_tls: Address | None = None,
        admin: Address | None = None,
        report: Callable[[Reading, Address], None],
        access_log: Callable[[str], None] | None,
    ) -> None:
        """`report` is called with every reading and the address where it is served; `access_log` takes its lines."""
        self._watch = Watch(sources)  # before the first reading, so that no change is missed
        self._workspace = Workspace(sources, gateway_key)
        self._reading = self._workspace.read(datetime.now(UTC))
        self._proxy = Proxy(
            ProxyOptions(
                listen=listen,
                listen_tls=listen_tls,
                admin=admin,
                drain_period=DRAIN_PERIOD,
                access_log=access_log,
            )
        )
        self._report = report

    async def start(self) -> None:
        """Listens and serves what was read. ListenError where an address cannot be had."""
        await self._proxy.start()
        self._serve(self._reading)

    async def follow(self, stopping: asyncio.Event) -> None:
        """Serves what the files say, again after each change, until `stopping` is set."""
        following = asyncio.create_task(self._follow())
        stop = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait((following, stop), return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                await following
        finally:
            following.cancel()
            stop.cancel()
            await asyncio.gather(following, stop, return_exceptions=True)

    async def stop(self) -> None:
        """Ends the streams and then the proxy."""
        await self._proxy.drain()
        await self._proxy.stop()

    async def _follow(self) -> None:
        async with aclosing(self._watch.changes()) as changes:
            async for _ in changes:
                # In a thread: reading thousands of documents must not hold up streams.
                self._serve(await asyncio.to_thread(self._workspace.read, datetime.now(UTC)))

    def _serve(self, reading: Reading) -> None:
        self._proxy.load(reading.config)
        self._report(reading, Address(*self._proxy.listen_address))
