"""The statuses of a gateway's SseApis, worked out only where something that they tell is not as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from sse_operator.api.conditions import Verdict
from sse_operator.api.objects import SseApi
from sse_operator.api.sse_api import SseApiStatus, Warned
from sse_operator.cluster.api_server import settle
from sse_operator.cluster.loaded import loaded_everywhere
from sse_operator.cluster.statuses import StatusWriter
from sse_operator.cluster.store import Store
from sse_operator.compiler.gateway import refuse_unattached
from sse_operator.compiler.model import ApiResult, CompiledGateway, Programmed, Revised
from sse_operator.compiler.observed import with_observed
from sse_operator.compiler.status import sse_api_status
from sse_operator.compiler.verdicts import api_verdicts

ValueT = TypeVar("ValueT")

AT_ONCE = 64
"""Statuses of one gateway that are under way, or wait for that, at the same time: of ten thousand, a few are in memory,
and where the run is given up a few are to be cancelled."""

TURN = 256
"""SseApis that are looked at in a row: the lease must be renewed, and the probes answered, between them."""

PATIENCE = 3.0
"""Seconds after an edit in which nothing is written but that its config is on its way to the proxies: the status is of
an older generation, which says as much, and one write instead of two is what thousands of edits need."""


@dataclass(frozen=True, slots=True)
class _InOrder:
    """An SseApi whose status was found to say just what it should."""

    result: ApiResult
    current: SseApi
    """The SseApi with that status."""
    told: tuple[Sequence[Warned], Sequence[Verdict], Sequence[str]]
    """What else its status tells of: warnings, verdicts, and where the gateway is reached."""
    loaded: bool
    """Whether that was so while every proxy had its entry, and none warned of it."""


class ApiStatuses:
    """Of all gateways. `now` is the wall clock, `clock` a monotonic one."""

    def __init__(
        self, writer: StatusWriter, store: Store, *, now: Callable[[], datetime], clock: Callable[[], float]
    ) -> None:
        self._writer = writer
        self._store = store
        self._now = now
        self._clock = clock
        self._on_its_way: dict[str, dict[str, float]] = {}
        """Gateway → SseApi → since when an edit of it is on its way."""
        self._in_order: dict[str, dict[str, _InOrder]] = {}
        """By gateway and SseApi."""

    async def write(
        self,
        gateway_key: str,
        compiled: CompiledGateway,
        revised: Revised | None,
        programmed: Programmed | None,
        reached_at: Sequence[str],
    ) -> None:
        """Write those that differ from what was compiled, on the SseApis as they are now. Raises ApiServerError."""
        entries = revised.entries if revised else {}
        in_order = self._in_order.setdefault(gateway_key, {})
        on_its_way = self._on_its_way.setdefault(gateway_key, {})
        to_write: list[tuple[SseApi, SseApiStatus]] = []
        everywhere = loaded_everywhere(programmed)
        warned = {key for warnings in programmed.warnings.values() for key in warnings} if programmed else set()
        now = self._now()
        for number, (key, result) in enumerate(compiled.results.items(), 1):
            if number % TURN == 0:
                await asyncio.sleep(0)
            if len(to_write) == AT_ONCE:
                await self._write(to_write)
            metadata = result.api.metadata
            current = self._store.apis.attached(gateway_key).get((metadata.namespace, metadata.name))
            if current is None or current.metadata.uid != metadata.uid:
                continue  # it went, or to another gateway, whose it is to tell
            revision = entry.revision if (entry := entries.get(key)) else 0
            loaded = revision <= everywhere and key not in warned
            known = in_order.pop(key, None)
            since = on_its_way.pop(key, None)
            if known is not None and (known.result is not result or known.current is not current):
                known = None
            if known is not None and known.loaded and loaded and known.told[-1] == reached_at:
                in_order[key] = known
                continue
            compiled_api = result.api if result.api is current else replace(result.api, status=current.status)
            observed = with_observed(replace(result, api=compiled_api), programmed)
            verdicts = api_verdicts(observed, programmed, revision)
            told = (observed.warnings, verdicts, reached_at)
            if known is not None and known.told == told:
                in_order[key] = replace(known, loaded=loaded)
                continue
            status = sse_api_status(observed, verdicts, gateway_key=gateway_key, base_urls=reached_at, now=now)
            if status == current.status:
                in_order[key] = _InOrder(result, current, told, loaded)
                continue
            if (current.status.observed_generation or 0) > metadata.generation:
                continue
            if _is_on_its_way(compiled_api, status):
                on_its_way[key] = self._clock() if since is None else since
                if self._clock() - on_its_way[key] < PATIENCE:
                    continue
            to_write.append((compiled_api, status))
        await self._write(to_write)
        _keep(self._in_order, gateway_key, compiled.results)
        _keep(self._on_its_way, gateway_key, compiled.results)

    async def _write(self, statuses: list[tuple[SseApi, SseApiStatus]]) -> None:
        """Write them, and take them off the list."""
        await settle(*(self._writer.write_api(api, status) for api, status in statuses))
        statuses.clear()

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


def _keep(remembered: dict[str, dict[str, ValueT]], gateway_key: str, keys: Collection[str]) -> None:
    """Forget those SseApis of the gateway that are not its own any more."""
    of_gateway = remembered[gateway_key]
    for key in [key for key in of_gateway if key not in keys]:
        del of_gateway[key]
    if not of_gateway:
        del remembered[gateway_key]
