"""One gateway from what is to what should be: compile, write what differs, ask the proxies, write the statuses.

Level-triggered: it looks at the whole of the gateway, whatever it was that changed, and a second run in a row writes
nothing. The order of writing is what the proxies rely on: secrets and shards, then the index that names them, then what
is no longer named goes; only then are the pods nudged.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sse_operator.api.objects import SseApi, SseGateway
from sse_operator.api.sse_gateway import SseGatewaySpec
from sse_operator.cluster.api_server import ApiServer, settle
from sse_operator.cluster.api_statuses import ApiStatuses
from sse_operator.cluster.apply import Applier, name_of
from sse_operator.cluster.as_of import StaleViewError
from sse_operator.cluster.config_writer import ConfigWriter
from sse_operator.cluster.default_gateways import DefaultGateways
from sse_operator.cluster.errors import ApiServerError, LeaseLostError, ObjectRefusedError, OperatorError
from sse_operator.cluster.events import EventWriter
from sse_operator.cluster.kinds import CONFIG_MAPS, DEPLOYMENTS, DISPENSABLE, SECRETS, kind_of
from sse_operator.cluster.loaded import behind
from sse_operator.cluster.metrics import Metrics
from sse_operator.cluster.proxies import Proxies
from sse_operator.cluster.queue import WorkFailedError
from sse_operator.cluster.rollouts import Rollouts
from sse_operator.cluster.statuses import StatusWriter
from sse_operator.cluster.store import UNATTACHED, Store
from sse_operator.compiler.gateway import compile_gateway
from sse_operator.compiler.model import CompiledGateway, Environment, GatewayInputs, Programmed, Revised
from sse_operator.compiler.revisions import with_revisions
from sse_operator.compiler.status import sse_gateway_status
from sse_operator.compiler.verdicts import gateway_verdicts
from sse_operator.resources.admin_token import admin_token_secret, token_of
from sse_operator.resources.exposure import base_urls
from sse_operator.resources.names import Object, service_host
from sse_operator.resources.workload import Workload, workload

logger = logging.getLogger(__name__)

NUDGE_INTERVAL = 1.0
"""Seconds between two nudges of a gateway's pods."""

NUDGE_AGAIN = 10.0
"""Seconds until a pod that has not loaded what it was nudged to is nudged again."""

FIRST_ASK, LONGEST_ASK = 0.2, 5.0
"""Seconds between two questions to proxies that have not loaded the config yet; doubles each time."""

OBSERVE_INTERVAL = 60.0
"""Seconds between two questions to proxies that have all of the config: what they warn of changes without any edit."""

TURN_INTERVAL = 2.0
"""Seconds until a gateway asks again whether it is its turn to roll its pods."""

RECONCILE_TIMEOUT = 120.0
"""Seconds for one run; every request in it has a limit of its own."""


@dataclass(frozen=True)
class _Written:
    """What became of a gateway's objects."""

    revised: Revised
    config_changed: bool
    token: str | None
    refusal: str
    """What the API server said to one of the objects, if it refused any."""


class Reconciler:
    """Does the work for one key of the queue. `now` is the wall clock, `clock` a monotonic one."""

    def __init__(
        self,
        api: ApiServer,
        store: Store,
        proxies: Proxies,
        default_gateways: DefaultGateways,
        workload_settings: Workload,
        environment: Environment,
        events: EventWriter,
        metrics: Metrics,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        again: Callable[[str, float], None],
        look_again: Callable[[], None],
        nudge: bool,
    ) -> None:
        self.environment = environment
        self._store = store
        self._proxies = proxies
        self._default_gateways = default_gateways
        self._workload = workload_settings
        self._applier = Applier(api, store)
        self._rollouts = Rollouts(self._applier, store)
        self._look_again = look_again
        self._config = ConfigWriter(self._applier, store)
        self._statuses = StatusWriter(api, store, events)
        self._api_statuses = ApiStatuses(self._statuses, now=now, clock=clock)
        self._metrics = metrics
        self._now = now
        self._clock = clock
        self._again = again
        self._nudges = nudge
        self._compiled: dict[str, CompiledGateway] = {}
        self._one_by_one = asyncio.Lock()
        """So that the event loop turns between two gateways: many compiled in a row would hold up the lease."""
        self._nudged: dict[str, float] = {}
        self._asked: dict[str, int] = {}

    async def work(self, key: str) -> None:
        """Reconcile, and have whatever goes wrong tried again. Raises WorkFailedError, LeaseLostError."""
        began = self._clock()
        result = "error"
        try:
            async with asyncio.timeout(RECONCILE_TIMEOUT):
                await self.reconcile(key)
            result = "done"
        except LeaseLostError:
            raise
        except WorkFailedError:
            result = "refused"
            raise
        except ApiServerError as error:
            result = "conflict" if error.conflict else "error"
            log = logger.debug if error.conflict or error.terminating else logger.warning
            log("%s", error, extra={"gateway": key})
            raise WorkFailedError(str(error), error.retry_after) from error
        except (OperatorError, TimeoutError) as error:
            logger.warning("%s", error or "took too long", extra={"gateway": key})
            raise WorkFailedError(str(error)) from error
        except Exception as error:  # a fault of ours in one gateway must not stop the others
            logger.exception("reconcile failed", extra={"gateway": key})
            raise WorkFailedError(repr(error)) from error
        finally:
            self._metrics.reconciles.labels(result).observe(self._clock() - began)

    def swept(self) -> None:
        """Forget what is no more, after a complete look at the cluster."""
        self._statuses.keep(self._store.apis.uids() | self._store.gateways.uids())

    async def reconcile(self, key: str) -> None:
        """One run. Raises OperatorError."""
        async with self._one_by_one:
            await asyncio.sleep(0)
        apis = self._store.apis.of_gateway(key)
        if key == UNATTACHED:
            await self._api_statuses.refuse(apis)
            return
        gateway = self._store.gateway(key) or await self._default_gateways.make(key, apis)
        if gateway is not None:
            self._check_view(gateway)
        compiled = compile_gateway(
            self._inputs(key, gateway, apis), self.environment, self._now(), self._compiled.get(key)
        )
        self._compiled[key] = compiled
        if gateway is None:
            self._forget(key)
            await self._api_statuses.write(key, compiled, None, None, [])
            return
        if gateway.spec is None or compiled.accepted.status != "True" or self._leaving(gateway):
            await self._write_statuses(gateway, compiled, None, None, "")
            return
        revised = self._config.revise(gateway, compiled)
        compiled = self._compiled[key] = with_revisions(compiled, revised)
        written = await self._write_objects(gateway, gateway.spec, compiled, revised)
        programmed = await self._program(gateway, written)
        await self._write_statuses(gateway, compiled, written.revised, programmed, written.refusal)
        if (remaining := await self._default_gateways.retire(gateway, apis)) is not None:
            self._again(key, remaining)
        if written.refusal:
            logger.warning("%s", written.refusal, extra={"gateway": key})
            raise WorkFailedError(written.refusal)

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
        self._nudged.pop(key, None)
        self._asked.pop(key, None)
        self._compiled.pop(key, None)
        self._config.forget(key)
        self._default_gateways.forget(key)

    # Objects

    async def _write_objects(
        self, gateway: SseGateway, spec: SseGatewaySpec, compiled: CompiledGateway, revised: Revised
    ) -> _Written:
        objects = workload(gateway, spec, self._workload)
        refusals: list[str] = []
        config_changed = False
        token = None
        try:
            config_changed = await self._config.write(gateway, compiled, revised)
            token = await self._admin_token(gateway)
        except (ApiServerError, ObjectRefusedError) as error:
            refusals.append(_refusal(error))
        for document in objects:
            try:
                if kind_of(document) is not DEPLOYMENTS:
                    await self._applier.apply(gateway, document)
                elif await self._rollouts.apply(gateway, document):
                    self._again(gateway.metadata.key, TURN_INTERVAL)
            except (ApiServerError, ObjectRefusedError) as error:
                refusals.append(_refusal(error))
        if not refusals:
            await self._applier.prune(gateway, ((kind_of(each), name_of(each)) for each in objects), DISPENSABLE)
        return _Written(revised, config_changed, token, "; ".join(refusals))

    async def _admin_token(self, gateway: SseGateway) -> str | None:
        secret: Object = admin_token_secret(gateway, secrets.token_urlsafe(32))
        return token_of(await self._applier.create(gateway, secret))

    # Proxies

    async def _program(self, gateway: SseGateway, written: _Written) -> Programmed | None:
        """What the proxies say of the config, nudged if they need it; asked again soon while they lack some of it."""
        key, revision = gateway.metadata.key, written.revised.index.revision
        pods = self._store.pods.of_gateway(key)
        if written.config_changed:
            self._asked.pop(key, None)
            await self._nudge(key, {pod.name for pod in pods}, revision)
        if written.token is None:
            return None
        programmed = await self._proxies.ask(pods, written.token)
        late = behind(programmed, revision)
        if not late:
            self._asked.pop(key, None)
            if programmed.ready_pods:
                self._again(key, OBSERVE_INTERVAL)
            return programmed
        await self._nudge(key, late - set(programmed.unreachable), revision)
        times = self._asked[key] = self._asked.get(key, 0) + 1
        self._again(key, min(FIRST_ASK * 2 ** min(times - 1, 30), LONGEST_ASK))
        return programmed

    async def _nudge(self, key: str, names: set[str], revision: int) -> None:
        if not self._nudges:
            return
        elapsed = self._clock() - self._nudged.get(key, float("-inf"))
        nudges = [
            (pod, to)
            for pod in self._store.pods.of_gateway(key)
            if pod.name in names and not pod.leaving
            if (to := pod.next_nudge(revision, again=elapsed >= NUDGE_AGAIN))
        ]
        if not nudges:
            return
        if elapsed < NUDGE_INTERVAL:
            self._again(key, NUDGE_INTERVAL - elapsed)
            return
        self._nudged[key] = self._clock()
        await settle(*(self._proxies.nudge(pod, to) for pod, to in nudges))

    # Statuses

    async def _write_statuses(
        self,
        gateway: SseGateway,
        compiled: CompiledGateway,
        revised: Revised | None,
        programmed: Programmed | None,
        refusal: str,
    ) -> None:
        key = gateway.metadata.key
        revision = revised.index.revision if revised else gateway.status.revision or 0
        pods = self._store.pods.of_gateway(key)
        status = sse_gateway_status(
            gateway,
            gateway_verdicts(gateway, compiled, programmed, revision, apply_failure=refusal),
            revision=revision,
            attached=sum(result.accepted.status == "True" for result in compiled.results.values()),
            ready_replicas=sum(pod.serves for pod in pods),
            address=service_host(gateway.metadata.namespace, gateway.metadata.name),
            now=self._now(),
        )
        if gateway.metadata.deletion_timestamp is None:
            # First, since it keeps the revision from going back should the index get lost.
            await self._statuses.write_gateway(gateway, status)
        await self._api_statuses.write(key, compiled, revised, programmed, base_urls(gateway))


def _refusal(error: ApiServerError | ObjectRefusedError) -> str:
    """What to tell of an object that was refused. What will pass by itself is raised instead."""
    if isinstance(error, ApiServerError) and (error.passing or error.terminating):
        raise error
    return str(error)
