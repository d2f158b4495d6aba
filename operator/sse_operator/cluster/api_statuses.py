"""The statuses of a gateway's SseApis, worked out only where something that they tell is not as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sse_operator.api.objects import SseApi
from sse_operator.api.sse_api import SseApiStatus
from sse_operator.cluster.api_server import settle
from sse_operator.cluster.statuses import StatusWriter
from sse_operator.compiler.gateway import refuse_unattached
from sse_operator.compiler.model import ApiResult, CompiledGateway, Programmed, Revised
from sse_operator.compiler.observed import with_observed
from sse_operator.compiler.status import sse_api_status
from sse_operator.compiler.verdicts import api_verdicts

_Told = tuple[ApiResult, object]
"""What became of an SseApi, whose status is part of it, and all else that its status tells of."""


class ApiStatuses:
    """Of all gateways. `now` is the wall clock."""

    def __init__(self, writer: StatusWriter, now: Callable[[], datetime]) -> None:
        self._writer = writer
        self._now = now
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
            else:
                to_write.append((result.api, status))
        self._in_order[gateway_key] = in_order
        if not in_order:
            del self._in_order[gateway_key]
        await settle(*(self._writer.write_api(api, status) for api, status in to_write))

    async def refuse(self, apis: Sequence[SseApi]) -> None:
        """Of SseApis whose gatewayRef is faulty: no gateway has them. Raises ApiServerError."""
        for api in apis:
            if api.metadata.deletion_timestamp is None:
                result = refuse_unattached(api)
                verdicts = api_verdicts(result, None, 0)
                status = sse_api_status(result, verdicts, gateway_key=None, base_urls=(), now=self._now())
                await self._writer.write_api(api, status)
