"""onClientDisconnect: Finish: the answer to a POST goes on without its client, counted and within bounds."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxy import harness
from proxy.harness import Call, Client, Gateway, Origin, api, eventually
from sse_proxy.config import Api, Limits, OnClientDisconnect, Stream

FIRST = b"data: 1\n\n"
REST = b'data: {"usage": 3}\n\ndata: [DONE]\n\n'


def finishing(origin: Origin, max_duration: float = 60.0, **members: Any) -> Api:
    policy = OnClientDisconnect(policy="Finish", max_duration=max_duration)
    return api(origin.url(), stream=Stream(on_client_disconnect=policy, heartbeat=0.05), **members)


class Generator:
    """An origin that begins its answer at once and ends it when it is told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def __call__(self, call: Call) -> None:
        await call.stream_head()
        await call.event(FIRST)
        await self.go_on.wait()
        await call.event(REST)
        await call.send(b"0\r\n\r\n")


@pytest.fixture
def generator(origin: Origin) -> Generator:
    generator = Generator()
    origin.answer = generator
    return generator


async def posted(gateway: Gateway, *lines: str, method: str = "POST") -> Client:
    """A client that has got the first event."""
    client = await gateway.connect()
    await client.request(method, "/sse", *(lines or ("Content-Length: 2",)), body=b"" if lines else b"{}")
    assert await client.chunk() == FIRST
    return client


async def leaves(gateway: Gateway, client: Client) -> None:
    """It goes, and the gateway has seen it."""
    client.writer.transport.abort()
    await eventually(lambda: seen_to_leave(gateway))


async def seen_to_leave(gateway: Gateway) -> bool:
    return not gateway.proxy._listener.connections


async def test_the_rest_is_read_and_counted(gateway: Gateway, origin: Origin, generator: Generator) -> None:
    gateway.load(finishing(origin))
    await leaves(gateway, await posted(gateway))
    # It is still a stream: of the limits, of the admin port, of upstream's connections.
    assert await gateway.metric("sse_gateway_streams_active", api="default/api") == 1
    assert await gateway.metric("sse_gateway_upstream_connections", api="default/api") == 1
    assert gateway.log[-1]["event"] == "stream_open"
    generator.go_on.set()
    line = await gateway.logged_line("stream_close")
    assert (line["reason"], line["rest"], line["bytes"]) == ("client", "upstream_end", len(FIRST + REST))
    assert 0 <= line["left_seconds"] <= line["seconds"] + 0.001, "both are rounded"
    assert await gateway.metric("sse_gateway_streams_closed_total", api="default/api", reason="client") == 1
    assert await gateway.metric("sse_gateway_response_bytes_total", api="default/api") == len(FIRST + REST)
    assert await gateway.metric("sse_gateway_streams_active", api="default/api") == 0
    # Upstream's connection is as good as ever.
    await posted(gateway)
    assert origin.connections == 1


async def test_also_when_the_client_goes_before_the_answer_begins(gateway: Gateway, origin: Origin) -> None:
    begin = asyncio.Event()

    async def answer(call: Call) -> None:
        await begin.wait()
        await call.stream_head()
        await call.send(harness.chunk(FIRST), b"0\r\n\r\n")

    origin.answer = answer
    gateway.load(finishing(origin))
    client = await gateway.connect()
    await client.send(b"POST /sse HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    call = await origin.call()
    assert await call.reader.readuntil(b"0\r\n\r\n") == b"2\r\n{}\r\n0\r\n\r\n"
    await leaves(gateway, client)
    begin.set()
    line = await gateway.logged_line("stream_close")
    assert (line["reason"], line["rest"], line["bytes"]) == ("client", "upstream_end", len(FIRST))


async def test_upstreams_failure_is_told_of_the_rest(gateway: Gateway, origin: Origin) -> None:
    begin = asyncio.Event()

    async def answer(call: Call) -> None:
        await begin.wait()
        call.writer.close()

    origin.answer = answer
    gateway.load(finishing(origin))
    client = await gateway.connect()
    await client.send(b"POST /sse HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    await origin.call()
    await leaves(gateway, client)
    begin.set()
    line = await gateway.logged_line("request")
    assert (line["status"], line["reason"]) == (502, "UpstreamClosed")
    assert line["left_seconds"] is not None


async def test_a_client_that_held_upstream_back(gateway: Gateway, origin: Origin) -> None:
    size = 8 << 20

    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(FIRST)
        await call.event(b"data: " + b"x" * size + b"\n\n")
        await call.send(b"0\r\n\r\n")

    origin.answer = answer
    gateway.load(finishing(origin))
    client = await posted(gateway)
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(0.1)
    await leaves(gateway, client)
    line = await gateway.logged_line("stream_close")
    assert (line["rest"], line["bytes"]) == ("upstream_end", size + len(FIRST) + 8)


async def silent(call: Call) -> None:
    await call.stream_head()
    await call.event(FIRST)
    await call.gone()


async def test_no_longer_than_it_may(gateway: Gateway, origin: Origin) -> None:
    origin.answer = silent
    gateway.load(finishing(origin, max_duration=0.2))
    await leaves(gateway, await posted(gateway))
    await (await origin.call()).has_left()
    line = await gateway.logged_line("stream_close")
    assert (line["reason"], line["rest"]) == ("client", "finish_timeout")
    assert 0.19 < line["seconds"] - line["left_seconds"] < harness.PATIENCE


async def test_no_longer_than_it_may_before_the_answer_either(gateway: Gateway, origin: Origin) -> None:
    origin.answer = lambda call: call.gone()
    gateway.load(finishing(origin, max_duration=0.2, timeouts={"response": None}))
    client = await gateway.connect()
    await client.send(b"POST /sse HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    call = await origin.call()
    await leaves(gateway, client)
    await call.has_left()
    assert (await gateway.logged_line("request"))["reason"] == "ResponseTimeout"


async def test_it_counts_for_the_limits(gateway: Gateway, origin: Origin, generator: Generator) -> None:
    gateway.load(finishing(origin, limits=Limits(streams=1)))
    await leaves(gateway, await posted(gateway))
    client = await gateway.connect()
    assert (await client.request("POST", "/sse", "Content-Length: 0")).status == 429
    generator.go_on.set()
    await gateway.logged_line("stream_close")
    await posted(gateway)


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_other_methods_are_cancelled(gateway: Gateway, origin: Origin, method: str) -> None:
    origin.answer = silent
    gateway.load(finishing(origin))
    await leaves(gateway, await posted(gateway, "Content-Length: 0", method=method))
    await (await origin.call()).has_left()
    line = await gateway.logged_line("stream_close")
    assert line["reason"] == "client"
    assert "rest" not in line


async def test_a_request_that_is_not_whole_is_cancelled(gateway: Gateway, origin: Origin) -> None:
    origin.answer = silent
    gateway.load(finishing(origin))
    client = await posted(gateway, "Content-Length: 99")
    await leaves(gateway, client)
    await (await origin.call()).has_left()
    assert "rest" not in await gateway.logged_line("stream_close")


async def test_cancelled_by_default(gateway: Gateway, origin: Origin) -> None:
    origin.answer = silent
    gateway.load(api(origin.url()))
    await leaves(gateway, await posted(gateway))
    await (await origin.call()).has_left()
    assert await gateway.closed() == "client"


async def test_an_answer_that_outlives_its_api_goes_on_no_longer_than_it_may(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await call.gone()

    origin.answer = answer
    gateway.load(finishing(origin, max_duration=0.5))
    client = await gateway.connect()
    await client.request("POST", "/sse", "Content-Length: 0")
    await leaves(gateway, client)
    gateway.load()
    await (await origin.call()).has_left()
    assert (await gateway.logged_line("request"))["rest"] == "finish_timeout"


async def test_it_ends_with_its_api(gateway: Gateway, origin: Origin) -> None:
    origin.answer = silent
    gateway.load(finishing(origin))
    await leaves(gateway, await posted(gateway))
    gateway.load()
    await (await origin.call()).has_left()
    assert (await gateway.logged_line("stream_close"))["rest"] == "removed"


async def test_it_ends_with_the_drain(origin: Origin) -> None:
    origin.answer = silent
    gateway = await harness.start(drain_period=0.4)
    gateway.load(finishing(origin))
    await leaves(gateway, await posted(gateway))
    async with asyncio.timeout(harness.PATIENCE):
        await gateway.proxy.drain()
    assert (await gateway.logged_line("stream_close"))["rest"] == "drain"
    await gateway.proxy.stop()


@pytest.mark.parametrize("begun", [True, False])
async def test_it_ends_with_the_proxy(origin: Origin, begun: bool) -> None:
    origin.answer = silent if begun else lambda call: call.gone()
    gateway = await harness.start()
    gateway.load(finishing(origin))
    client = await gateway.connect()
    await client.send(b"POST /sse HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    call = await origin.call()
    if begun:
        await client.head()
    await leaves(gateway, client)
    await gateway.proxy.stop()
    await call.has_left()
    assert gateway.log[-1]["reason"] == "client"


async def test_a_client_of_a_proxy_that_stops_is_not_finished_for(origin: Origin) -> None:
    origin.answer = silent
    gateway = await harness.start()
    gateway.load(finishing(origin))
    client = await posted(gateway)
    await gateway.proxy.stop()
    await (await origin.call()).has_left()
    assert "rest" not in gateway.log[-1]
    await client.close()
