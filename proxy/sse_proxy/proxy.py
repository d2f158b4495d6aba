"""The proxy as a whole, to be run by a process of its own or inside another one.

proxy = Proxy(ProxyOptions(listen=("127.0.0.1", 8080)))
await proxy.start()
proxy.load(config)
…
await proxy.drain()
await proxy.stop()
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sse_proxy import access_log, admin, observations, route
from sse_proxy.certificates import Certificates
from sse_proxy.config import SCHEMA_VERSION, GatewayConfig
from sse_proxy.exchange import Exchanges
from sse_proxy.forwarded import TrustedProxies
from sse_proxy.in_parts import Parts, at_once, in_turns
from sse_proxy.limits.admission import Admission
from sse_proxy.listener import Listener, ListenerLimits, listen
from sse_proxy.metrics import Counts
from sse_proxy.plans.passwords import Passwords
from sse_proxy.problem import Problem
from sse_proxy.stream.deadlines import Deadlines
from sse_proxy.upstream.guard import AddressGuard
from sse_proxy.upstream.pool import UpstreamPool
from sse_proxy.upstream.probes import Prober

_log = logging.getLogger(__name__)

Address = tuple[str, int]


@dataclass(frozen=True)
class ProxyOptions:
    """How one proxy is run."""

    listen: Address
    """Host and port for clients; port 0 takes a free one."""
    listen_tls: Address | None = None
    """Host and port for clients that speak TLS; None for none."""
    admin: Address | None = None
    """Host and port of the admin port; None for none."""
    admin_token: str | None = None
    """Bearer token for `/config` and `/streams`; None leaves them open."""
    drain_period: float = 30.0
    """Seconds that streams have to end when the proxy is drained."""
    drain_lead: float = 0.0
    """Seconds of the drain period that pass, not ready but serving, before the first stream is ended."""
    limits: ListenerLimits = field(default_factory=ListenerLimits)
    access_log: access_log.Sink | None = None
    """Takes the lines of the access log; None for no access log."""


@dataclass(frozen=True)
class ConfigState:
    """How far the loaded config is what it should be, for `/config` and `/readyz`."""

    complete: bool = True
    """Whether one whole config has been loaded since the start."""
    lagging: Mapping[str, int] = field(default_factory=dict)
    """Shard id → revision, for shards that are behind the index."""
    faults: Sequence[str] = ()
    """What could not be loaded, one sentence each."""


class Proxy:
    """One proxy. All methods belong to the event loop that `start` was called in."""

    def __init__(self, options: ProxyOptions) -> None:
        self._options = options
        self._counts = Counts()
        self._config: GatewayConfig | None = None
        self._state = ConfigState(complete=False)
        self._draining = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._admin_server: web.Server | None = None
        self._admin_accepting: asyncio.Server | None = None
        self.listen_address: Address = options.listen
        """Where clients reach it, once started."""
        self.tls_address: Address | None = options.listen_tls
        """Where clients reach it by TLS, once started."""
        self.admin_address: Address | None = options.admin
        """Where its admin port is, once started."""

    async def start(self) -> None:
        """Listen. Raises ListenError when an address cannot be had; nothing is left open then."""
        self._deadlines = Deadlines(asyncio.get_running_loop().time)
        self._pool = UpstreamPool(self._deadlines)
        self._passwords = Passwords()
        self._prober = Prober(self._pool, self._deadlines)
        self._exchanges = Exchanges(self._pool, self._deadlines, self._counts, self._options.access_log)
        self._certificates = Certificates()
        self._listener, self._tls_listener = (
            Listener(
                self._exchanges, limits=self._options.limits, deadlines=self._deadlines, refused=self._refused, tls=tls
            )
            for tls in (None, self._certificates.context)
        )
        self._supervise(self._deadlines.run())
        try:
            self.listen_address = await self._listener.listen(*self._options.listen)
            if self._options.listen_tls is not None:
                self.tls_address = await self._tls_listener.listen(*self._options.listen_tls)
            if self._options.admin is not None:
                await self._start_admin(self._options.admin)
        except BaseException:
            await self.stop()
            raise

    async def _start_admin(self, address: Address) -> None:
        views = admin.AdminViews(self.not_ready, self.metrics, self.config_view, self.streams_view)
        self._admin_server = admin.handler(views, self._options.admin_token)
        self._admin_accepting = await listen(self._admin_server, *address)
        name = self._admin_accepting.sockets[0].getsockname()
        self.admin_address = (str(name[0]), int(name[1]))

    def load(self, config: GatewayConfig, state: ConfigState | None = None) -> None:
        """Serve by `config` from the next request on. Exchanges under way keep the entry they started with.

        Raises ConfigError where its settings cannot be used; everything is as before then."""
        at_once(self._loading(config, state or ConfigState()))

    async def load_in_turns(self, config: GatewayConfig, state: ConfigState) -> None:
        """The same by and by, for one config at a time: streams go on meanwhile, and requests by what was before."""
        await in_turns(self._loading(config, state))

    def _loading(self, config: GatewayConfig, state: ConfigState) -> Parts[None]:
        guard = AddressGuard(config.settings.targets)
        trusted = TrustedProxies(config.settings.trusted_proxies)
        table = yield from route.build(
            config, self._exchanges.table, self._counts, self._passwords, self._deadlines.now, complete=state.complete
        )
        self._pool.guard(guard)
        self._pool.keep_only(table.origins())
        self._prober.keep(table.probed())
        self._exchanges.serve_by(table)
        limits = config.settings.limits
        self._exchanges.admission = Admission(limits, self._exchanges.admission)
        self._exchanges.trusted = self._listener.trusted = trusted
        self._listener.proxy_protocol = config.settings.proxy_protocol
        self._listener.limits = self._tls_listener.limits = self._options.limits.given(limits)
        tls = config.settings.tls
        shown = config.secrets.get(tls.secrets) if tls is not None and tls.secrets is not None else None
        self._certificates.use(tls, shown.values if shown is not None else {})
        self._config, self._state = config, state
        self._counts.keep_only(table.routes)
        self._counts.config_revision = config.revision
        self._counts.config_loads += 1
        self._counts.config_faults = len(state.faults)

    def load_failed(self) -> None:
        """Count a config that could not be loaded."""
        self._counts.config_load_errors += 1

    def not_ready(self) -> str | None:
        """Why no requests should be sent here; None when they should."""
        if self._draining:
            return "draining"
        if not self._state.complete:
            return "no complete configuration has been loaded yet"
        return None

    def metrics(self) -> bytes:
        """The metrics in Prometheus' text format."""
        self._counts.ready = self.not_ready() is None
        return self._counts.exposition()

    def config_view(self) -> dict[str, object]:
        """What `/config` shows."""
        return {
            "schemaVersion": SCHEMA_VERSION,
            "revision": self._config.revision if self._config is not None else 0,
            "complete": self._state.complete,
            "shards": dict(self._state.lagging),
            "faults": list(self._state.faults),
            "warnings": observations.view(
                (route.observations for route in self._exchanges.table.routes.values()), self._deadlines.now()
            ),
        }

    def streams_view(self) -> list[dict[str, object]]:
        """What `/streams` shows: the exchanges whose response is under way."""
        now = self._deadlines.now()
        return [
            {
                "id": account.id,
                "api": account.route.api.key if account.route is not None else None,
                "endpoint": account.endpoint.name if account.endpoint is not None else None,
                "healthy": account.endpoint.health.healthy if account.endpoint is not None else None,
                "client": account.client,
                "consumer": account.consumer.name or None,
                "method": account.method,
                "status": account.status,
                "stream": account.stream,
                "bytes": relay.bytes_sent,
                "seconds": round(now - account.started, 3),
            }
            for relay, account in self._exchanges.accounts.items()
        ]

    async def drain(self) -> None:
        """Become not ready, then end every exchange within the drain period, event streams at an event boundary where
        there is a choice. New requests are still answered: some are on their way until everybody knows."""
        self._draining = self._exchanges.closing = True
        lead = min(self._options.drain_lead, self._options.drain_period)
        await asyncio.sleep(lead)
        await self._exchanges.live.drain(self._deadlines.now(), self._options.drain_period - lead)

    async def stop(self) -> None:
        """Close every connection and give back everything. Once started, it may be called at any time."""
        await asyncio.gather(self._listener.close(within=1.0), self._tls_listener.close(within=1.0))
        if self._admin_accepting is not None:
            self._admin_accepting.close()
        if self._admin_server is not None:
            await self._admin_server.shutdown(1.0)
        self._exchanges.close()
        await self._prober.close()
        await self._pool.close()
        self._passwords.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _refused(self, problem: Problem, client: str | None) -> None:
        refused = self._counts.connections_refused
        refused[problem.reason] = refused.get(problem.reason, 0) + 1
        if self._options.access_log is not None:
            self._options.access_log(
                access_log.line(
                    "request",
                    access_log.member("client", client),
                    f',"status":{problem.status}',
                    access_log.member("reason", problem.reason),
                )
            )

    def _supervise(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a task for as long as the proxy runs, and say so loudly when it ends by itself."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(_report)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.critical("a background task of the proxy ended", exc_info=error)
