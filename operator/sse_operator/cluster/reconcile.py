"""One gateway from what is to what should be: compile, write what differs, nudge the pods, tell what became of it.

Level-triggered: it looks at the whole of the gateway, whatever it was that changed, and a second run in a row writes
nothing. The order of writing is what the proxies rely on: secrets and shards, then the index that names them, then what
is no longer named goes; only then are the pods nudged. To ask the proxies and to write statuses is left to `reports`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime

from sse_operator.api.objects import SseApi, SseGateway
from sse_operator.api.sse_gateway import SseGatewaySpec
from sse_operator.cluster.api_server import ApiServer
from sse_operator.cluster.apply import Applier
from sse_operator.cluster.as_of import StaleViewError
from sse_operator.cluster.attempts import attempt
from sse_operator.cluster.config_writer import ConfigWriter
from sse_operator.cluster.default_gateways import DefaultGateways
from sse_operator.cluster.errors import ApiServerError, ObjectRefusedError, told_refusal
from sse_operator.cluster.kinds import CONFIG_MAPS, SECRETS
from sse_operator.cluster.metrics import Metrics
from sse_operator.cluster.nudges import Nudges
from sse_operator.cluster.queue import WorkFailedError
from sse_operator.cluster.reports import Account, Reporter
from sse_operator.cluster.store import UNATTACHED, Store
from sse_operator.cluster.workloads import Workloads
from sse_operator.compiler.gateway import compile_gateway
from sse_operator.compiler.model import CompiledGateway, Environment, GatewayInputs, Revised
from sse_operator.compiler.revisions import with_revisions
from sse_operator.resources.admin_token import admin_token_secret, token_of
from sse_operator.resources.names import Object
from sse_operator.resources.workload import Workload

logger = logging.getLogger(__name__)

TURN_INTERVAL = 2.0
"""Seconds until a gateway asks again whether it is its turn to roll its pods."""


class Reconciler:
    """Does the work for one key of the queue. `now` is the wall clock, `clock` a monotonic one."""

    def __init__(
        self,
        api: ApiServer,
        store: Store,
        default_gateways: DefaultGateways,
        workload_settings: Workload,
        environment: Environment,
        nudges: Nudges,
        reporter: Reporter,
        metrics: Metrics,
        *,
        now: Callable[[], datetime],
        again: Callable[[str, float], None],
        look_again: Callable[[], None],
    ) -> None:
        self.environment = environment
        self._store = store
        self._default_gateways = default_gateways
        self._applier = Applier(api, store)
        self._look_again = look_again
        self._config = ConfigWriter(self._applier, store)
        self._workloads = Workloads(self._applier, store, workload_settings)
        self._nudges = nudges
        self._reporter = reporter
        self._metrics = metrics
        self._now = now
        self._again = again
        self._compiled: dict[str, CompiledGateway] = {}
        self._one_by_one = asyncio.Lock()
        """Who holds it compiles, on a thread of its own: with ten thousand new SseApis of a gateway it takes seconds,
        in which the event loop has a lease to renew and probes to answer."""

    async def work(self, key: str) -> None:
        """Reconcile, and have whatever goes wrong tried again. Raises WorkFailedError, LeaseLostError."""
        await attempt(
            self.reconcile(key), key, lambda result, seconds: self._metrics.reconciles.labels(result).observe(seconds)
        )

    async def reconcile(self, key: str) -> None:
        """One run. Raises OperatorError."""
        apis = self._store.apis.of_gateway(key)
        if key == UNATTACHED:
            await self._reporter.refuse(apis)
            return
        gateway = self._store.gateway(key) or await self._default_gateways.make(key, apis)
        if gateway is not None:
            self._check_view(gateway)
        inputs = self._inputs(key, gateway, apis)
        async with self._one_by_one:
            compiled = await asyncio.to_thread(
                compile_gateway, inputs, self.environment, self._now(), self._compiled.get(key)
            )
        self._compiled[key] = compiled
        if gateway is None:
            self._forget(key)
            await self._reporter.tell(Account(key, None, compiled))
            return
        if gateway.spec is None or compiled.accepted.status != "True" or self._leaving(gateway):
            await self._reporter.tell(Account(key, gateway, compiled))
            return
        async with self._one_by_one:
            revised = await self._config.revise(gateway, compiled)
        compiled = self._compiled[key] = with_revisions(compiled, revised)
        account = await self._write_objects(gateway, gateway.spec, compiled, revised)
        if account.config_changed:
            await self._nudges.nudge(key, None, revised.index.revision)
        await self._reporter.tell(account)
        if (remaining := await self._default_gateways.retire(gateway, apis)) is not None:
            self._again(key, remaining)
        if account.refusal:
            logger.warning("%s", account.refusal, extra={"gateway": key})
            raise WorkFailedError(account.refusal)

    def _check_view(self, gateway: SseGateway) -> None:
        """Raises StaleViewError where the config was made from newer SseApis than are known here."""
        as_of = self._config.as_of(gateway)
        if self._store.apis.newest < as_of:
            self._look_again()
            raise StaleViewError(f"the SseApis are known as of {self._store.apis.newest}, the config is of {as_of}")

    def _inputs(self, key: str, gateway: SseGateway | None, apis: Sequence[SseApi]) -> GatewayInputs:
        namespaces = {api.metadata.namespace for api in apis}
        known = {name: namespace for name in namespaces if (namespace := self._store.namespace(name))}
        referring: list[SseApi | SseGateway] = [*apis]
        if gateway is not None:
            referring.append(gateway)
        return GatewayInputs(
            key=key,
            gateway=gateway,
            apis=apis,
            namespace_labels={name: namespace.labels for name, namespace in known.items()},
            secrets=self._store.usable(SECRETS, referring),
            config_maps=self._store.usable(CONFIG_MAPS, apis),
        )

    def _leaving(self, gateway: SseGateway) -> bool:
        namespace = self._store.namespace(gateway.metadata.namespace)
        return gateway.metadata.deletion_timestamp is not None or bool(namespace and namespace.terminating)

    def _forget(self, key: str) -> None:
        self._compiled.pop(key, None)
        self._config.forget(key)
        self._workloads.forget(key)
        self._default_gateways.forget(key)

    # Objects

    async def _write_objects(
        self, gateway: SseGateway, spec: SseGatewaySpec, compiled: CompiledGateway, revised: Revised
    ) -> Account:
        key = gateway.metadata.key
        refusals: list[str] = []
        config_changed = False
        token = None
        try:
            config_changed = await self._config.write(gateway, compiled, revised)
            token = await self._admin_token(gateway)
        except (ApiServerError, ObjectRefusedError) as error:
            refusals.append(told_refusal(error))
        others, left = await self._workloads.apply(gateway, spec)
        if left:
            self._again(key, TURN_INTERVAL)
        return Account(key, gateway, compiled, revised, config_changed, token, "; ".join([*refusals, *others]))

    async def _admin_token(self, gateway: SseGateway) -> str | None:
        secret: Object = admin_token_secret(gateway, secrets.token_urlsafe(32))
        return token_of(await self._applier.create(gateway, secret))
