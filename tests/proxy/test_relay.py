"""Requests and responses through the proxy, byte by byte."""

from __future__ import annotations

import asyncio

import pytest

from proxy.harness import Call, Gateway, Origin, api, chunk


async def test_streams_event_by_event(gateway: Gateway, origin: Origin) -> None:
    steps: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer(call: Call) -> None:
        await call.stream_head(b"X-Twice: 1", b"x-twice: 2", b"Set-Cookie: a=b", b"set-cookie: c=d")
        while data := await steps.get():
            await call.event(data)
        await call.send(b"0\r\n\r\n")

    origin.answer = answer
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    # The head is there before any event is.
    response = await client.get("/sse")
    assert response.head == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Twice: 1\r\nx-twice: 2\r\n"
        b"Set-Cookie: a=b\r\nset-cookie: c=d\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for number in range(3):
        steps.put_nowait(b"data: %d\n\n" % number)
        assert await client.chunk() == b"data: %d\n\n" % number
    steps.put_nowait(b"")
    assert await client.chunk() == b""
    assert await gateway.closed() == "upstream_end"
    # A clean end leaves both connections usable.
    again = asyncio.create_task(client.get("/sse"))
    assert (await origin.call()).connection == (await origin.call()).connection
    steps.put_nowait(b"")
    assert (await again).status == 200


async def test_request_as_upstream_gets_it(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url("/sse?channel=c&v=1.1")))
    client = await gateway.connect()
    response = await client.request(
        "POST",
        "/sse/a%20b/%C3%A9;p=1?x=%20y&v=9&channel&z=+",
        "Authorization: Bearer t",
        "Cookie: a=b",
        "cookie: c=d",
        "Last-Event-ID: 7",
        "Accept-Encoding: gzip",
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-Proto: https",
        "Connection: keep-alive, X-Drop, X-Forwarded-Host",
        "X-Drop: 1",
        "Keep-Alive: timeout=5",
        "TE: trailers",
        "Proxy-Authorization: no",
        "X-Latin: caf\xe9",
        "Content-Length: 4",
        body=b"body",
    )
    assert response.status == 200
    call = await origin.call()
    assert call.line == "POST /sse/a%20b/%C3%A9;p=1?channel=c&v=1.1&x=%20y&z=+ HTTP/1.1"
    assert await call.reader.readexactly(4) == b"body"
    assert call.fields == [
        ("Host", f"127.0.0.1:{origin.port}"),
        ("Authorization", "Bearer t"),
        ("Cookie", "a=b"),
        ("cookie", "c=d"),
        ("Last-Event-ID", "7"),
        ("X-Latin", "caf\xe9"),
        ("Accept-Encoding", "identity"),
        ("Via", "1.1 sse-gateway"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "gw.example"),
        ("X-Forwarded-Port", str(gateway.proxy.listen_address[1])),
        ("Content-Length", "4"),
    ]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "PROPFIND", "QUERY"])
async def test_methods(gateway: Gateway, origin: Origin, method: str) -> None:
    origin.answer = b"HTTP/1.1 207 Fine\r\nContent-Length: 0\r\n\r\n"
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    assert (await client.request(method, "/sse")).head.startswith(b"HTTP/1.1 207 Fine\r\n")
    assert (await origin.call()).line == f"{method} /sse HTTP/1.1"


async def test_status_phrase_and_body_as_they_came(gateway: Gateway, origin: Origin) -> None:
    origin.answer = (
        b"HTTP/1.1 418 \r\nContent-Type: a/b\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x00"
    )
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    response = await client.get("/sse")
    assert response.head.startswith(b"HTTP/1.1 418 \r\nContent-Type: a/b\r\nContent-Encoding: gzip\r\n")
    assert await client.exactly(3) == b"\x1f\x8b\x00"


async def test_interim_heads_are_not_the_response(gateway: Gateway, origin: Origin) -> None:
    origin.answer = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
    )
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    response = await client.get("/sse")
    assert (response.status, response.get("Link"), await client.exactly(1)) == (200, None, b"x")


async def test_head_response_keeps_its_length(gateway: Gateway, origin: Origin) -> None:
    origin.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    for _ in range(2):
        response = await client.request("HEAD", "/sse")
        assert response.get("Content-Length") == "1234"
    assert origin.connections == 1


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
@pytest.mark.parametrize(
    "wrong", [b"", b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
)
async def test_bodiless_status_with_a_body(gateway: Gateway, origin: Origin, status: bytes, wrong: bytes) -> None:
    origin.answer = b"HTTP/1.1 " + status + b"\r\nX-A: 1\r\n" + (wrong or b"\r\n")
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    response = await client.get("/sse")
    assert (response.status, response.get("X-A")) == (int(status[:3]), "1")
    assert response.get("Transfer-Encoding") is None
    assert (response.status, response.get("Content-Length")) != (204, "5")
    # Nothing of the body follows: the next answer is the next thing on the connection.
    origin.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"
    response = await client.get("/sse")
    assert (response.status, await client.exactly(4)) == (200, b"next")
    assert origin.connections == (2 if wrong else 1)


async def test_bytes_behind_the_end_are_nobodys_answer(gateway: Gateway, origin: Origin) -> None:
    second = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    for first in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ):
        origin.answer = first + second
        gateway.load(api(origin.url()))
        client = await gateway.connect()
        response = await client.get("/sse")
        assert (await client.length_body(response) or await client.chunked_body()) == b"ok"
        origin.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine"
        await client.get("/sse")
        assert await client.exactly(4) == b"mine"


async def test_unsolicited_answer_closes_the_pooled_connection(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    await client.get("/sse")
    assert await client.exactly(2) == b"ok"
    call = await origin.call()
    await call.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
    await asyncio.sleep(0.05)
    assert (await client.get("/sse")).status == 200
    assert (await origin.call()).connection == 2


async def test_redirect_is_passed_on(gateway: Gateway, origin: Origin) -> None:
    origin.answer = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    response = await client.get("/sse")
    assert (response.status, response.get("Location")) == (302, "/elsewhere")


async def test_a_length_said_twice_is_said_once(gateway: Gateway, origin: Origin) -> None:
    origin.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nA: b\r\nContent-Length: 2\r\n\r\nok"
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    assert (await client.get("/sse")).head == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n\r\n"
    assert await client.exactly(2) == b"ok"


async def test_a_fault_of_the_gateway_is_a_500(
    gateway: Gateway, origin: Origin, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.load(api(origin.url()))
    monkeypatch.setattr("sse_proxy.exchange.rest_of_path", lambda path, consumed: 1 / 0)
    client = await gateway.connect()
    response = await client.get("/sse")
    assert (response.status, (await client.problem(response))["reason"]) == (500, "InternalError")
    assert "ZeroDivisionError" in caplog.text


async def test_no_cookie_is_kept(gateway: Gateway, origin: Origin) -> None:
    origin.answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: session=one; Path=/\r\nContent-Length: 0\r\n\r\n"
    gateway.load(api(origin.url(host="localhost")))
    for _ in range(2):
        client = await gateway.connect()
        assert (await client.get("/sse")).get("Set-Cookie") == "session=one; Path=/"
        assert (await origin.call()).get("Cookie") is None


async def test_without_keep_alive_connections_are_single(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url(), keep_alive=False))
    client = await gateway.connect()
    for _ in range(2):
        await client.get("/sse")
        assert await client.exactly(2) == b"ok"
        call = await origin.call()
        assert call.get("Connection") == "close"
        await call.has_left()
    assert origin.connections == 2


@pytest.mark.parametrize("chunked", [True, False])
async def test_upload_is_streamed(gateway: Gateway, origin: Origin, chunked: bool) -> None:
    async def answer(call: Call) -> None:
        if chunked:
            assert await call.reader.readuntil(b"first\r\n") == b"5\r\nfirst\r\n"
        else:
            assert await call.reader.readexactly(5) == b"first"
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        assert await call.reader.readexactly(16 if chunked else 6) == (
            b"6\r\nsecond\r\n0\r\n\r\n" if chunked else b"second"
        )
        await call.send(b"second")

    origin.answer = answer
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    framing = "Transfer-Encoding: chunked" if chunked else "Content-Length: 11"
    first, second = (chunk(b"first"), chunk(b"second") + b"0\r\n\r\n") if chunked else (b"first", b"second")
    # The response's head comes before the request's end: both directions are open at once.
    assert (await client.request("POST", "/sse", framing, body=first)).status == 200
    await client.send(second)
    assert await client.exactly(6) == b"second"


async def test_upload_is_held_back_by_upstream(gateway: Gateway, origin: Origin) -> None:
    reading = asyncio.Event()

    async def answer(call: Call) -> None:
        await reading.wait()
        await call.reader.readexactly(32 << 20)
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    origin.answer = answer
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    sent = 0

    async def upload() -> None:
        nonlocal sent
        await client.send(b"POST /sse HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (32 << 20))
        while sent < 32 << 20:
            await client.send(bytes(1 << 16))
            sent += 1 << 16

    task = asyncio.create_task(upload())
    last = -1
    while sent != last:
        last = sent
        await asyncio.sleep(0.2)
    assert sent < 24 << 20
    reading.set()
    await task
    assert (await client.head()).status == 200


async def test_expect_continue(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    assert (await client.request("POST", "/sse", "Expect: 100-continue", "Content-Length: 3")).status == 100
    await client.send(b"abc")
    assert (await client.head()).status == 200
    call = await origin.call()
    assert call.get("Expect") is None
    # No 100 where the answer is no: and no byte of the body is read for a request.
    refused = await gateway.connect()
    response = await refused.request("POST", "/nope", "Expect: 100-continue", "Content-Length: 3")
    assert (response.status, response.get("Connection")) == (404, "close")
    other = await gateway.connect()
    assert (await other.request("POST", "/sse", "Expect: tea", "Content-Length: 1", body=b"x")).status == 417


async def test_http_1_0_client_gets_a_body_until_close(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: 1\n\n")
        await call.send(b"0\r\n\r\n")

    origin.answer = answer
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    await client.send(b"GET /sse HTTP/1.0\r\n\r\n")
    response = await client.head()
    assert (response.get("Transfer-Encoding"), response.get("Connection")) == (None, "close")
    assert await client.rest() == (b"data: 1\n\n", "fin")


async def test_client_that_leaves_takes_upstream_with_it(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: 1\n\n")
        await call.gone()

    origin.answer = answer
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    await client.get("/sse")
    await client.chunk()
    await client.close()
    await (await origin.call()).has_left()
    assert await gateway.closed() == "client"


async def test_client_that_leaves_before_the_answer(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.gone()

    origin.answer = answer
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    await client.send(b"GET /sse HTTP/1.1\r\nHost: a\r\n\r\n")
    call = await origin.call()
    await client.close()
    await call.has_left()
    await gateway.logged_line("request", reason="client")


async def test_half_closed_client_is_a_client_that_left(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.gone()

    origin.answer = answer
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    await client.get("/sse")
    client.writer.write_eof()
    await (await origin.call()).has_left()


async def test_stale_pooled_connection_is_tried_again(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        if call.connection == 1 and call.line.endswith("/second HTTP/1.1"):
            # As if the close had been on its way while the request came.
            call.reset()
            return
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    origin.answer = answer
    gateway.load(api(origin.url("")))
    client = await gateway.connect()
    await client.get("/sse")
    await client.exactly(2)
    assert (await client.get("/sse/second")).status == 200
    assert origin.connections == 2


async def test_fresh_connection_is_not_tried_again(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        call.reset()

    origin.answer = answer
    gateway.load(api(origin.url("")))
    client = await gateway.connect()
    assert (await client.get("/sse")).status == 502
    assert origin.connections == 1


async def test_post_on_a_stale_connection_is_not_repeated(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        if call.line.startswith("POST"):
            call.reset()
            return
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    origin.answer = answer
    gateway.load(api(origin.url("")))
    client = await gateway.connect()
    await client.get("/sse")
    await client.exactly(2)
    assert (await client.request("POST", "/sse", "Content-Length: 1", body=b"x")).status == 502


async def test_pipelined_requests_are_answered_in_order(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        body = call.line.split(" ")[1].encode()
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    origin.answer = answer
    gateway.load(api(origin.url("")))
    client = await gateway.connect()
    await client.send(b"".join(b"GET /sse/%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(3)))
    for number in range(3):
        assert await client.length_body(await client.head()) == b"/%d" % number


async def test_upgrade_to_h2c_is_ignored(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    for _ in range(2):
        response = await client.get(
            "/sse", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"
        )
        assert response.status == 200
        assert await client.exactly(2) == b"ok"
        call = await origin.call()
        assert (call.get("Upgrade"), call.get("HTTP2-Settings"), call.get("Connection")) == (None, None, None)
