"""What an SseApi says of its upstream, seen by a real origin."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from proxy.harness import Call, Client, Gateway, Origin, api, eventually
from sse_proxy.config import Api, Upstream


def upstream(origin: Origin, **members: Any) -> Api:
    """A config entry for the origin with these upstream settings."""
    return api(origin.url()).model_copy(update={"upstream": Upstream(**members)})


async def asked(gateway: Gateway, origin: Origin, *lines: str) -> Call:
    client = await gateway.connect()
    assert (await client.get("/sse", *lines, host="shop.example:8443")).status == 200
    return await origin.call()


async def test_host_of_the_target(gateway: Gateway, origin: Origin) -> None:
    gateway.load(upstream(origin))
    call = await asked(gateway, origin)
    assert (call.all("Host"), call.get("X-Forwarded-Host")) == ([f"127.0.0.1:{origin.port}"], "shop.example:8443")


async def test_host_of_the_client(gateway: Gateway, origin: Origin) -> None:
    gateway.load(upstream(origin, host_header="Client"))
    call = await asked(gateway, origin)
    assert (call.all("Host"), call.get("X-Forwarded-Host")) == (["shop.example:8443"], "shop.example:8443")


async def test_client_without_a_host(gateway: Gateway, origin: Origin) -> None:
    gateway.load(upstream(origin, host_header="Client"))
    client = await gateway.connect()
    await client.send(b"GET /sse HTTP/1.0\r\n\r\n")
    assert (await origin.call()).all("Host") == [f"127.0.0.1:{origin.port}"]


async def test_streams_are_asked_for_uncompressed(gateway: Gateway, origin: Origin) -> None:
    gateway.load(upstream(origin))
    assert (await asked(gateway, origin, "Accept-Encoding: gzip")).all("Accept-Encoding") == ["identity"]


@pytest.mark.parametrize("fields", [[], ["gzip"], ["br;q=1.0, gzip;q=0.8", "zstd"]])
async def test_compression_is_the_client_s_choice(gateway: Gateway, origin: Origin, fields: list[str]) -> None:
    gateway.load(upstream(origin, compression=True))
    call = await asked(gateway, origin, *(f"Accept-Encoding: {value}" for value in fields))
    assert call.all("Accept-Encoding") == fields


async def test_a_compressed_stream_passes_byte_for_byte(gateway: Gateway, origin: Origin) -> None:
    compressed = b"\x1f\x8b\n\n\x00\xff\r\n\r\n"

    async def answer(call: Call) -> None:
        await call.stream_head(b"Content-Encoding: gzip")
        await call.event(compressed)
        await call.send(b"0\r\n\r\n")

    origin.answer = answer
    gateway.load(upstream(origin, compression=True))
    client = await gateway.connect()
    response = await client.get("/sse", "Accept-Encoding: gzip")
    assert response.get("Content-Encoding") == "gzip"
    assert await client.chunked_body() == compressed
    assert await gateway.closed() == "upstream_end"


async def ok(gateway: Gateway, target: str = "/sse") -> None:
    """One short exchange on a new client connection."""
    client = await gateway.connect()
    assert (await client.get(target)).status == 200
    assert await client.exactly(2) == b"ok"


async def test_connections_are_kept_for_as_long_as_asked(gateway: Gateway, origin: Origin) -> None:
    gateway.load(upstream(origin, keep_alive_timeout=0.3))
    await ok(gateway)
    await ok(gateway)
    call = await origin.call()
    assert (await origin.call()).connection == call.connection == 1
    started = time.monotonic()
    await call.has_left()
    assert time.monotonic() - started > 0.2
    await ok(gateway)
    assert (await origin.call()).connection == 2


async def test_connections_are_kept_until_upstream_closes(gateway: Gateway, origin: Origin) -> None:
    gateway.load(upstream(origin, keep_alive_timeout=None))
    await ok(gateway)
    await ok(gateway)
    assert [(await origin.call()).connection for _ in range(2)] == [1, 1]


async def test_connections_to_a_target_that_is_gone_are_closed(gateway: Gateway, origin: Origin) -> None:
    gateway.load(upstream(origin, keep_alive_timeout=None))
    await ok(gateway)
    gateway.load()
    await (await origin.call()).has_left()


async def stream(call: Call) -> None:
    await call.stream_head()
    await call.event(b"data: 1\n\n")
    await call.gone()


async def opened(gateway: Gateway) -> Client:
    """A client with an open stream."""
    client = await gateway.connect()
    assert (await client.get("/sse")).status == 200
    assert await client.chunk() == b"data: 1\n\n"
    return client


async def warnings(gateway: Gateway) -> list[dict[str, str]]:
    return list(json.loads((await gateway.admin("/config"))[1])["warnings"])


async def test_connections_beyond_the_cap_are_refused_and_told_of(gateway: Gateway, origin: Origin) -> None:
    origin.answer = stream
    gateway.load(upstream(origin, max_connections=2))
    first, _ = await opened(gateway), await opened(gateway)
    assert await warnings(gateway) == []
    client = await gateway.connect()
    response = await client.get("/sse")
    assert (response.status, response.get("Retry-After")) == (503, "5")
    assert (await client.problem(response))["reason"] == "MaxConnectionsReached"
    problems = {"api": "default/api", "reason": "MaxConnectionsReached"}
    assert await gateway.metric("sse_gateway_problems_total", **problems) == 1
    assert await gateway.metric("sse_gateway_upstream_connections", api="default/api") == 2
    (warned,) = await warnings(gateway)
    assert (warned["api"], warned["reason"]) == ("default/api", "MaxConnectionsReached")
    assert "upstream.maxConnections allows, 2, were in use" in warned["message"]
    await first.close()
    await eventually(lambda: holds(gateway, 1))
    await opened(gateway)
    # As long as it stands, its text is the same.
    assert (await client.get("/sse")).status == 503
    assert await warnings(gateway) == [warned]


async def holds(gateway: Gateway, connections: int) -> bool:
    return await gateway.metric("sse_gateway_upstream_connections", api="default/api") == connections


async def test_streams_of_an_older_config_count(gateway: Gateway, origin: Origin) -> None:
    origin.answer = stream
    gateway.load(upstream(origin, max_connections=1))
    first = await opened(gateway)
    assert (await (await gateway.connect()).get("/sse")).status == 503
    gateway.load(upstream(origin, max_connections=2))
    assert await warnings(gateway) == []
    await opened(gateway)
    assert (await (await gateway.connect()).get("/sse")).status == 503
    await first.close()
    await eventually(lambda: holds(gateway, 1))
    await opened(gateway)


async def test_a_connection_that_is_not_made_is_not_counted(gateway: Gateway, origin: Origin) -> None:
    gateway.load(upstream(origin, max_connections=1))
    await origin.stop()
    for _ in range(3):
        assert (await (await gateway.connect()).get("/sse")).status == 502
    assert await holds(gateway, 0)
