"""Draining: readiness first, then streams at event boundaries, all within the period."""

from __future__ import annotations

import asyncio
import re
import time
from bisect import bisect_right
from collections.abc import AsyncIterator

import pytest

from proxy import harness
from proxy.harness import Call, Gateway, Origin, api, chunk
from sse_proxy import exchange
from sse_proxy.config import Api, OnDrain, Stream


@pytest.fixture
async def draining() -> AsyncIterator[Gateway]:
    gateway = await harness.start(drain_period=1.0)
    yield gateway
    for client in gateway.clients:
        await client.close()
    await gateway.proxy.stop()


async def test_streams_end_at_a_boundary(draining: Gateway, origin: Origin) -> None:
    go_on = asyncio.Event()

    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: whole\n\ndata: ha")
        await go_on.wait()
        await call.event(b"lf\n\ndata: cut off")
        await call.gone()

    origin.answer = answer
    draining.load(api(origin.url()))
    client = await draining.connect()
    await client.get("/sse")
    assert await client.chunk() == b"data: whole\n\ndata: ha"
    assert (await draining.admin("/readyz"))[0] == 200
    drain = asyncio.create_task(draining.proxy.drain())
    await asyncio.sleep(0.2)
    assert await draining.admin("/readyz") == (503, "draining\n")
    # In the middle of an event it waits for the event's end, and for no byte more.
    go_on.set()
    data, end = await client.rest()
    assert (data, end) == (chunk(b"lf\n\n"), "fin")
    await drain
    assert await draining.closed() == "drain"


async def test_silent_streams_end_spread_over_the_period(draining: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: 1\n\n")
        await call.gone()

    origin.answer = answer
    draining.load(api(origin.url()))
    clients = [await draining.connect() for _ in range(10)]
    for client in clients:
        await client.get("/sse")
        await client.chunk()
    started = time.monotonic()
    ends: list[float] = []

    async def end_of(client: harness.Client) -> None:
        assert await client.rest() == (b"", "fin")
        ends.append(time.monotonic() - started)

    await asyncio.gather(draining.proxy.drain(), *map(end_of, clients))
    assert max(ends) - min(ends) > 0.3


async def test_no_stream_outlives_the_period(draining: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: never whole")
        await call.gone()

    origin.answer = answer
    draining.load(api(origin.url()))
    client = await draining.connect()
    await client.get("/sse")
    await client.chunk()
    started = time.monotonic()
    drain = asyncio.create_task(draining.proxy.drain())
    assert await client.rest() == (b"", "fin")
    assert time.monotonic() - started > 0.9
    await drain
    assert await draining.closed() == "drain"


async def test_other_answers_run_to_their_end(draining: Gateway, origin: Origin) -> None:
    go_on = asyncio.Event()

    async def answer(call: Call) -> None:
        await go_on.wait()
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        await asyncio.sleep(0.2)
        await call.send(b"k")

    origin.answer = answer
    draining.load(api(origin.url()))
    client = await draining.connect()
    await client.send(b"GET /sse HTTP/1.1\r\nHost: a\r\n\r\n")
    await origin.call()
    drain = asyncio.create_task(draining.proxy.drain())
    await asyncio.sleep(0.1)
    go_on.set()
    await client.head()
    assert await client.rest() == (b"ok", "fin")
    await drain


async def test_the_removal_of_its_api_spares_no_answer_the_end_of_the_period(
    draining: Gateway, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await call.gone()

    monkeypatch.setattr(exchange, "LAPSE_SECONDS", 0.2)
    origin.answer = answer
    draining.load(api(origin.url()))
    client = await draining.connect()
    await client.get("/sse")
    assert await client.exactly(4) == b"half"
    drain = asyncio.create_task(draining.proxy.drain())
    await asyncio.sleep(0.1)
    draining.load()
    assert await client.rest() == (b"", "fin")
    await drain
    assert (await draining.logged_line("request"))["reason"] == "drain"


def on_drain(origin: Origin, policy: OnDrain | None) -> Api:
    return api(origin.url(), stream=Stream(on_drain=policy))


@pytest.mark.parametrize("policy", ["Finish", "Reconnect", None])
async def test_posts_finish(draining: Gateway, origin: Origin, policy: OnDrain | None) -> None:
    go_on = asyncio.Event()

    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: 1\n\n")
        await go_on.wait()
        await call.send(chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n")

    origin.answer = answer
    draining.load(on_drain(origin, policy))
    client = await draining.connect()
    await client.request("POST", "/sse", "Content-Length: 0")
    assert await client.chunk() == b"data: 1\n\n"
    drain = asyncio.create_task(draining.proxy.drain())
    # Past the time at which other streams are ended.
    await asyncio.sleep(0.6)
    go_on.set()
    assert await client.rest() == (chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n", "fin")
    await drain
    assert await draining.closed() == "upstream_end"


async def test_reconnect_ends_cleanly_behind_the_event_under_way(draining: Gateway, origin: Origin) -> None:
    go_on = asyncio.Event()

    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: whole\n\ndata: ha")
        await go_on.wait()
        # A boundary within a chunk is none to end at cleanly.
        await call.send(b"15\r\nlf\n\n")
        await asyncio.sleep(0.1)
        await call.send(b"data: next line\n\n", b"\r\n")
        await call.gone()

    origin.answer = answer
    draining.load(on_drain(origin, "Reconnect"))
    client = await draining.connect()
    await client.get("/sse")
    assert await client.chunk() == b"data: whole\n\ndata: ha"
    drain = asyncio.create_task(draining.proxy.drain())
    await asyncio.sleep(0.2)
    go_on.set()
    assert await client.chunk() == b"lf\n\ndata: next line\n\n"
    assert re.fullmatch(rb"retry: [1-4][0-9]{3}\n\n", await client.chunk())
    assert await client.chunk() == b""
    assert await client.rest() == (b"", "fin")
    await drain
    assert await draining.closed() == "drain"


async def test_reconnect_where_nothing_may_be_added_is_close(draining: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 99\r\n\r\ndata: 1\n\n")
        await call.gone()

    origin.answer = answer
    draining.load(on_drain(origin, "Reconnect"))
    client = await draining.connect()
    await client.get("/sse")
    assert await client.exactly(9) == b"data: 1\n\n"
    await draining.proxy.drain()
    assert await client.rest() == (b"", "fin")


@pytest.mark.parametrize(
    ("policy", "window", "share", "spread"),
    [
        # Spread by the retry that each is told, 1 to 5 s, and by the drain.
        pytest.param("Reconnect", 0.5, 0.25, 3.5, id="Reconnect"),
        # Spread by the drain alone, over half of its period: EventSource waits for as long as ever.
        pytest.param("Close", 0.5, 0.6, 1.2, id="Close"),
    ],
)
async def test_five_hundred_do_not_come_back_at_once(
    origin: Origin, policy: OnDrain, window: float, share: float, spread: float
) -> None:
    """Less than a `share` of them within any `window` seconds; from first to last it takes longer than `spread`."""
    clients_count = 500

    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: 1\n\n")
        await call.gone()

    origin.answer = answer
    gateway = await harness.start(drain_period=4.0)
    gateway.load(on_drain(origin, policy))
    loop = asyncio.get_running_loop()

    async def opened() -> harness.Client:
        client = await gateway.connect()
        await client.get("/sse")
        await client.chunk()
        return client

    async def back_at(client: harness.Client) -> float:
        """When an EventSource that waits no longer than it is told would ask again."""
        if policy == "Reconnect":
            retry = await client.chunk()
            assert await client.chunk() == b""
            return loop.time() + int(retry.split()[1]) / 1000
        assert await client.rest() == (b"", "fin")
        return loop.time()

    clients = await asyncio.gather(*(opened() for _ in range(clients_count)))
    drain = asyncio.create_task(gateway.proxy.drain())
    times = sorted(await asyncio.gather(*map(back_at, clients)))
    await drain
    await asyncio.gather(*(client.close() for client in clients))
    await gateway.proxy.stop()
    in_any_window = max(bisect_right(times, begin + window) - index for index, begin in enumerate(times))
    assert in_any_window < clients_count * share
    assert times[-1] - times[0] > spread
