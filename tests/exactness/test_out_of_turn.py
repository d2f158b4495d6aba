"""Bytes that come out of turn: requests during a stream, answers before the request's end, half closes."""

from __future__ import annotations

import asyncio

import pytest

from proxy import harness
from proxy.harness import Call, Client, Gateway, Origin, api, chunk
from sse_proxy.listener import ListenerLimits

MEGABYTE = 1 << 20


async def streaming(call: Call) -> None:
    """A stream without end; other requests get `ok`."""
    if "/other" in call.line:
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        return
    await call.stream_head()
    await call.event(b"data: 1\n\n")
    await call.gone()


async def opened(gateway: Gateway, origin: Origin) -> Client:
    """A client within a stream."""
    origin.answer = streaming
    gateway.load(api(origin.url("")))
    client = await gateway.connect()
    await client.get("/sse")
    await client.chunk()
    return client


@pytest.mark.parametrize(
    "pipelined",
    [
        b"GET /sse/other HTTP/1.1\r\nHost: a\r\n\r\n" * 100,
        b"POST /sse/other HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % MEGABYTE + bytes(MEGABYTE),
        b"POST /sse/other HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(bytes(1024)) * 99,
    ],
    ids=["requests", "a body", "chunks"],
)
async def test_requests_during_a_stream_are_bounded_and_then_the_connection_is_closed(
    gateway: Gateway, origin: Origin, pipelined: bytes
) -> None:
    client = await opened(gateway, origin)
    client.writer.write(pipelined)
    await (await origin.call()).has_left()
    assert await gateway.closed() == "client"
    assert origin.calls.empty()


async def test_a_refused_request_during_a_stream_is_answered_after_it(gateway: Gateway, origin: Origin) -> None:
    client = await opened(gateway, origin)
    client.writer.write(b"GET /sse/other HTTP/1.1\r\nHost: a\r\nX: " + b"a" * MEGABYTE)
    call = await origin.call()
    await call.send(b"0\r\n\r\n")
    assert await client.chunk() == b""
    assert (await client.head()).status == 431


async def test_one_request_during_a_stream_waits(gateway: Gateway, origin: Origin) -> None:
    """And the stream is told of a client that leaves all the same."""
    client = await opened(gateway, origin)
    await client.send(b"POST /sse/other HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
    call = await origin.call()
    await call.event(b"data: 2\n\n")
    assert await client.chunk() == b"data: 2\n\n"
    await client.close()
    await call.has_left()
    assert await gateway.closed() == "client"
    assert origin.calls.empty()


@pytest.mark.parametrize("body", [b"", bytes(3 * MEGABYTE)], ids=["no body", "half a body"])
async def test_early_answer_ends_the_exchange(gateway: Gateway, origin: Origin, body: bytes) -> None:
    """Upstream refuses before it has read the request: the client gets that answer, and no request is left half sent
    on a connection that somebody else would get."""
    size = 8 * MEGABYTE

    async def answer(call: Call) -> None:
        if call.line.startswith("POST"):
            await call.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
            await call.gone()
        else:
            await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    origin.answer = answer
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    client.writer.write(b"POST /sse HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + body)
    response = await client.head()
    assert (response.status, await client.exactly(3)) == (413, b"big")
    await (await origin.call()).has_left()
    other = await gateway.connect()
    await other.get("/sse")
    assert (await other.exactly(2), origin.connections) == (b"ok", 2)


@pytest.mark.parametrize("when", ["before the head", "in the body"])
async def test_half_close_is_a_disconnect(gateway: Gateway, origin: Origin, when: str) -> None:
    async def answer(call: Call) -> None:
        if when == "in the body":
            await call.stream_head()
        await call.gone()

    origin.answer = answer
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    await client.send(b"GET /sse HTTP/1.1\r\nHost: a\r\n\r\n")
    call = await origin.call()
    if when == "in the body":
        await client.head()
    client.writer.write_eof()
    await call.has_left()


async def test_half_close_within_an_upload_is_no_end_of_it(gateway: Gateway, origin: Origin) -> None:
    """Upstream must not take the part that came for the whole."""
    received = asyncio.Queue[bytes]()

    async def answer(call: Call) -> None:
        received.put_nowait(await call.reader.read())

    origin.answer = answer
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    await client.send(b"POST /sse HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    await origin.call()
    client.writer.write_eof()
    async with asyncio.timeout(harness.PATIENCE):
        assert not (await received.get()).endswith(b"0\r\n\r\n")


async def test_head_limits_are_settings(origin: Origin) -> None:
    limits = ListenerLimits(request_line=100, head=400, header_field=200, header_fields=5)
    gateway = await harness.start(limits=limits)
    gateway.load(api(origin.url()))
    for fits, lines in (
        (200, b"X: " + b"a" * 190),
        (431, b"X: " + b"a" * 220),
        (200, b"\r\n".join([b"X: a"] * 4)),
        (431, b"\r\n".join([b"X: a"] * 5)),
        (431, b"\r\n".join([b"X: " + b"a" * 150] * 3)),
    ):
        client = await gateway.connect()
        await client.send(b"GET /sse HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n\r\n")
        assert (await client.head()).status == fits
        await client.close()
    client = await gateway.connect()
    await client.send(b"GET /sse/" + b"a" * 100 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await client.head()).status == 414
    await client.close()
    await gateway.proxy.stop()


async def test_a_stream_with_a_length_and_one_without_any(gateway: Gateway, origin: Origin) -> None:
    """Events pass one by one, however the body is framed."""
    length = b"Content-Length: 27\r\n"
    for framing, end in ((length, b""), (b"", b"0\r\n\r\n")):

        async def answer(call: Call, framing: bytes = framing) -> None:
            await call.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + framing + b"\r\n")
            for _ in range(3):
                await call.send(b"data: 1\n\n")
                await call.reader.readexactly(1)
            call.writer.close()

        origin.answer = answer
        gateway.load(api(origin.url(), keep_alive=False))
        client = await gateway.connect()
        response = await client.request("POST", "/sse", "Content-Length: 3")
        assert response.get("Transfer-Encoding") == (None if framing else "chunked")
        for _ in range(3):
            assert await (client.exactly(9) if framing else client.chunk()) == b"data: 1\n\n"
            await client.send(b"x")
        if end:
            assert await client.exactly(len(end)) == end
