"""Each timeout of a stream, with its reason in the log and the metrics."""

from __future__ import annotations

import asyncio
import time

import pytest

from proxy.harness import Call, Gateway, Origin, api, chunk


async def closed_with(gateway: Gateway, reason: str) -> None:
    assert await gateway.closed() == reason
    assert await gateway.metric("sse_gateway_streams_closed_total", api="default/api", reason=reason) == 1
    assert await gateway.metric("sse_gateway_streams_active", api="default/api") == 0


async def test_keep_alive_comments_outlive_the_idle_timeout(gateway: Gateway, origin: Origin) -> None:
    """The mission in scaled time: comments come more often than the timeout; then the source falls silent."""
    every, idle = 0.25, 0.75

    async def answer(call: Call) -> None:
        await call.stream_head()
        for _ in range(6):
            await call.event(b":keepalive\n\n")
            await asyncio.sleep(every)
        await call.gone()

    origin.answer = answer
    gateway.load(api(origin.url(), timeouts={"idle": idle}))
    client = await gateway.connect()
    await client.get("/sse")
    started = time.monotonic()
    data, end = await client.rest()
    assert (data, end) == (chunk(b":keepalive\n\n") * 6, "fin")
    assert time.monotonic() - started > 5 * every + idle
    await (await origin.call()).has_left()
    await closed_with(gateway, "idle_timeout")


async def test_stream_timeout(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        while True:
            await call.event(b"data: x\n\n")
            await asyncio.sleep(0.02)

    origin.answer = answer
    gateway.load(api(origin.url(), timeouts={"stream": 0.4}))
    client = await gateway.connect()
    await client.get("/sse")
    started = time.monotonic()
    data, _ = await client.rest()
    assert time.monotonic() - started > 0.3
    assert not data.endswith(b"0\r\n\r\n")
    await closed_with(gateway, "stream_timeout")


async def flood(call: Call) -> None:
    await call.stream_head()
    while True:
        await call.event(b"data: " + b"x" * 65536 + b"\n\n")


async def test_write_timeout_and_bounded_memory(gateway: Gateway, origin: Origin) -> None:
    origin.answer = flood
    gateway.load(api(origin.url(), timeouts={"write": 0.5, "idle": 0.2}))
    client = await gateway.connect()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await client.send(b"GET /sse HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.4)
    # Held back by the client: the idle timeout stands still, and what waits here stays small.
    (connection,) = gateway.proxy._listener.connections
    assert connection.unsent < 512 * 1024  # type: ignore[attr-defined]
    await (await origin.call()).has_left()
    await closed_with(gateway, "write_timeout")


async def test_slow_client_is_no_stalled_client(gateway: Gateway, origin: Origin) -> None:
    size = 24 << 20  # takes twice the timeouts

    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.send(b"%x\r\n" % size, bytes(size), b"\r\n0\r\n\r\n")

    origin.answer = answer
    gateway.load(api(origin.url(), timeouts={"write": 1.2, "idle": 1.2}))
    client = await gateway.connect()
    await client.get("/sse")
    read = 0
    while read < size:
        read += len(await client.reader.read(1 << 19))
        await asyncio.sleep(0.05)
    assert await gateway.closed() == "upstream_end"


@pytest.mark.parametrize("timeout", ["idle", "stream", "write", "response", "connect"])
async def test_none_is_no_limit(gateway: Gateway, origin: Origin, timeout: str) -> None:
    gateway.load(api(origin.url(), timeouts={timeout: None}))
    client = await gateway.connect()
    assert (await client.get("/sse")).status == 200
    assert await client.exactly(2) == b"ok"
