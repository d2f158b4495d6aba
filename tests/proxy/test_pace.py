"""A machine that checks what the tutorial says: keep the idle timeout above the endpoint's keep-alive interval."""

from __future__ import annotations

import asyncio
import json

import pytest

from proxy.harness import Call, Gateway, Origin, api, eventually
from sse_proxy.observations import Observations
from sse_proxy.stream.pace import REASON, Pace


def told(seen: Observations, now: float) -> list[str]:
    return [message for reason, message in seen.standing(now) if reason == REASON]


def test_three_streams_that_it_ended() -> None:
    seen = Observations("shop/a")
    pace = Pace(70.0, seen)
    pace.ended(0.0)
    pace.ended(100.0)
    assert told(seen, 100.0) == []
    pace.ended(200.0)
    (message,) = told(seen, 200.0)
    assert "timeouts.idle, which is 70s, ended 3 streams" in message
    # More of the same changes nothing in the text, and it stands for an hour more.
    for number in range(10):
        pace.ended(300.0 + number)
    assert told(seen, 309.0 + 3599) == [message]
    assert told(seen, 309.0 + 3600) == []


def test_three_silences_that_came_near() -> None:
    seen = Observations("shop/a")
    pace = Pace(70.0, seen)
    for number, seconds in enumerate((63.0, 68.25, 65.0)):
        assert told(seen, number) == []
        pace.paused(seconds, number)
    (message,) = told(seen, 3)
    assert "silent for up to 68.2s" in message
    assert "timeouts.idle, 70s" in message


def test_old_evidence_does_not_count() -> None:
    seen = Observations("shop/a")
    pace = Pace(70.0, seen)
    for number in range(10):
        pace.ended(number * 3600.0)
        pace.paused(69.0, number * 3600.0)
    assert told(seen, 9 * 3600.0) == []


async def warnings(gateway: Gateway) -> list[dict[str, str]]:
    return list(json.loads((await gateway.admin("/config"))[1])["warnings"])


async def silent(call: Call) -> None:
    await call.stream_head()
    await call.gone()


async def test_streams_ended_by_the_timeout_are_told_of(gateway: Gateway, origin: Origin) -> None:
    origin.answer = silent
    gateway.load(api(origin.url(), timeouts={"idle": 0.1}))
    for _ in range(2):
        client = await gateway.connect()
        await client.get("/sse")
        await client.rest()
    assert await warnings(gateway) == []
    client = await gateway.connect()
    await client.get("/sse")
    await client.rest()
    (warned,) = await warnings(gateway)
    assert (warned["api"], warned["reason"]) == ("default/api", "IdleTimeoutTooShort")
    assert "0.1s" in warned["message"]
    gateway.load(api(origin.url(), timeouts={"idle": 0.1}, version="2"))
    assert await warnings(gateway) == [warned]
    gateway.load(api(origin.url(), timeouts={"idle": 0.2}))
    assert await warnings(gateway) == []


@pytest.mark.parametrize(("interval", "near"), [(0.95, True), (0.4, False)])
async def test_a_pace_near_the_timeout_is_told_of(
    gateway: Gateway, origin: Origin, interval: float, near: bool
) -> None:
    """Keep-alives at nearly the idle timeout, on four streams at once; the streams go on."""
    idle = 1.0

    async def answer(call: Call) -> None:
        await call.stream_head()
        await asyncio.sleep(interval * idle)
        await call.event(b": keep-alive\n\n")
        await call.gone()

    origin.answer = answer
    gateway.load(api(origin.url(), timeouts={"idle": idle}))
    clients = [await gateway.connect() for _ in range(4)]
    for client in clients:
        await client.get("/sse")
    for client in clients:
        assert await client.chunk() == b": keep-alive\n\n"
    if not near:
        assert await warnings(gateway) == []
        return
    await eventually(lambda: told_of(gateway))
    (warned,) = await warnings(gateway)
    assert warned["reason"] == "IdleTimeoutTooShort"
    assert "within a tenth of timeouts.idle, 1s" in warned["message"]


async def told_of(gateway: Gateway) -> bool:
    return bool(await warnings(gateway))


async def test_a_client_that_holds_upstream_back_is_no_silence(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        for _ in range(3):
            await call.event(b"data: " + b"x" * (8 << 20) + b"\n\n")
        await call.send(b"0\r\n\r\n")

    origin.answer = answer
    gateway.load(api(origin.url(), timeouts={"idle": 0.3, "write": 10}))
    client = await gateway.connect()
    await client.get("/sse")
    for _ in range(3):
        await asyncio.sleep(0.35)
        await client.chunk()
    assert await client.chunk() == b""
    assert await warnings(gateway) == []
