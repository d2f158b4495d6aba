"""limits.eventSize: a stream breaks off at an event that is too large, and what came before it arrives."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.harness import Call, Gateway, Origin, api, chunk
from sse_proxy.config import Api, Stream
from sse_proxy.stream.boundary import EventBoundary
from sse_proxy.stream.measured import EventMeasure

MOST = 100


def event(size: int) -> bytes:
    return b"data: " + b"x" * (size - 8) + b"\n\n"


def limited(origin: Origin, **stream: Any) -> Api:
    return api(origin.url(), stream=Stream(event_size=MOST, **stream))


def sending(*parts: bytes) -> Any:
    """Answers a stream with these chunks, and goes on until the proxy leaves."""

    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.send(*map(chunk, parts))
        await call.gone()

    return answer


async def received(gateway: Gateway) -> bytes:
    """The body until the stream breaks off."""
    client = await gateway.connect()
    assert (await client.get("/sse")).status == 200
    rest, _ = await client.rest()
    assert not rest.endswith(b"0\r\n\r\n"), "no last chunk"
    return unchunked(rest)


def unchunked(framed: bytes) -> bytes:
    """The payload of chunks, of which the last may be cut."""
    body = b""
    while framed:
        size, _, rest = framed.partition(b"\r\n")
        body += rest[: int(size, 16)]
        framed = rest[int(size, 16) + 2 :]
    return body


@pytest.mark.parametrize("mode", ["Relay", "Shared"])
async def test_an_event_that_is_too_large_breaks_the_stream_off(gateway: Gateway, origin: Origin, mode: str) -> None:
    """As many before it as there are arrive, although all come in one read."""
    fine = event(MOST) + b": " + b"a comment is of no event" * 3 + b"\n" + event(MOST)
    origin.answer = sending(fine + event(MOST + 1) + event(10))
    gateway.load(limited(origin, mode=mode))
    assert await received(gateway) == fine
    assert await gateway.closed() == "event_too_large"
    reason = {"api": "default/api", "reason": "event_too_large"}
    assert await gateway.metric("sse_gateway_streams_closed_total", **reason) == 1


async def test_one_that_comes_in_parts(gateway: Gateway, origin: Origin) -> None:
    """What of it was relayed before it was too large has no end, so that no client takes it for an event."""
    large = event(MOST * 3)
    arrived = asyncio.Event()

    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(large[:MOST])
        await arrived.wait()
        await call.event(large[MOST:])
        await call.gone()

    origin.answer = answer
    gateway.load(limited(origin))
    client = await gateway.connect()
    assert (await client.get("/sse")).status == 200
    assert await client.chunk() == large[:MOST]
    arrived.set()
    assert (await client.rest())[0] == b""
    assert await gateway.closed() == "event_too_large"


async def test_a_shared_stream_tells_it_where_asked(gateway: Gateway, origin: Origin) -> None:
    origin.answer = sending(event(50) + event(MOST + 1))
    gateway.load(limited(origin, mode="Shared", on_upstream_failure="Event"))
    got = await received(gateway)
    assert got.startswith(event(50) + b"event: gateway-error\ndata: ")
    assert b'"EventTooLarge"' in got


async def test_what_is_no_plain_event_stream_is_not_measured(gateway: Gateway, origin: Origin) -> None:
    gateway.load(limited(origin))
    client = await gateway.connect()
    for fields in (b"Content-Type: text/plain", b"Content-Type: text/event-stream\r\nContent-Encoding: gzip"):
        large = event(MOST * 3)
        origin.answer = b"HTTP/1.1 200 OK\r\n%b\r\nContent-Length: %d\r\n\r\n%b" % (fields, len(large), large)
        assert await client.length_body(await client.get("/sse")) == large


async def test_a_stream_with_a_length(gateway: Gateway, origin: Origin) -> None:
    body = event(MOST) + event(MOST + 1)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(body)
    origin.answer = head + body
    gateway.load(limited(origin))
    client = await gateway.connect()
    assert (await client.get("/sse")).status == 200
    assert (await client.rest())[0] == event(MOST)


pieces = st.lists(st.sampled_from([b"\n", b"data: xxxx", b":", b"a", b"b" * 12, b"\n\n"]), max_size=40).map(b"".join)


@given(pieces, st.lists(st.integers(1, 30), max_size=20), st.integers(1, 40))
def test_any_stream_in_any_cut(stream: bytes, sizes: list[int], most: int) -> None:
    whole = EventBoundary().all_in(stream)
    starts, ends = [0, *whole], [*whole, len(stream)]
    too_large = next((start for start, end in zip(starts, ends, strict=True) if end - start > most), None)
    measure, boundary = EventMeasure(most), EventBoundary()
    passed = 0
    for size in [*sizes, len(stream)]:
        part = stream[passed : passed + size]
        end = measure.overrun(part, boundary)
        if end >= 0:
            assert too_large is not None
            # What was relayed of it until then is within the limit, and none of it is where all was still to come.
            assert too_large <= passed + end <= too_large + most
            assert end == max(too_large - passed, 0)
            return
        boundary.feed(part)
        passed += len(part)
    assert too_large is None
