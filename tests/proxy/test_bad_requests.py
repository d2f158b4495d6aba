"""What clients may not send, and what they get for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy import harness
from proxy.harness import Gateway, Origin, api
from sse_proxy.config import Endpoint, Unavailable
from sse_proxy.listener import ListenerLimits


@pytest.mark.parametrize(
    "target",
    [
        "/sse/../admin",
        "/sse/..",
        "/sse/%2e%2e/admin",
        "/sse/.%2E/admin",
        "/sse/./a",
        "/sse/..;/admin",
        "//sse",
        "/sse//a",
        "/sse%2Fa",
        "/sse/%2f..",
        "/sse%5ca",
        "/sse\\a",
        "/sse/%",
        "/sse/%g0",
        "/sse/%0",
        "/sse/%00",
        "/sse/%0d%0aX:%201",
        "/sse#a",
        "sse",
        "*",
        "ftp://gw.example/sse",
        "http://other.example/sse",
        "http://user@gw.example/sse",
        "http:///sse",
    ],
)
async def test_refused_targets(gateway: Gateway, origin: Origin, target: str) -> None:
    gateway.load(api(origin.url()), api(origin.url(), name="root", path="/"))
    client = await gateway.connect()
    assert (await client.get(target)).status == 400
    assert origin.connections == 0


async def test_absolute_form_that_agrees_with_host(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url(), hostnames=("gw.example",)))
    client = await gateway.connect()
    assert (await client.get("http://GW.example:80/sse/a?b", host="gw.example:80")).status == 200
    assert (await origin.call()).line == "GET /sse/a?b HTTP/1.1"


@pytest.mark.parametrize("host", ["a b", "a/b", "user@a", "a:99999", "a:b", "[::1", "a,b", ":80"])
async def test_refused_hosts(gateway: Gateway, origin: Origin, host: str) -> None:
    gateway.load(api(origin.url(), hostnames=("a",)))
    client = await gateway.connect()
    assert (await client.get("/sse", host=host)).status in (400, 404)
    assert origin.connections == 0


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /sse HTTP/1.1\r\n\r\n", 400),
        (b"GET /sse HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /sse HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400),
        (b"POST /sse HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
        (b"GET /sse HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /sse HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400),
        (b"GET /sse HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET /sse HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"FROB /sse HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405),
        (b"TRACE /sse HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"GET /sse HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n\r\n", 501),
        (b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /sse HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(1000)) + b"\r\n", 431),
        (b"GET /sse HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (b"GET /sse HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X: " + b"a" * 20_000 + b"\r\n" for _ in range(5)), 431),
    ],
)  # fmt: skip
async def test_refused_heads(gateway: Gateway, origin: Origin, head: bytes, status: int) -> None:
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    await client.send(head)
    response = await client.head()
    assert response.status == status
    await client.problem(response)
    assert origin.connections == 0


@pytest.fixture
async def strict() -> AsyncIterator[Gateway]:
    gateway = await harness.start(limits=ListenerLimits(head_timeout=0.3))
    yield gateway
    for client in gateway.clients:
        await client.close()
    await gateway.proxy.stop()


async def test_one_byte_at_a_time(strict: Gateway) -> None:
    client = await strict.connect()

    async def trickle() -> None:
        for byte in b"GET /sse HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 1000:
            await client.send(bytes([byte]))
            await asyncio.sleep(0.05)

    trickling = asyncio.create_task(trickle())
    response = await client.head()
    assert (response.status, response.get("Connection")) == (408, "close")
    trickling.cancel()
    assert (await client.rest())[0].startswith(b"{")
    await strict.logged_line("request", reason="RequestTimeout")


async def test_slow_body_is_no_slow_head(strict: Gateway, origin: Origin) -> None:
    async def answer(call: harness.Call) -> None:
        assert await call.reader.readexactly(3) == b"abc"
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    origin.answer = answer
    strict.load(api(origin.url()))
    client = await strict.connect()
    await client.send(b"POST /sse HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
    for byte in (b"a", b"b", b"c"):
        await asyncio.sleep(0.2)
        await client.send(byte)
    assert (await client.head()).status == 200


async def test_flood_of_pipelined_requests_is_cut(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: harness.Call) -> None:
        await call.stream_head()
        await call.gone()

    origin.answer = answer
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    await client.get("/sse")
    await client.send(b"GET /sse HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
    await (await origin.call()).has_left()
    assert await gateway.closed() == "client"


async def test_unknown_path(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    response = await client.get("/ssesuffix")
    problem = await client.problem(response)
    assert (response.status, problem["type"]) == (404, "urn:sse-gateway:problem:unknown-path")
    response = await client.request("HEAD", "/nope")
    assert response.status == 404
    assert (await client.get("/sse")).status == 200


async def test_before_the_first_config(gateway: Gateway) -> None:
    client = await gateway.connect()
    response = await client.get("/sse")
    assert (response.status, response.get("Retry-After")) == (503, "1")


async def test_unavailable_keeps_its_path(gateway: Gateway, origin: Origin) -> None:
    suspended = Unavailable(reason="Suspended", message="This API is suspended.", retry_after=7)
    gateway.load(
        api(origin.url(), name="wide", path="/"),
        api(origin.url(), name="narrow", path="/sse", unavailable=suspended),
        api("gopher://x", name="wrong", path="/wrong"),
        api("", name="empty", path="/empty", endpoints=(Endpoint(name="a", url=origin.url(), weight=0),)),
    )
    client = await gateway.connect()
    for target in ("/sse", "/sse/deeper", "/%73se"):
        response = await client.get(target)
        problem = await client.problem(response)
        assert (response.status, response.get("Retry-After")) == (503, "7")
        assert (problem["reason"], problem["detail"]) == ("Suspended", "This API is suspended.")
    for target, reason in (("/wrong", "InvalidTarget"), ("/empty", "NoEndpoint")):
        response = await client.get(target)
        assert (response.status, (await client.problem(response))["reason"]) == (503, reason)
    assert (await client.get("/other")).status == 200


async def test_broken_chunk_in_a_request(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: harness.Call) -> None:
        await call.gone()

    origin.answer = answer
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    await client.send(b"POST /sse HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    call = await origin.call()
    await client.send(b"3\r\nabc\r\nxyz\r\n")
    await call.has_left()
    assert (await client.head()).status == 400
