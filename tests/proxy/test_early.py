"""heartbeatBeforeResponse: a client is kept alive while upstream thinks, and what that costs."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import harness
from proxy.harness import Call, Client, Gateway, Origin, Response, api, chunk
from sse_proxy.config import Api, Cors, Endpoint, Failover, OnClientDisconnect, Stream
from sse_proxy.stream.early import Reframed
from sse_proxy.stream.framing import ChunkedBody
from sse_proxy.upstream.response import ResponseHead

AFTER = 0.1
"""Seconds."""
BEAT = b":\n"
EVENT = b"data: a\n\n"
ACCEPT = "Accept: text/event-stream"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


def early(origin: Origin, *, timeouts: dict[str, float | None] | None = None, **members: Any) -> Api:
    settings = members.pop("stream", {})
    stream = Stream(**{"heartbeat_before_response": AFTER, **settings})
    return api(origin.url(), stream=stream, timeouts=timeouts, **members)


class Thinker:
    """An origin that sends some bytes when it is told to, and ends the connection where that is said."""

    def __init__(self, *parts: bytes, closes: bool = False) -> None:
        self.go_on = asyncio.Event()
        self._parts, self._closes = parts, closes

    async def __call__(self, call: Call) -> None:
        await self.go_on.wait()
        for part in self._parts:
            await call.send(part)
            await asyncio.sleep(0.01)
        if self._closes:
            call.writer.close()


async def waiting(gateway: Gateway, *lines: str, method: str = "GET") -> tuple[Client, Response]:
    """A client that has got a head and two comments."""
    client = await gateway.connect()
    response = await client.request(method, "/sse", ACCEPT, *lines)
    assert (await client.chunk(), await client.chunk()) == (BEAT, BEAT)
    return client, response


async def behind_comments(client: Client) -> bytes:
    """All until the end of the response, without comments."""
    body = b""
    while data := await client.chunk():
        body += data if data != BEAT else b""
    return body


async def told(client: Client) -> dict[str, Any]:
    """The problem that comes behind comments, as the last thing before the break."""
    while (data := await client.chunk()) == BEAT:
        pass
    name, value = data.removesuffix(b"\n\n").split(b"\n")
    assert name == b"event: gateway-error"
    assert await client.rest() == (b"", "fin")
    problem: dict[str, Any] = json.loads(value.removeprefix(b"data: "))
    return problem


async def test_comments_until_upstream_answers(gateway: Gateway, origin: Origin) -> None:
    origin.answer = thinker = Thinker(
        STREAM + b"X-Late: 1\r\nTransfer-Encoding: chunked\r\n\r\n", chunk(EVENT), b"0\r\n\r\n"
    )
    gateway.load(early(origin))
    client, response = await waiting(gateway)
    assert response.status == 200
    assert (response.get("Content-Type"), response.get("Cache-Control")) == ("text/event-stream", "no-store")
    assert response.get("Transfer-Encoding") == "chunked"
    assert await gateway.metric("sse_gateway_streams_active", api="default/api") == 1
    opened = await gateway.logged_line("stream_open")
    assert opened["status"] == 200
    thinker.go_on.set()
    assert await behind_comments(client) == EVENT
    closed = await gateway.logged_line("stream_close")
    assert (closed["reason"], closed["bytes"]) == ("upstream_end", len(EVENT))
    assert closed["head_seconds"] >= 2 * AFTER
    assert [line["event"] for line in gateway.log] == ["stream_open", "stream_close"]
    # Both connections are as good as ever.
    again = await client.get("/sse", ACCEPT)
    assert (again.status, again.get("X-Late"), origin.connections) == (200, "1", 1)


async def test_who_is_answered_in_time_notices_nothing(gateway: Gateway, origin: Origin) -> None:
    origin.answer = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
    gateway.load(early(origin, stream={"heartbeat_before_response": harness.PATIENCE}))
    client = await gateway.connect()
    response = await client.get("/sse", ACCEPT)
    assert (response.status, await client.length_body(response)) == (503, b"busy")


async def test_a_post_whose_body_has_gone_out(gateway: Gateway, origin: Origin) -> None:
    origin.answer = thinker = Thinker(STREAM + b"Transfer-Encoding: chunked\r\n\r\n", chunk(EVENT), b"0\r\n\r\n")
    gateway.load(early(origin))
    client = await gateway.connect()
    await client.send(b"POST /sse HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nContent-Length: 4\r\n\r\nab")
    call = await origin.call()
    assert await call.reader.readexactly(2) == b"ab"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3 * AFTER):
            await client.reader.read(1)
    await client.send(b"cd")
    assert (await client.head()).status == 200
    thinker.go_on.set()
    assert await behind_comments(client) == EVENT


@pytest.mark.parametrize(
    "request_head",
    [
        pytest.param(b"GET /sse HTTP/1.1\r\nHost: a\r\n\r\n", id="no Accept"),
        pytest.param(b"GET /sse HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n", id="anything"),
        pytest.param(
            b"POST /sse HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
            b"Accept: application/json, text/event-stream\r\n\r\n",
            id="MCP",
        ),
        pytest.param(b"HEAD /sse HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n", id="HEAD"),
        pytest.param(b"DELETE /sse HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n", id="DELETE"),
        pytest.param(b"GET /sse HTTP/1.0\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n", id="HTTP 1.0"),
    ],
)
async def test_others_wait(gateway: Gateway, origin: Origin, request_head: bytes) -> None:
    origin.answer = thinker = Thinker(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    gateway.load(early(origin))
    client = await gateway.connect()
    await client.send(request_head)
    await origin.call()
    await asyncio.sleep(3 * AFTER)
    thinker.go_on.set()
    assert (await client.head()).status == 404


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno", 401, "NoEventStream"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 503, "NoEventStream"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 502, "NoEventStream"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", 502, "NoEventStream"),
        (STREAM + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", 502, "NoEventStream"),
        (b"nonsense\r\n\r\n", 502, "UpstreamGarbage"),
    ],
)
async def test_what_is_no_stream_is_an_event_and_a_break(
    gateway: Gateway, origin: Origin, answer: bytes, status: int, reason: str
) -> None:
    origin.answer = thinker = Thinker(answer)
    gateway.load(early(origin))
    client, _ = await waiting(gateway)
    thinker.go_on.set()
    problem = await told(client)
    assert (problem["status"], problem["reason"]) == (status, reason)
    line = await gateway.logged_line("stream_close")
    assert (line["status"], line["reason"], line["problem"]) == (200, "upstream_error", reason)
    assert await gateway.metric("sse_gateway_problems_total", api="default/api", reason=reason) == 1
    assert await gateway.metric("sse_gateway_streams_active", api="default/api") == 0


async def test_an_answer_that_never_comes(gateway: Gateway, origin: Origin) -> None:
    origin.answer = Thinker()
    gateway.load(early(origin, timeouts={"response": 15 * AFTER}))
    client, _ = await waiting(gateway)
    assert (await told(client))["reason"] == "ResponseTimeout"


async def test_failover_goes_on_under_the_same_head(gateway: Gateway, origin: Origin) -> None:
    other = Origin()
    await other.start()
    origin.answer = first = Thinker(closes=True)
    other.answer = second = Thinker(STREAM + b"Transfer-Encoding: chunked\r\n\r\n", chunk(EVENT), b"0\r\n\r\n")
    endpoints = tuple(Endpoint(name=f"e{each.port}", url=each.url()) for each in (origin, other))
    gateway.load(early(origin, endpoints=endpoints, failover=Failover()))
    client, _ = await waiting(gateway)
    first.go_on.set()
    await other.call()
    assert await client.chunk() == BEAT
    second.go_on.set()
    assert await behind_comments(client) == EVENT
    await other.stop()


BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        pytest.param([chunk(BOM + EVENT), b"0\r\n\r\n"], EVENT, id="whole"),
        pytest.param([chunk(BOM[:1]), chunk(BOM[1:2]), chunk(BOM[2:] + EVENT), b"0\r\n\r\n"], EVENT, id="in parts"),
        pytest.param([b"c\r\n" + BOM + b"da", b"ta: a\n\n\r\n0\r\n\r\n"], EVENT, id="in half a chunk"),
        pytest.param([chunk(EVENT + BOM), b"0\r\n\r\n"], EVENT + BOM, id="elsewhere"),
        pytest.param([chunk(BOM[:2]), b"0\r\n\r\n"], BOM[:2], id="not whole"),
    ],
)
async def test_a_byte_order_mark_is_left_out(gateway: Gateway, origin: Origin, parts: list[bytes], body: bytes) -> None:
    origin.answer = thinker = Thinker(STREAM + b"Transfer-Encoding: chunked\r\n\r\n", *parts)
    gateway.load(early(origin))
    client, _ = await waiting(gateway)
    thinker.go_on.set()
    assert await behind_comments(client) == body


class Kept:
    """Keeps what it receives."""

    def __init__(self) -> None:
        self.body = b""
        self.framed = b""
        self.end: str | None = "none yet"

    def head_received(self, head: ResponseHead) -> None:
        raise AssertionError

    def body_received(self, body: bytes, framed: bytes) -> None:
        self.body += body
        self.framed += framed

    def response_ended(self, failure: str | None) -> None:
        self.end = failure


@given(st.sampled_from([b"", BOM[:1], BOM[:2], BOM, BOM + BOM]), st.binary(max_size=6), st.sets(st.integers(1, 11)))
def test_whatever_the_reads_one_mark_is_left_out(begin: bytes, rest: bytes, cuts: set[int]) -> None:
    whole = begin + rest
    kept = Kept()
    reframed = Reframed(kept)
    for start, end in itertools.pairwise([0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]):
        reframed.body_received(whole[start:end], b"")
    reframed.response_ended(None)
    assert (kept.body, kept.end) == (whole.removeprefix(BOM), None)
    decoder = ChunkedBody()
    assert decoder.feed(kept.framed)[0] == kept.body
    assert decoder.broken is None
    assert decoder.between_chunks


async def test_a_body_with_a_length_goes_in_chunks(gateway: Gateway, origin: Origin) -> None:
    origin.answer = thinker = Thinker(STREAM + b"Content-Length: 9\r\n\r\n", EVENT[:4], EVENT[4:])
    gateway.load(early(origin))
    client, _ = await waiting(gateway)
    thinker.go_on.set()
    assert await behind_comments(client) == EVENT


async def test_a_break_within_the_stream_is_as_ever(gateway: Gateway, origin: Origin) -> None:
    origin.answer = thinker = Thinker(STREAM + b"Transfer-Encoding: chunked\r\n\r\n", chunk(EVENT), closes=True)
    gateway.load(early(origin))
    client, _ = await waiting(gateway)
    thinker.go_on.set()
    while (data := await client.chunk()) == BEAT:
        pass
    assert data == EVENT
    assert await client.rest() == (b"", "fin")
    assert await gateway.closed() == "upstream_error"


async def test_pages_may_read_it(gateway: Gateway, origin: Origin) -> None:
    origin.answer = Thinker()
    gateway.load(early(origin, cors=Cors(allow_origins=("https://app.example",))))
    _, response = await waiting(gateway, "Origin: https://app.example")
    assert response.get("Access-Control-Allow-Origin") == "https://app.example"


async def test_a_client_that_goes_away_meanwhile(gateway: Gateway, origin: Origin) -> None:
    origin.answer = lambda call: call.gone()
    gateway.load(early(origin))
    client, _ = await waiting(gateway)
    client.writer.transport.abort()
    await (await origin.call()).has_left()
    assert await gateway.closed() == "client"
    assert [line["event"] for line in gateway.log] == ["stream_open", "stream_close"]


async def test_a_client_that_goes_away_and_whose_answer_finishes(gateway: Gateway, origin: Origin) -> None:
    origin.answer = thinker = Thinker(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
    gateway.load(early(origin, stream={"on_client_disconnect": OnClientDisconnect(policy="Finish")}))
    client, _ = await waiting(gateway, "Content-Length: 0", method="POST")
    client.writer.transport.abort()
    await harness.eventually(lambda: nobody_left(gateway))
    thinker.go_on.set()
    line = await gateway.logged_line("stream_close")
    assert (line["reason"], line["rest"], line["problem"]) == ("client", "upstream_error", "NoEventStream")


async def nobody_left(gateway: Gateway) -> bool:
    return not gateway.proxy._listener.connections


async def test_it_ends_with_the_drain(origin: Origin) -> None:
    origin.answer = lambda call: call.gone()
    gateway = await harness.start(drain_period=4.0)
    gateway.load(early(origin))
    client, _ = await waiting(gateway)
    drain = asyncio.create_task(gateway.proxy.drain())
    # Its turn comes before the period ends.
    async with asyncio.timeout(3.5):
        await client.rest()
        await drain
    assert await gateway.closed() == "drain"
    await client.close()
    await gateway.proxy.stop()


async def test_it_ends_with_its_api(gateway: Gateway, origin: Origin) -> None:
    origin.answer = lambda call: call.gone()
    gateway.load(early(origin))
    client, _ = await waiting(gateway)
    gateway.load()
    data, _ = await client.rest()
    assert data.replace(chunk(BEAT), b"") == b""
    assert await gateway.closed() == "removed"
