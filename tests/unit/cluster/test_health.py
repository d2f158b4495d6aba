"""The health port over real sockets: it says why, and what it counts."""

import aiohttp
import pytest

from ports import free_port
from sse_operator.cluster.errors import OperatorError
from sse_operator.cluster.health import HealthViews, serve
from sse_operator.cluster.metrics import Metrics


async def test_each_view_is_asked_anew() -> None:
    wrong: list[str] = []
    metrics = Metrics()
    metrics.read("leader", "Leads.", lambda: 1.0)
    metrics.count_request("patch", 409)
    metrics.count_request("list", None)
    address = f"127.0.0.1:{free_port()}"
    views = HealthViews(lambda: wrong[0] if wrong else None, lambda: "not yet", metrics.exposition)
    async with serve(address, views), aiohttp.ClientSession(f"http://{address}") as client:

        async def get(path: str) -> tuple[int, str]:
            async with client.get(path) as answer:
                return answer.status, (await answer.text()).strip()

        assert await get("/livez") == (200, "ok")
        assert await get("/readyz") == (503, "not yet")
        wrong.append("no complete sweep for 400 s")
        assert await get("/livez") == (503, "no complete sweep for 400 s")
        assert (await get("/nowhere"))[0] == 404
        shown = (await get("/metrics"))[1]
        async with client.post("/livez") as refused:
            assert refused.status == 405
    for line in (
        "sse_gateway_operator_leader 1.0",
        'sse_gateway_operator_api_requests_total{code="409",verb="patch"} 1.0',
        'sse_gateway_operator_api_requests_total{code="none",verb="list"} 1.0',
        "sse_gateway_operator_apply_conflicts_total 1.0",
    ):
        assert line in shown


async def test_an_address_that_is_taken_is_one_error() -> None:
    address = f"127.0.0.1:{free_port()}"
    views = HealthViews(lambda: None, lambda: None, lambda: b"")
    async with serve(address, views):
        with pytest.raises(OperatorError, match=f"--health-address {address}"):
            async with serve(address, views):
                pass


def test_what_can_be_counted_is_there_from_the_start() -> None:
    shown = Metrics().exposition().decode().splitlines()
    for line in (
        'sse_gateway_operator_reconcile_seconds_count{result="done"} 0.0',
        'sse_gateway_operator_reconcile_seconds_count{result="conflict"} 0.0',
        'sse_gateway_operator_watch_restarts_total{resource="sseapis"} 0.0',
        "sse_gateway_operator_apply_conflicts_total 0.0",
        "sse_gateway_operator_events_dropped_total 0.0",
    ):
        assert line in shown
    assert not [line for line in shown if "_created" in line]
