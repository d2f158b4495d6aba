"""onUpstreamFailure: Event: a client that sees no status any more is told why its stream breaks, where it can be."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.harness import Answer, Call, Client, Gateway, Origin, api, chunk
from proxy.test_heartbeat import events
from sse_proxy.config import Api, Shared, Stream
from sse_proxy.stream.boundary import EventBoundary

CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
EVENT = b"data: a\n\n"


def telling(origin: Origin, **timeouts: float | None) -> Api:
    return api(origin.url(), stream=Stream(on_upstream_failure="Event"), timeouts=timeouts)


def told(data: bytes, reason: str, status: int) -> None:
    """`data` is one event about this, in a chunk of its own, and no last chunk follows it."""
    size, _, rest = data.partition(b"\r\n")
    assert int(size, 16) == len(rest) - 2
    assert rest.endswith(b"\n\n\r\n")
    name, value = rest[:-4].split(b"\n")
    assert name == b"event: gateway-error"
    problem = json.loads(value.removeprefix(b"data: "))
    assert (problem["reason"], problem["status"]) == (reason, status)
    assert problem["type"].startswith("urn:sse-gateway:problem:")
    assert set(problem) == {"type", "title", "status", "reason"}


async def rest_of(client: Client, first: bytes = EVENT) -> bytes:
    """What comes behind the first event; the connection ends."""
    assert await client.chunk() == first
    data, end = await client.rest()
    assert end == "fin"
    return data


async def reset(call: Call) -> None:
    await call.stream_head()
    await call.event(EVENT)
    call.reset()


async def truncated(call: Call) -> None:
    await call.stream_head()
    await call.event(EVENT)
    call.writer.close()


async def misframed(call: Call) -> None:
    await call.stream_head()
    await call.send(chunk(EVENT), b"no chunk\r\n")
    await call.gone()


@pytest.mark.parametrize("answer", [reset, truncated, misframed])
async def test_upstream_breaks_off(gateway: Gateway, origin: Origin, answer: Answer) -> None:
    origin.answer = answer
    gateway.load(telling(origin))
    client = await gateway.connect()
    await client.get("/sse")
    told(await rest_of(client), "UpstreamBroke", 502)
    line = await gateway.logged_line("stream_close")
    assert (line["reason"], line["bytes"]) == ("upstream_error", len(EVENT))
    assert await gateway.metric("sse_gateway_streams_closed_total", api="default/api", reason="upstream_error") == 1


async def silent(call: Call) -> None:
    await call.stream_head()
    await call.event(EVENT)
    await call.gone()


@pytest.mark.parametrize(
    ("timeout", "reason", "closed"),
    [("idle", "IdleTimeout", "idle_timeout"), ("stream", "StreamTimeout", "stream_timeout")],
)
async def test_a_timeout(gateway: Gateway, origin: Origin, timeout: str, reason: str, closed: str) -> None:
    origin.answer = silent
    gateway.load(telling(origin, **{timeout: 0.2}))
    client = await gateway.connect()
    await client.get("/sse")
    told(await rest_of(client), reason, 504)
    assert await gateway.closed() == closed


async def test_before_the_first_event(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        call.writer.close()

    origin.answer = answer
    gateway.load(telling(origin))
    client = await gateway.connect()
    await client.get("/sse")
    data, _ = await client.rest()
    told(data, "UpstreamBroke", 502)


NOWHERE = {
    "in-a-line": CHUNKED + b"\r\n" + chunk(b"data: a"),
    "in-an-event": CHUNKED + b"\r\n" + chunk(b"data: a\n"),
    "in-an-event-behind-a-comment": CHUNKED + b"\r\n" + chunk(b"data: a\n: comment\n"),
    "in-a-chunk": CHUNKED + b"\r\n14\r\ndata: a\n\n",
    "before-the-end-of-a-chunk": CHUNKED + b"\r\n9\r\ndata: a\n\n",
    "between-cr-and-lf": CHUNKED + b"\r\n" + chunk(b"data: a\r\n\r"),
    "behind-a-byte-order-mark": CHUNKED + b"\r\n" + chunk(b"\xef\xbb\xbf"),
    "another-status": CHUNKED.replace(b"200 OK", b"203 No") + b"\r\n" + chunk(EVENT),
    "another-type": CHUNKED.replace(b"event-stream", b"plain") + b"\r\n" + chunk(EVENT),
    "encoded": CHUNKED + b"Content-Encoding: gzip\r\n\r\n" + chunk(EVENT),
    "of-known-length": CHUNKED.replace(b"Transfer-Encoding: chunked", b"Content-Length: 99") + b"\r\n" + EVENT,
}


async def test_nowhere_else(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.send(NOWHERE[call.line.split(" ")[1].removeprefix("/sse/")])
        call.writer.close()

    async def ask(name: str) -> bytes:
        client = await gateway.connect()
        await client.get(f"/sse/{name}")
        return (await client.rest())[0]

    origin.answer = answer
    gateway.load(telling(origin))
    got = dict(zip(NOWHERE, await asyncio.gather(*map(ask, NOWHERE)), strict=True))
    assert got == {name: wire.partition(b"\r\n\r\n")[2] for name, wire in NOWHERE.items()}


async def test_not_to_a_client_of_http_1_0(gateway: Gateway, origin: Origin) -> None:
    origin.answer = truncated
    gateway.load(telling(origin))
    client = await gateway.connect()
    await client.send(b"GET /sse HTTP/1.0\r\n\r\n")
    await client.head()
    assert await client.rest() == (EVENT, "reset")


async def test_not_where_upstream_ends_or_somebody_else_does(gateway: Gateway, origin: Origin) -> None:
    ends = asyncio.Event()

    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(EVENT)
        if call.line.startswith("GET /sse/ends"):
            await ends.wait()
            await call.send(b"0\r\n\r\n")
        await call.gone()

    origin.answer = answer
    gateway.load(telling(origin))
    ending, removed = await gateway.connect(), await gateway.connect()
    await ending.get("/sse/ends", "Connection: close")
    await removed.get("/sse")
    ends.set()
    assert await rest_of(ending) == b"0\r\n\r\n"
    gateway.load()
    assert await rest_of(removed) == b""


lines = st.lists(
    st.tuples(
        st.sampled_from([b"", b"data: a", b":comment", b"id", b":"]), st.sampled_from([b"\n", b"\r\n", b"\r", b""])
    )
)


@given(lines)
def test_wherever_it_may_stand_a_reader_gets_what_came_and_then_it(parts: list[tuple[bytes, bytes]]) -> None:
    before = b"".join(text + end for text, end in parts)
    boundary = EventBoundary()
    boundary.feed(before)
    if boundary.here:
        told = b"event: gateway-error\ndata: {}\n\n"
        assert events(before + told) == [*events(before)[:-1], (b"event: gateway-error", b"data: {}"), ()]


async def test_off_by_default(gateway: Gateway, origin: Origin) -> None:
    origin.answer = truncated
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    await client.get("/sse")
    assert await rest_of(client) == b""


async def test_clients_of_a_shared_stream_when_it_is_given_up(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(EVENT + b"data: half")
        call.writer.close()

    origin.answer = answer
    settings = Stream(mode="Shared", shared=Shared(reconnect_for=0.0), on_upstream_failure="Event")
    gateway.load(api(origin.url(), stream=settings))
    client = await gateway.connect()
    await client.get("/sse")
    # Half an event is never theirs, so that this may always stand there.
    told(await rest_of(client), "UpstreamBroke", 502)
    assert await gateway.closed() == "upstream_error"
