"""Upstreams that fail before, in and after the response head; and that a broken stream looks broken."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
import trustme

from proxy.harness import Call, Gateway, Origin, api, chunk
from sse_proxy.config import TargetGuard

EVENT = b"data: 1\n\n"
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


async def problem_of(gateway: Gateway, status: int, reason: str) -> dict[str, object]:
    client = await gateway.connect()
    response = await client.get("/sse?token=secret")
    problem = await client.problem(response)
    assert (response.status, problem["reason"]) == (status, reason)
    # The connection takes another request, and upstream's address stays a secret.
    assert (await client.get("/nope")).status == 404
    assert "127.0.0.1" not in str(problem)
    await gateway.logged_line("request", reason=reason, status=status)
    assert await gateway.metric("sse_gateway_problems_total", api="default/api", reason=reason) == 1
    return problem


async def test_refused(gateway: Gateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    gateway.load(api(f"http://127.0.0.1:{port}/"))
    await problem_of(gateway, 502, "UpstreamUnreachable")


async def test_unresolvable(gateway: Gateway) -> None:
    gateway.load(api("http://no-such-host.invalid/"))
    await problem_of(gateway, 502, "UpstreamUnresolvable")


async def test_no_canonical_address(gateway: Gateway) -> None:
    gateway.load(api("http://2130706433/"))
    await problem_of(gateway, 502, "UpstreamUnreachable")


async def test_connect_timeout(gateway: Gateway) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        filling = [socket.socket() for _ in range(4)]
        for one in filling:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        gateway.load(api(f"http://127.0.0.1:{full.getsockname()[1]}/", timeouts={"connect": 0.2}))
        await problem_of(gateway, 504, "ConnectTimeout")
        for one in filling:
            one.close()


async def test_tls_not_trusted(gateway: Gateway) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    secure = Origin()
    await secure.start(ssl=context)
    gateway.load(api(secure.url().replace("http:", "https:")))
    await problem_of(gateway, 502, "UpstreamTlsFailed")
    await secure.stop()


async def test_no_tls_at_all(gateway: Gateway) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    gateway.load(api(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"))
    await problem_of(gateway, 502, "UpstreamTlsFailed")
    server.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
        b"HTTP/1.1 2OO OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno field\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 4000,
    ],
)
async def test_garbage(gateway: Gateway, origin: Origin, garbage: bytes) -> None:
    origin.answer = garbage
    gateway.load(api(origin.url()))
    await problem_of(gateway, 502, "UpstreamGarbage")


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Type: te"])
async def test_close_in_the_head(gateway: Gateway, origin: Origin, part: bytes) -> None:
    async def answer(call: Call) -> None:
        await call.send(part)
        call.writer.close()

    origin.answer = answer
    gateway.load(api(origin.url()))
    await problem_of(gateway, 502, "UpstreamClosed")


async def test_response_timeout(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.gone()

    origin.answer = answer
    gateway.load(api(origin.url(), timeouts={"response": 0.2}))
    await problem_of(gateway, 504, "ResponseTimeout")
    await (await origin.call()).has_left()


async def test_response_timeout_starts_with_the_sent_request(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.reader.readexactly(2)
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    origin.answer = answer
    gateway.load(api(origin.url(), timeouts={"response": 0.5}))
    client = await gateway.connect()
    await client.send(b"POST /sse HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
    await asyncio.sleep(0.7)
    await client.send(b"b")
    assert (await client.head()).status == 200


BREAKS = [
    pytest.param(b"Transfer-Encoding: chunked\r\n\r\n" + chunk(EVENT), True, id="between chunks"),
    pytest.param(b"Transfer-Encoding: chunked\r\n\r\n20\r\n" + EVENT, True, id="in a chunk"),
    pytest.param(b"Transfer-Encoding: chunked\r\n\r\n" + chunk(EVENT) + b"0\r\n", True, id="in the last chunk"),
    pytest.param(b"Content-Length: 20\r\n\r\n" + EVENT, True, id="in a length"),
    pytest.param(b"Transfer-Encoding: chunked\r\n\r\n" + chunk(EVENT) + b"+5\r\n", False, id="bad chunk size"),
    pytest.param(b"Transfer-Encoding: chunked\r\n\r\n" + chunk(EVENT) + b"3\r\nlonger", False, id="overlong chunk"),
]


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize(("body", "closes"), BREAKS)
async def test_broken_body_is_broken_at_the_client(
    gateway: Gateway, origin: Origin, body: bytes, closes: bool, version: str
) -> None:
    async def answer(call: Call) -> None:
        await call.send(SSE + body)
        if closes:
            call.writer.close()
        await call.gone()

    origin.answer = answer
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    await client.send(f"GET /sse HTTP/{version}\r\nHost: a\r\n\r\n".encode())
    response = await client.head()
    data, end = await client.rest()
    # What upstream sent arrives, and then the end is not one that a client could take for the body's.
    assert EVENT in data
    if response.get("Content-Length"):
        assert (len(data), end) == (len(EVENT), "fin")
    elif version == "1.1":
        assert (data.endswith(b"0\r\n\r\n"), end) == (False, "fin")
    else:
        assert (data[: len(EVENT)], end) == (EVENT, "reset")
    assert await gateway.closed() == "upstream_error"
    assert await gateway.metric("sse_gateway_streams_closed_total", api="default/api", reason="upstream_error") == 1
    assert await gateway.metric("sse_gateway_streams_active", api="default/api") == 0


async def test_reset_of_a_close_delimited_body_is_no_clean_end(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.send(SSE + b"\r\n" + EVENT)
        await asyncio.sleep(0.1)
        call.reset()

    origin.answer = answer
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    await client.get("/sse")
    data, _ = await client.rest()
    assert data == chunk(EVENT)
    assert await gateway.closed() == "upstream_error"


async def test_clean_ends_stay_clean(gateway: Gateway, origin: Origin) -> None:
    half = b"data: half an eve"
    for answer in (
        SSE + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(half) + b"0;x=y\r\nTrailer: 1\r\n\r\n",
        SSE + b"Connection: close\r\n\r\n" + half,
    ):
        origin.answer = answer
        gateway.load(api(origin.url()))
        client = await gateway.connect()
        response = await client.get("/sse")
        assert await client.chunked_body() == half
        assert response.get("Connection") is None
    assert await gateway.closed() == "upstream_end"


async def test_pending_bytes_come_before_the_break(gateway: Gateway, origin: Origin) -> None:
    size = 4 << 20

    async def answer(call: Call) -> None:
        await call.send(SSE + b"Transfer-Encoding: chunked\r\n\r\n", chunk(b"x" * size))
        call.writer.close()

    origin.answer = answer
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    await client.send(b"GET /sse HTTP/1.0\r\n\r\n")
    await client.head()
    await asyncio.sleep(0.3)
    data, end = await client.rest()
    assert (len(data), end) == (size, "reset")


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}/", "http://localhost:{}/", "http://[::ffff:127.0.0.1]:{}/"])
async def test_denied_target(gateway: Gateway, origin: Origin, url: str) -> None:
    entry = api(url.format(origin.port))
    gateway.load(entry, targets=TargetGuard(deny=("127.0.0.0/8", "::1/128")))
    await problem_of(gateway, 502, "TargetDenied")
    assert origin.connections == 0
    gateway.load(entry, targets=TargetGuard(deny=("127.0.0.0/8", "::1/128"), allow=("127.0.0.1/32",)))
    client = await gateway.connect()
    assert (await client.get("/sse")).status == 200


async def test_target_that_leads_back_is_a_loop(gateway: Gateway) -> None:
    gateway.load(api(f"http://127.0.0.1:{gateway.proxy.listen_address[1]}/sse"))
    client = await gateway.connect()
    response = await client.get("/sse")
    assert (response.status, (await client.problem(response))["reason"]) == (508, "LoopDetected")
