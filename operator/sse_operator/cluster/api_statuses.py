"""The statuses of a gateway's SseApis, worked out only where something that they tell is not as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from sse_operator.api.objects import SseApi
from sse_operator.api.sse_api import SseApiStatus
from sse_operator.cluster.api_server import settle
from sse_operator.cluster.statuses import StatusWriter
from sse_operator.compiler.gateway import refuse_unattached
from sse_operator.compiler.model import ApiResult, CompiledGateway, Programmed, Revised
from sse_operator.compiler.observed import with_observed
from sse_operator.compiler.status import sse_api_status
from sse_operator.compiler.verdicts import api_verdicts

ValueT = TypeVar("ValueT")

_Told = tuple[ApiResult, object]
"""What became of an SseApi, whose status is part of it, and all else that its status tells of."""


PATIENCE = 3.0
"""Seconds after an edit in which nothing is written but that its config is on its way to the proxies: the status is of
an older generation, which says as much, and one write instead of two is what thousands of edits need."""


class ApiStatuses:
    """Of all gateways. `now` is the wall clock, `clock` a monotonic one."""

    def __init__(self, writer: StatusWriter, *, now: Callable[[], datetime], clock: Callable[[], float]) -> None:
        self._writer = writer
        self._now = now
        self._clock = clock
        self._on_its_way: dict[str, dict[str, float]] = {}
        """Gateway → SseApi → since when an edit of it is on its way."""
        self._in_order: dict[str, dict[str, _Told]] = {}
        """Gateway → SseApi → what was told when its status was found to say just that."""

    async def write(
        self,
        gateway_key: str,
        compiled: CompiledGateway,
        revised: Revised | None,
        programmed: Programmed | None,
        reached_at: Sequence[str],
    ) -> None:
        """Write those that differ. Raises ApiServerError."""
        revisions = revised.revisions if revised else {}
        before, in_order = self._in_order.get(gateway_key, {}), dict[str, _Told]()
        since, on_its_way = self._on_its_way.get(gateway_key, {}), dict[str, float]()
        to_write: list[tuple[SseApi, SseApiStatus]] = []
        now = self._now()
        for key, result in compiled.results.items():
            observed = with_observed(result, programmed)
            verdicts = api_verdicts(observed, programmed, revisions.get(key, 0))
            told = (observed.warnings, verdicts, reached_at)
            known = before.get(key)
            if known is not None and known[0] is result and known[1] == told:
                in_order[key] = known
                continue
            status = sse_api_status(observed, verdicts, gateway_key=gateway_key, base_urls=reached_at, now=now)
            if status == result.api.status:
                in_order[key] = (result, told)
                continue
            if _is_on_its_way(result.api, status):
                on_its_way[key] = since.get(key, self._clock())
                if self._clock() - on_its_way[key] < PATIENCE:
                    continue
            to_write.append((result.api, status))
        _remember(self._in_order, gateway_key, in_order)
        _remember(self._on_its_way, gateway_key, on_its_way)
        await settle(*(self._writer.write_api(api, status) for api, status in to_write))

    async def refuse(self, apis: Sequence[SseApi]) -> None:
        """Of SseApis whose gatewayRef is faulty: no gateway has them. Raises ApiServerError."""
        for api in apis:
            if api.metadata.deletion_timestamp is None:
                result = refuse_unattached(api)
                verdicts = api_verdicts(result, None, 0)
                status = sse_api_status(result, verdicts, gateway_key=None, base_urls=(), now=self._now())
                await self._writer.write_api(api, status)


def _is_on_its_way(api: SseApi, status: SseApiStatus) -> bool:
    """Whether all that is new is that the proxies do not have the latest edit yet. What it holds is written at once,
    whatever its proxies say: it decides who may have what."""
    edited = api.status.observed_generation not in (None, -1, api.metadata.generation)
    pending = any(each.type == "Ready" and each.reason == "Pending" for each in status.conditions)
    return edited and pending and api.status.claim == status.claim


def _remember(all_of_it: dict[str, dict[str, ValueT]], gateway_key: str, of_gateway: dict[str, ValueT]) -> None:
    if of_gateway:
        all_of_it[gateway_key] = of_gateway
    else:
        all_of_it.pop(gateway_key, None)
