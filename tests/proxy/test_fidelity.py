"""Bytes pass exactly: any stream, in any cut."""

from __future__ import annotations

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import harness
from proxy.harness import Call, Client, Gateway, Origin, api, chunk

PIECES = [
    b"\n",
    b"\r\n",
    b"\r",
    b"data: x",
    b":comment",
    b"id: \x00",
    b"\xef\xbb\xbf",
    b"event: \xff\xfe",
    b"0\r\n\r\n",
    b"retry: 1",
]


@given(
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=30)), max_size=20).map(b"".join),
    st.lists(st.integers(1, 12), max_size=20),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_any_stream_in_any_cut(stream: bytes, sizes: list[int], chunked: bool) -> None:
    async def run() -> None:
        origin, gateway = Origin(), await harness.start()
        await origin.start()

        async def answer(call: Call) -> None:
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            await call.send(
                head
                + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: %d\r\n\r\n" % len(stream))
            )
            left = stream
            for size in sizes:
                part, left = left[:size], left[size:]
                if part:
                    await call.send(chunk(part) if chunked else part)
                    await asyncio.sleep(0)
            await call.send((chunk(left) if left else b"") + b"0\r\n\r\n" if chunked else left)

        origin.answer = answer
        gateway.load(api(origin.url()))
        client = await gateway.connect()
        response = await client.get("/sse")
        body = await (client.chunked_body() if chunked else client.length_body(response))
        assert body == stream
        await stop(gateway, origin)

    asyncio.run(run())


async def stop(gateway: Gateway, origin: Origin) -> None:
    for client in gateway.clients:
        await client.close()
    await gateway.proxy.stop()
    await origin.stop()


async def test_large_events_both_ways(gateway: Gateway, origin: Origin) -> None:
    """Megabytes up and down at once, through every buffer."""
    blob = random.Random(1).randbytes(5 << 20)

    async def answer(call: Call) -> None:
        await call.stream_head()
        left = len(blob)
        while left:
            data = await call.reader.read(min(left, 50_000))
            left -= len(data)
            await call.event(data)
        await call.send(b"0\r\n\r\n")

    async def upload(client: Client) -> None:
        await client.send(b"POST /sse HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(blob))
        await client.send(blob)

    origin.answer = answer
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    uploading = asyncio.create_task(upload(client))
    await client.head()
    assert await client.chunked_body() == blob
    await uploading
