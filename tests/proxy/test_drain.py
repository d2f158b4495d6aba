"""Draining: readiness first, then streams at event boundaries, all within the period."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from proxy import harness
from proxy.harness import Call, Gateway, Origin, api, chunk


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
    assert max(ends) < 1.0


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
    assert 0.9 < time.monotonic() - started < 1.5
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
