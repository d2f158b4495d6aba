"""The statuses of the gateways themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sse_operator.api.objects import SseGateway
from sse_operator.api.sse_gateway import SseGatewayStatus
from sse_operator.cluster.api_statuses import PATIENCE
from sse_operator.cluster.statuses import StatusWriter
from sse_operator.cluster.store import Store
from sse_operator.compiler.model import CompiledGateway, Programmed, Revised
from sse_operator.compiler.status import sse_gateway_status
from sse_operator.compiler.verdicts import gateway_verdicts
from sse_operator.resources.names import service_host


class GatewayStatuses:
    """Of all gateways. `now` is the wall clock, `clock` a monotonic one.

    A gateway whose SseApis are edited gets a new revision each time, and its proxies lack it for a moment. While that
    is all there is to tell, the status goes on telling of the revision before: it says which, so it stays true. It is
    told at last after `PATIENCE` seconds."""

    def __init__(
        self, writer: StatusWriter, store: Store, *, now: Callable[[], datetime], clock: Callable[[], float]
    ) -> None:
        self._writer = writer
        self._store = store
        self._now = now
        self._clock = clock
        self._written: dict[str, float] = {}
        """Gateway → when its status was written."""
        self._on_its_way: dict[str, float] = {}
        """Gateway → since when its proxies lack a revision that its status does not tell of."""

    async def write(
        self,
        gateway: SseGateway,
        compiled: CompiledGateway,
        revised: Revised | None,
        programmed: Programmed | None,
        refusal: str,
    ) -> float | None:
        """Write the status if it differs. Seconds until that is to be asked again, where something is left untold.
        Raises ApiServerError."""
        key = gateway.metadata.key
        revision = revised.index.revision if revised else gateway.status.revision or 0
        status = sse_gateway_status(
            gateway,
            gateway_verdicts(gateway, compiled, programmed, revision, apply_failure=refusal),
            revision=revision,
            attached=sum(result.accepted.status == "True" for result in compiled.results.values()),
            ready_replicas=sum(pod.serves for pod in self._store.pods.of_gateway(key)),
            address=service_host(gateway.metadata.namespace, gateway.metadata.name),
            now=self._now(),
        )
        if gateway.metadata.deletion_timestamp is not None:
            return None
        wait = self._may_wait(key, gateway.status, status)
        if wait <= 0:
            self._on_its_way.pop(key, None)
            if await self._writer.write_gateway(gateway, status):
                self._written[key] = self._clock()
            return None
        return wait

    def forget(self, gateway_key: str) -> None:
        """The gateway is gone."""
        self._written.pop(gateway_key, None)
        self._on_its_way.pop(gateway_key, None)

    def _may_wait(self, key: str, before: SseGatewayStatus, after: SseGatewayStatus) -> float:
        """For how many seconds the status may stay as it was; none where it does not differ."""
        if before == after or not _only_a_revision(before, after):
            return 0.0
        if _deciding_reason(after) == "Pending":
            since = self._on_its_way.setdefault(key, self._clock())
        else:
            since = self._written.get(key, float("-inf"))
        return since + PATIENCE - self._clock()


def _only_a_revision(before: SseGatewayStatus, after: SseGatewayStatus) -> bool:
    """Whether all that is new is a revision, on its way to the proxies or there."""
    passing: dict[str, object] = {"revision": None, "conditions": []}
    return (
        _deciding_reason(before) == "Ready"
        and _deciding_reason(after) in ("Ready", "Pending")
        and before.model_copy(update=passing) == after.model_copy(update=passing)
    )


def _deciding_reason(status: SseGatewayStatus) -> str:
    return next((each.reason for each in status.conditions if each.type == "Ready"), "")
