"""`sse-gateway operator`: the process.

    kopf on.event ──▶ store ──▶ queue of gateway keys ──▶ workers: reconcile ──▶ queue: report (the leader only)
    sweep: list everything, evict ghosts, enqueue all ──▲

Followers watch and sweep as the leader does, so that they are warm when they take over. The process ends, to be
started anew, when it loses the lease or when anything ends that should not.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import sys
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import uvloop

from sse_operator.cluster.api_server import ApiServer
from sse_operator.cluster.api_statuses import ApiStatuses
from sse_operator.cluster.attempts import ATTEMPT_TIMEOUT
from sse_operator.cluster.default_gateways import DefaultGateways
from sse_operator.cluster.errors import OperatorError
from sse_operator.cluster.events import EventWriter
from sse_operator.cluster.gateway_statuses import GatewayStatuses
from sse_operator.cluster.health import HealthViews, serve
from sse_operator.cluster.kinds import PODS, Kind
from sse_operator.cluster.lease import Elector
from sse_operator.cluster.logs import log_to_stderr
from sse_operator.cluster.metrics import Metrics
from sse_operator.cluster.nudges import Nudges
from sse_operator.cluster.proxies import Proxies
from sse_operator.cluster.queue import Pace, WorkQueue
from sse_operator.cluster.reconcile import Reconciler
from sse_operator.cluster.reports import Reporter
from sse_operator.cluster.settings import OperatorSettings, settings_of
from sse_operator.cluster.settings import add_arguments as add_arguments
from sse_operator.cluster.statuses import StatusWriter
from sse_operator.cluster.store import Store
from sse_operator.cluster.sweep import RETRY, Sweeper, api_server_addresses
from sse_operator.cluster.watch import watch
from sse_operator.compiler.model import Environment
from sse_operator.compiler.targets import cluster_guard
from sse_operator.resources.deployment import ProxyPods
from sse_operator.resources.workload import Workload

logger = logging.getLogger(__name__)

SETTLE = 0.05
"""Seconds that a change waits for others of the same gateway: what `kubectl apply` brings at once is one write."""

PACE = Pace(burst=10, interval=1.0)
"""A gateway that is edited without end is written, and told of, once a second, which is as often as its pods are
nudged: one write then carries many edits. Ten in a row are done at once."""

SWEEP_OVERDUE = 60.0
"""Seconds beyond its interval after which a sweep that did not come makes the process unhealthy."""


class Operator:
    """Everything one process consists of."""

    def __init__(
        self, settings: OperatorSettings, api: ApiServer, proxies: Proxies, store: Store, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._api = api
        self._store = store
        self._metrics = metrics
        self._queue = WorkQueue(self._work, workers=settings.workers, pace=PACE)
        self._reports = WorkQueue(self._report, workers=settings.workers, pace=PACE)
        self._sweeper = Sweeper(api, store, settings.namespaces, time.monotonic)
        self._elector = (
            Elector(
                api,
                settings.operator_namespace or "default",
                settings.lease_name,
                settings.identity,
                clock=time.monotonic,
            )
            if settings.lease_name
            else None
        )
        self._started = time.monotonic()
        self._leads = False
        self._guarded = asyncio.Event()
        self._events = EventWriter(api, metrics, now=_now, clock=time.monotonic)
        self._statuses = StatusWriter(api, store, self._events)
        nudges = Nudges(proxies, store, time.monotonic, wanted=settings.nudge)
        self._reporter = Reporter(
            store,
            proxies,
            nudges,
            GatewayStatuses(self._statuses, store, now=_now, clock=time.monotonic),
            ApiStatuses(self._statuses, store, now=_now, clock=time.monotonic),
            again=self._reports.add,
        )
        self._reconciler = Reconciler(
            api,
            store,
            DefaultGateways(api, store, settings.default_gateway_grace, time.monotonic),
            Workload(
                ProxyPods(settings.image, settings.image_pull_policy, settings.image_pull_secrets),
                settings.operator_namespace,
            ),
            Environment(default_gateway=settings.default_gateway),
            nudges,
            self._reporter,
            metrics,
            now=_now,
            again=self._queue.add,
            look_again=self._sweeper.want,
        )
        if self._elector:
            api.fence = self._elector.check
        metrics.read("queue_depth", "Gateways that are due and wait for a worker.", self._queue.waiting)
        metrics.read("report_queue_depth", "Gateways whose statuses are due and wait.", self._reports.waiting)
        metrics.read("sweep_age_seconds", "Seconds since the last complete look at the cluster.", self._sweep_age)
        metrics.read("leader", "1 where this process leads, else 0.", lambda: float(self._leads))

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises OperatorError."""
        views = HealthViews(self._not_alive, self._not_ready, self._metrics.exposition)
        async with serve(self._settings.health_address, views):
            await self._run()

    async def _run(self) -> None:
        # Before kopf: it cancels tasks that were started after it.
        engine = asyncio.create_task(self._engine(), name="engine")
        shell = asyncio.create_task(
            watch(
                self._api,
                self._store,
                namespaces=self._settings.namespaces,
                enqueue=self._enqueue,
                inactivity_timeout=self._settings.watch_timeout,
                stopping=engine.cancel,
            ),
            name="kopf",
        )
        try:
            await asyncio.wait({engine, shell}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (engine, shell):
                task.cancel()
            results = await asyncio.gather(engine, shell, return_exceptions=True)
            if self._elector:
                await self._elector.release()
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _engine(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sweeper.run(self._settings.sweep_interval, self._swept), name="sweep")
            group.create_task(self._guard_targets(), name="target guard")
            # Warm first: who leads can start at once.
            await self._sweeper.completed.wait()
            await self._guarded.wait()
            gc.collect()
            gc.freeze()  # what is known by now stays, by and large: no collection is to look through it again
            if self._elector:
                await self._elector.acquire()
                group.create_task(self._elector.keep(), name="lease")
            group.create_task(self._events.run(), name="events")
            self._leads = True
            group.create_task(self._reports.run(), name="reports")
            await self._queue.run()

    async def _work(self, key: str) -> None:
        await self._reconciler.work(key)

    async def _report(self, key: str) -> None:
        await self._reporter.work(key)

    def _enqueue(self, kind: Kind, key: str) -> None:
        queue = self._reports if kind is PODS else self._queue  # no config depends on a pod, only what is told
        queue.add(key, SETTLE)

    def _swept(self) -> None:
        self._statuses.keep(self._store.apis.uids() | self._store.gateways.uids())
        for key in self._store.gateway_keys():
            self._queue.add(key)

    async def _guard_targets(self) -> None:
        """Keep the networks that no target may be in current: the API server's addresses can change."""
        while True:
            try:
                addresses = await api_server_addresses(self._api, os.environ.get("KUBERNETES_SERVICE_HOST"))
            except OperatorError as error:
                logger.warning("addresses of the API server: %s", error)
                await asyncio.sleep(RETRY)
                continue
            guard = cluster_guard(addresses, self._settings.allow_target_networks)
            if guard != self._reconciler.environment.targets:
                self._reconciler.environment = Environment(self._settings.default_gateway, guard)
                self._guarded.set()
                self._swept()
            await asyncio.sleep(self._settings.sweep_interval)

    def _sweep_age(self) -> float:
        return time.monotonic() - (self._sweeper.swept_at or self._started)

    def _not_alive(self) -> str | None:
        now = time.monotonic()
        if (age := self._sweep_age()) > self._settings.sweep_interval + SWEEP_OVERDUE:
            return f"no complete sweep for {age:.0f} s"
        if (busy := max(self._queue.longest_active(), self._reports.longest_active())) > ATTEMPT_TIMEOUT * 1.5:
            return f"a worker has been at one gateway for {busy:.0f} s"
        if self._elector and (late := self._elector.overdue(now)):
            return f"nobody has tried to renew the lease for {late:.0f} s too long"
        if self._elector and self._leads and not self._elector.leads:
            return "the lease is not held any more"
        return None

    def _not_ready(self) -> str | None:
        if self._sweeper.swept_at is None:
            return "the first sweep is not complete"
        if not self._guarded.is_set():
            return "the API server's addresses are not known"
        return self._not_alive()


def _now() -> datetime:
    return datetime.now(UTC)


async def operate(settings: OperatorSettings) -> None:
    """Run an operator with these settings until it is told to end. Raises OperatorError."""
    async with AsyncExitStack() as stack:
        metrics = Metrics()
        api = await ApiServer.connect(metrics)
        stack.push_async_callback(api.close)
        store = Store(settings.default_gateway)
        proxies = await stack.enter_async_context(Proxies(api, store))
        await Operator(settings, api, proxies, store, metrics).run()


def main(arguments: argparse.Namespace) -> int:
    """Exit code 0 after SIGTERM or SIGINT, 1 when the process has to be started anew."""
    settings = settings_of(arguments)
    try:
        log_to_stderr(settings.log_level)
    except ValueError as error:
        print(f"sse-gateway operator: --log-level: {error}", file=sys.stderr)
        return 2
    code = 0
    # Python looks through all objects whenever their number has grown by a quarter: more than ten times until ten
    # thousand SseApis are known, and for a second at last.
    gc.set_threshold(10_000, 20, 50)
    try:
        uvloop.run(operate(settings))
    except* OperatorError as errors:
        code = 1
        logger.error("ending: %s", errors.exceptions[0])
    return code
