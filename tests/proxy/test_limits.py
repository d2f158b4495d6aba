"""Limits, between real clients and a real origin."""

from __future__ import annotations

import asyncio

import pytest

from proxy import harness
from proxy.harness import Call, Client, Gateway, Origin, api, chunk, eventually
from sse_proxy.config import Cors, GatewayConfig, GatewayLimits, Limits, Rate, Settings


async def stream(call: Call) -> None:
    await call.stream_head()
    await call.event(b"data: 1\n\n")
    await call.gone()


async def opened(gateway: Gateway, path: str = "/sse") -> Client:
    client = await gateway.connect()
    assert (await client.get(path)).status == 200
    assert await client.chunk() == b"data: 1\n\n"
    return client


async def refused(gateway: Gateway, path: str = "/sse") -> tuple[str, int]:
    """The reason, and the seconds of Retry-After."""
    client = await gateway.connect()
    response = await client.get(path)
    assert response.status == 429
    return str((await client.problem(response))["reason"]), int(response.get("Retry-After") or 0)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(streams=2), "TooManyStreams"),
        (Limits(streams_per_client_address=2), "TooManyStreamsOfClient"),
    ],
)
async def test_streams_of_an_api(gateway: Gateway, origin: Origin, limits: Limits, reason: str) -> None:
    origin.answer = stream
    gateway.load(api(origin.url(), limits=limits), api(origin.url(), name="other", path="/other"))
    first, _ = await opened(gateway), await opened(gateway)
    assert await refused(gateway) == (reason, 5)
    await opened(gateway, "/other")
    assert origin.connections == 3, "who is refused never reaches the target"
    assert await gateway.metric("sse_gateway_problems_total", api="default/api", reason=reason) == 1
    await first.close()

    async def has_room() -> bool:
        return (await (await gateway.connect()).get("/sse")).status == 200

    await eventually(has_room)


async def test_streams_count_over_a_reload(gateway: Gateway, origin: Origin) -> None:
    origin.answer = stream
    gateway.load(api(origin.url()))
    await opened(gateway)
    gateway.load(api(origin.url(), limits=Limits(streams=1)))
    assert (await refused(gateway))[0] == "TooManyStreams"


async def test_streams_of_the_gateway(gateway: Gateway, origin: Origin) -> None:
    origin.answer = stream
    settings = Settings(namespace="default", name="default", limits=GatewayLimits(streams=1))
    entries = (api(origin.url()), api(origin.url(), name="b", path="/b"))
    gateway.proxy.load(GatewayConfig(settings=settings, revision=1, apis=entries))
    await opened(gateway)
    assert (await refused(gateway, "/b"))[0] == "TooManyStreams"


async def test_a_request_rate(gateway: Gateway, origin: Origin) -> None:
    rate = Rate(requests=1, per=40.0, burst=2)
    gateway.load(
        api(origin.url(), limits=Limits(request_rate_per_client_address=rate), cors=Cors(allow_origins=("*",)))
    )
    client = await gateway.connect()
    for _ in range(2):
        await client.length_body(response := await client.get("/sse"))
        assert response.status == 200
    response = await client.get("/sse")
    assert response.status == 429
    assert 38 <= int(response.get("Retry-After") or 0) <= 40
    assert response.get("Access-Control-Allow-Origin") == "*", "the page must see the 429"
    await client.length_body(response)
    response = await client.request("OPTIONS", "/sse", "Origin: https://a", "Access-Control-Request-Method: GET")
    assert response.status == 204, "a preflight is no request of the API's"
    assert origin.connections == 1


async def test_no_100_before_the_limits_have_passed(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url(), limits=Limits(request_rate=Rate(requests=1, per=60.0, burst=1))))
    client = await gateway.connect()
    await client.length_body(await client.get("/sse"))
    response = await client.request("POST", "/sse", "Content-Length: 5", "Expect: 100-continue")
    assert response.status == 429
    assert response.get("Connection") == "close"


async def test_a_body_with_a_length_that_is_too_large(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url(), limits=Limits(request_body=10)))
    client = await gateway.connect()
    response = await client.request("POST", "/sse", "Content-Length: 10", body=b"x" * 10)
    assert response.status == 200
    await client.length_body(response)
    response = await client.request("POST", "/sse", "Content-Length: 11", "Expect: 100-continue")
    assert response.status == 413
    client = await gateway.connect()
    size = 400_000
    response = await client.request("POST", "/sse", f"Content-Length: {size}", body=b"x" * size)
    assert (await client.problem(response))["reason"] == "BodyTooLarge"
    assert await client.rest() == (b"", "fin"), "the client gets to read why"
    assert origin.connections == 1


async def test_a_body_without_a_length_that_becomes_too_large(gateway: Gateway, origin: Origin) -> None:
    async def read_all(call: Call) -> None:
        await call.gone()

    origin.answer = read_all
    gateway.load(api(origin.url(), limits=Limits(request_body=10)))
    for parts in ([chunk(b"x" * 11) + b"0\r\n\r\n"], [chunk(b"x" * 6), chunk(b"x" * 6)]):
        client = await gateway.connect()
        await client.send(b"POST /sse HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in parts:
            await client.send(part)
            await asyncio.sleep(0)
        response = await client.head()
        assert response.status == 413
        assert response.get("Connection") == "close"
    assert (await gateway.logged_line("request", status=413))["reason"] == "BodyTooLarge"


async def test_a_body_that_becomes_too_large_during_the_response(gateway: Gateway, origin: Origin) -> None:
    async def early(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: 1\n\n")
        await call.has_left()

    origin.answer = early
    gateway.load(api(origin.url(), limits=Limits(request_body=10)))
    client = await gateway.connect()
    await client.send(b"POST /sse HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"x"))
    assert (await client.head()).status == 200
    assert await client.chunk() == b"data: 1\n\n"
    await client.send(chunk(b"x" * 10))
    rest, _ = await client.rest()
    assert rest == b"", "no last chunk: it looks broken"
    assert await gateway.closed() == "limit"


async def test_the_size_of_a_head_is_a_setting(origin: Origin) -> None:
    gateway = await harness.start()
    try:
        limits = GatewayLimits(request_line=1024, header_fields=16, request_head=4096)
        settings = Settings(namespace="default", name="default", limits=limits)
        gateway.proxy.load(GatewayConfig(settings=settings, revision=1, apis=(api(origin.url()),)))
        for target, lines, status in (
            ("/sse", ["X-A: " + "x" * 3000], 200),
            ("/sse", [f"X-{number}: x" for number in range(15)], 200),
            ("/sse?" + "x" * 1024, [], 414),
            ("/sse", [f"X-{number}: x" for number in range(17)], 431),
            ("/sse", ["X-A: " + "x" * 4096], 431),
        ):
            assert (await (await gateway.connect()).get(target, *lines)).status == status
    finally:
        for client in gateway.clients:
            await client.close()
        await gateway.proxy.stop()
