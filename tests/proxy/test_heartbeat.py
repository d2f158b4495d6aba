"""Heartbeats: a comment after a silence, only where no client can take it for anything else."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

from hypothesis import given
from hypothesis import strategies as st

from proxy.harness import Call, Client, Gateway, Origin, api, chunk
from sse_proxy.config import Stream
from sse_proxy.stream.boundary import EventBoundary

HEARTBEAT = 0.1
"""Seconds."""
BEAT = chunk(b":\n")
SILENCE = 4 * HEARTBEAT

CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"


async def served(gateway: Gateway, origin: Origin, *wire: bytes, heartbeat: float | None = HEARTBEAT) -> None:
    """An origin that sends these bytes and then nothing, behind a gateway with heartbeats."""

    async def answer(call: Call) -> None:
        await call.send(*wire)
        await call.gone()

    origin.answer = answer
    gateway.load(api(origin.url(), stream=Stream(heartbeat=heartbeat)))


async def silence(client: Client) -> bytes:
    """What comes within some heartbeats' time."""
    data = b""
    try:
        async with asyncio.timeout(SILENCE):
            while part := await client.reader.read(65536):
                data += part
    except TimeoutError:
        pass
    return data


async def test_a_silent_stream_is_given_comments_and_goes_on(gateway: Gateway, origin: Origin) -> None:
    go_on = asyncio.Event()

    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"id: 1\ndata: a\n\n")
        await go_on.wait()
        await call.send(chunk(b"data: b\n\n"), b"0\r\n\r\n")

    origin.answer = answer
    gateway.load(api(origin.url(), stream=Stream(heartbeat=HEARTBEAT)))
    client = await gateway.connect()
    await client.get("/sse")
    assert await client.chunk() == b"id: 1\ndata: a\n\n"
    loop = asyncio.get_running_loop()
    times = [loop.time()]
    for _ in range(3):
        assert await client.chunk() == b":\n"
        times.append(loop.time())
    assert all(later - earlier > HEARTBEAT * 0.5 for earlier, later in itertools.pairwise(times))
    go_on.set()
    rest = await client.chunked_body()
    assert rest.replace(b":\n", b"") == b"data: b\n\n"
    assert await gateway.metric("sse_gateway_heartbeats_total", api="default/api") >= 3
    assert (await gateway.logged_line("stream_close"))["bytes"] == len(b"id: 1\ndata: a\n\ndata: b\n\n")


async def test_events_that_come_leave_no_room_for_heartbeats(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        for _ in range(20):
            await call.event(b"data: x\n\n")
            await asyncio.sleep(0.03)
        await call.send(b"0\r\n\r\n")

    origin.answer = answer
    gateway.load(api(origin.url(), stream=Stream(heartbeat=0.4)))
    client = await gateway.connect()
    await client.get("/sse")
    assert await client.chunked_body() == b"data: x\n\n" * 20


def parts_of(wires: dict[str, bytes]) -> Callable[[Call], Awaitable[None]]:
    """An origin's answer: the bytes that the request's path names, and then nothing."""

    async def answer(call: Call) -> None:
        await call.send(wires[call.line.split(" ")[1].removeprefix("/sse/")])
        await call.gone()

    return answer


async def silences(gateway: Gateway, origin: Origin, wires: dict[str, bytes]) -> dict[str, bytes]:
    """What comes of each of these responses, bodies only, within some heartbeats' time."""
    origin.answer = parts_of(wires)
    gateway.load(api(origin.url(), stream=Stream(heartbeat=HEARTBEAT)))

    async def ask(name: str) -> bytes:
        client = await gateway.connect()
        await client.get(f"/sse/{name}")
        return await silence(client)

    return dict(zip(wires, await asyncio.gather(*map(ask, wires)), strict=True))


async def test_behind_an_event(gateway: Gateway, origin: Origin) -> None:
    sent = {
        "lf": b"data: a\n\n",
        "crlf": b"data: a\r\n\r\n",
        "own-comment": b": upstream's own comment\n",
        "comment-behind": b"data: a\n\n:comment\n",
        "blank": b"\n",
        "bom": b"\xef\xbb\xbfdata: a\n\n",
    }
    origin.answer = parts_of({name: CHUNKED + b"\r\n" + chunk(each) for name, each in sent.items()})
    gateway.load(api(origin.url(), stream=Stream(heartbeat=HEARTBEAT)))
    for name, each in sent.items():
        client = await gateway.connect()
        await client.get(f"/sse/{name}")
        assert [await client.chunk() for _ in range(3)] == [each, b":\n", b":\n"], name


async def test_nowhere_else(gateway: Gateway, origin: Origin) -> None:
    sent = {
        "before-the-first-byte": b"",
        "in-a-line": chunk(b"data: a"),
        "in-an-event": chunk(b"data: a\n"),
        "behind-a-comment-in-an-event": chunk(b"id: 1\n\ndata: b\n:comment\n"),
        "in-a-comment": chunk(b":comm"),
        "behind-a-byte-order-mark": chunk(b"\xef\xbb\xbf"),
        "between-cr-and-lf": chunk(b"data: a\r\n\r"),
        "behind-a-cr-that-an-lf-may-follow": chunk(b"data: a\r\r"),
        "in-a-chunk": b"14\r\ndata: a\n\n",
        "before-the-end-of-a-chunk": b"9\r\ndata: a\n\n",
    }
    got = await silences(gateway, origin, {name: CHUNKED + b"\r\n" + each for name, each in sent.items()})
    assert got == sent


async def test_in_no_other_response(gateway: Gateway, origin: Origin) -> None:
    event = b"data: a\n\n"
    wires = {
        "another-status": CHUNKED.replace(b"200 OK", b"203 No") + b"\r\n" + chunk(event),
        "another-type": CHUNKED.replace(b"event-stream", b"plain") + b"\r\n" + chunk(event),
        "encoded": CHUNKED + b"Content-Encoding: gzip\r\n\r\n" + chunk(event),
        "of-known-length": CHUNKED.replace(b"Transfer-Encoding: chunked", b"Content-Length: 99") + b"\r\n" + event,
    }
    got = await silences(gateway, origin, wires)
    assert got == {name: wire.partition(b"\r\n\r\n")[2] for name, wire in wires.items()}


async def test_not_to_a_client_of_http_1_0(gateway: Gateway, origin: Origin) -> None:
    await served(gateway, origin, CHUNKED + b"\r\n" + chunk(b"data: a\n\n"))
    client = await gateway.connect()
    await client.send(b"GET /sse HTTP/1.0\r\n\r\n")
    await client.head()
    assert await silence(client) == b"data: a\n\n"


async def test_not_in_the_answer_to_head(gateway: Gateway, origin: Origin) -> None:
    await served(gateway, origin, CHUNKED + b"\r\n")
    client = await gateway.connect()
    await client.request("HEAD", "/sse")
    assert await silence(client) == b""


async def test_in_a_body_that_ends_with_upstreams_connection(gateway: Gateway, origin: Origin) -> None:
    await served(gateway, origin, b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: a\n\n")
    client = await gateway.connect()
    await client.get("/sse")
    assert [await client.chunk() for _ in range(3)] == [b"data: a\n\n", b":\n", b":\n"]


async def test_off_by_default(gateway: Gateway, origin: Origin) -> None:
    await served(gateway, origin, CHUNKED + b"\r\n" + chunk(b"data: a\n\n"), heartbeat=Stream().heartbeat)
    client = await gateway.connect()
    await client.get("/sse")
    assert await silence(client) == chunk(b"data: a\n\n")


async def test_it_is_no_byte_from_upstream(gateway: Gateway, origin: Origin) -> None:
    await served(gateway, origin, CHUNKED + b"\r\n" + chunk(b"data: a\n\n"))
    gateway.load(api(origin.url(), stream=Stream(heartbeat=HEARTBEAT), timeouts={"idle": 0.45}))
    client = await gateway.connect()
    await client.get("/sse")
    data, _ = await client.rest()
    assert data.count(BEAT) >= 2
    assert await gateway.closed() == "idle_timeout"


async def test_not_while_bytes_wait_for_the_client(gateway: Gateway, origin: Origin) -> None:
    event = b"data: " + b"x" * (8 << 20) + b"\n\n"
    await served(gateway, origin, CHUNKED + b"\r\n" + chunk(event))
    client = await gateway.connect()
    await client.get("/sse")
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(SILENCE)
    assert await gateway.metric("sse_gateway_heartbeats_total", api="default/api") == 0
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert await client.chunk() == event
    assert await client.chunk() == b":\n"


lines = st.lists(
    st.tuples(st.sampled_from([b"", b"data: a", b":comment", b"id", b":"]), st.sampled_from([b"\n", b"\r\n", b"\r"]))
)


def events(stream: bytes) -> list[tuple[bytes, ...]]:
    """The field lines of each event, as WHATWG HTML 9.2.6 reads a stream, blank lines without fields included."""
    text = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]
    found: list[tuple[bytes, ...]] = []
    fields: list[bytes] = []
    for line in text:
        if not line:
            found.append(tuple(fields))
            fields = []
        elif not line.startswith(b":"):
            fields.append(line)
    return [*found, tuple(fields)]


@given(lines, st.binary(max_size=4))
def test_wherever_one_may_stand_it_changes_nothing(parts: list[tuple[bytes, bytes]], more: bytes) -> None:
    before = b"".join(text + end for text, end in parts)
    boundary = EventBoundary()
    boundary.feed(before)
    after = b"\n" + more + b"\ndata: b\n\n"
    if boundary.open and before:
        assert events(before + b":\n" + after) == events(before + after)
        # What comes next cannot be read as part of what was before it.
        assert not before.endswith(b"\r")
