"""Bytes pass exactly: any stream, in any cut."""

from __future__ import annotations

import asyncio
import random

import httpx
import httpx_sse
import pytest
import sseclient
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


FRAMINGS = ("chunks", "length", "close")


async def relayed(stream: bytes, sizes: list[int], framing: str) -> bytes:
    """What a client gets of a stream that upstream sends in parts of these sizes and then the rest."""
    origin, gateway = Origin(), await harness.start()
    await origin.start()
    chunked = framing == "chunks"
    field = {
        "chunks": b"Transfer-Encoding: chunked\r\n",
        "length": b"Content-Length: %d\r\n" % len(stream),
        "close": b"",
    }

    async def answer(call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + field[framing] + b"\r\n")
        left = stream
        for size in sizes:
            part, left = left[:size], left[size:]
            if part:
                await call.send(chunk(part) if chunked else part)
                await asyncio.sleep(0)
        await call.send((chunk(left) if left else b"") + b"0\r\n\r\n" if chunked else left)
        if framing == "close":
            call.writer.close()

    origin.answer = answer
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    response = await client.get("/sse")
    body = await (client.length_body(response) if framing == "length" else client.chunked_body())
    await stop(gateway, origin)
    return body


@given(
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=30)), max_size=20).map(b"".join),
    st.lists(st.integers(1, 12), max_size=20),
    st.sampled_from(FRAMINGS),
)
@settings(max_examples=40, deadline=None)
def test_any_stream_in_any_cut(stream: bytes, sizes: list[int], framing: str) -> None:
    assert asyncio.run(relayed(stream, sizes, framing)) == stream


Event = tuple[str, str]
"""Its type and data."""

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=12)
LINE = TEXT.filter(lambda text: text.strip() == text != "")


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[Event]]:
    """A stream with every line end, and the events with data that it holds."""
    written, events = "", []
    for _ in range(draw(st.integers(0, 5))):
        end = draw(st.sampled_from(("\n", "\r", "\r\n")))
        kind, data = draw(st.sampled_from(("message", "note", "ä"))), draw(st.lists(LINE, min_size=1, max_size=3))
        lines = [f"data:{draw(st.sampled_from((' ', '')))}{line}" for line in data]
        extra = draw(
            st.lists(st.sampled_from((":", ": comment", "id: 7", "id: a\0b", "retry: 20", "unknown: x")), max_size=3)
        )
        lines = [f"event: {kind}", *extra, *lines] if kind != "message" else [*lines, *extra]
        written += end.join((*lines, "", ""))
        events.append((kind, "\n".join(data)))
    return written.encode(), events


@given(
    streams(),
    st.lists(st.integers(1, 12), max_size=20),
    st.sampled_from(FRAMINGS),
    st.sampled_from((b"", b"data: half")),
)
@settings(max_examples=40, deadline=None)
def test_parsers_find_the_events_that_were_sent(
    sent: tuple[bytes, list[Event]], sizes: list[int], framing: str, rest: bytes
) -> None:
    stream, events = sent
    received = asyncio.run(relayed(stream + rest, sizes, framing))
    assert parsed_by_httpx_sse(received) == events
    # This one takes an event that was not ended for one.
    assert parsed_by_sseclient(received)[: len(events)] == events


def parsed_by_httpx_sse(stream: bytes) -> list[Event]:
    response = httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=stream)
    return [(event.event, event.data) for event in httpx_sse.EventSource(response).iter_sse() if event.data]


def parsed_by_sseclient(stream: bytes) -> list[Event]:
    return [(event.event, event.data) for event in sseclient.SSEClient([stream]).events()]


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_lines_of_megabytes(framing: str) -> None:
    """Behind a byte-order mark, with a NUL in the id, empty events around it and no end of the last."""
    line = "ä" * (2 << 20)
    stream = b"\xef\xbb\xbf\n\n:\r\rid: 1\0\ndata: " + line.encode() + b"\n\n\n\nevent: x\n\ndata: " + b"y" * (3 << 20)
    received = await relayed(stream, [1, 2, 100_003, 1 << 20], framing)
    assert received == stream
    assert parsed_by_httpx_sse(received) == [("message", line)]


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
