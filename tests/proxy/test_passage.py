"""Reads that are passed on as they are: whoever looks from outside cannot tell them from reads that were decoded."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sse_proxy.client_connection import ClientConnection
from sse_proxy.config import OnClientDisconnect, Stream, Timeouts
from sse_proxy.field_changes import UNCHANGED
from sse_proxy.listener import Listener, ListenerLimits
from sse_proxy.stream.close import CloseReason
from sse_proxy.stream.deadlines import Deadlines
from sse_proxy.stream.ending import Ending
from sse_proxy.stream.framing import LAST_CHUNK, chunk
from sse_proxy.stream.heartbeat import HEARTBEAT_CHUNK
from sse_proxy.stream.measured import MeasuredRelay
from sse_proxy.stream.passage import CANONICAL, MOST
from sse_proxy.stream.relay import Relay
from sse_proxy.upstream.connection import UpstreamConnection
from sse_proxy.upstream.pool import Lease

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = chunk(b"data: 1\n\n")


class Wire(asyncio.Transport):
    """The end of a connection: what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.waiting = 0
        self.closed = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


class SocketWire(Wire):
    """One with a socket, which events are written to past it; `written` is what the transport was asked to write."""

    def __init__(self) -> None:
        super().__init__()
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.near = socket.create_connection(server.getsockname())
            self.far, _ = server.accept()
        for end in (self.near, self.far):
            end.setblocking(False)
        self.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        self.queue = b""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.near if name == "socket" else default

    def write(self, data: Any) -> None:
        super().write(data)
        self.queue += data
        self.flush()

    def flush(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self.queue:
                self.queue = self.queue[self.near.send(self.queue) :]
        self.waiting = len(self.queue)

    async def arrives(self, end: bytes) -> None:
        """Until the last that has come at the other end is this."""
        data = b""
        async with asyncio.timeout(5.0):
            while not data.endswith(end):
                self.flush()
                data += await self.arrived()

    async def arrived(self) -> bytes:
        """What has come at the other end in a moment."""
        data = b""
        await asyncio.sleep(0.01)
        with contextlib.suppress(BlockingIOError):
            while part := self.far.recv(65536):
                data += part
        return data

    def end(self) -> None:
        self.near.close()
        self.far.close()


class Kept:
    """The pool's part."""

    def _keep(self, *_: object) -> None:
        pass


class Unobserved:
    def __init__(self) -> None:
        self.pauses: list[float] = []

    def head_sent(self, status: int, *, stream: bool) -> None:
        pass

    def opened_early(self) -> None:
        pass

    def first_byte(self) -> None:
        pass

    def paused(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def heartbeat(self) -> None:
        pass

    def client_left(self) -> None:
        pass


class Decoding(Relay):
    """Has every read decoded."""

    def _open_passage(self) -> None:
        pass


class Stage:
    """One exchange whose response has begun."""

    def __init__(
        self,
        kind: type[Relay] = Relay,
        settings: Stream | None = None,
        wire: Wire | None = None,
        method: bytes = b"GET",
    ) -> None:
        self.now = 0.0
        self.deadlines = deadlines = Deadlines(lambda: self.now)
        listener = Listener(cast("Any", None), limits=ListenerLimits(), deadlines=deadlines, refused=lambda *_: None)
        self.wire = wire or Wire()
        client = self.client = ClientConnection(listener)
        client.connection_made(self.wire)
        self.upstream = UpstreamConnection(asyncio.get_running_loop())
        self.upstream.connection_made(Wire())
        self.observer = Unobserved()
        lease = Lease(self.upstream, cast("Any", Kept()), ("http", "origin", 80, ""), 0.0)
        self.relay = kind(
            client,
            lease,
            Timeouts(idle=10.0),
            settings or Stream(),
            deadlines,
            self.observer,
            lambda _: None,
            method=method,
            keep_alive=True,
            one_zero=False,
            changes=UNCHANGED,
        )
        client.downstream = self.relay
        self.relay.request_complete = True
        self.upstream.begin(self.relay, to_head_request=False)
        self.upstream.data_received(HEAD)

    def receive(self, *reads: bytes) -> None:
        for read in reads:
            self.upstream.data_received(read)

    def seen(self) -> tuple[object, ...]:
        """All that anybody can see, or will."""
        boundary, decoder = self.relay._boundary, self.relay._decoder
        assert boundary is not None
        assert decoder is not None
        state = [getattr(boundary, slot) for slot in ("_in_line", "_field_open", "_after_cr", "_lf")]
        return (
            self.wire.written[1:],
            self.relay.bytes_sent,
            self.relay.reason,
            self.wire.closed,
            len(self.observer.pauses),
            self.relay._stall.since,
            state,
            decoder.between_chunks,
            decoder.at_chunk,
        )


text = st.sampled_from([b"data: 1\n\n", b": c\n\n", b"\n", b"\n\n", b"data: 2\n", b"data: 3\r\n\r\n", b"\r"])
framed = st.one_of(
    text.map(chunk),
    st.integers(1, 5000).map(lambda size: chunk(b"x" * size + b"\n\n")),
    st.sampled_from([b"9;x\r\ndata: 4\n\n\r\n", b"09\r\ndata: 5\n\n\r\n", b"9\r\ndata: 6\n\n", b"\r\n"]),
    st.sampled_from([b"8\r\ndata: 7\n\n\r\n", LAST_CHUNK]),
)


sizes = st.one_of(st.just(5000), st.integers(1, 30))


@given(st.lists(st.tuples(framed, sizes, st.sampled_from([0.0, 5.0, 9.5]), st.sampled_from([0, 0, 0, 100]))))
@example([(EVENT + b"0", 5000, 0.0, 0), (EVENT, 5000, 0.0, 0)])
@example([(chunk(b"data: 2\n"), 5000, 0.0, 0), (EVENT, 5000, 0.0, 0)])
@example([(EVENT, 5000, 5.0, 0), (EVENT, 5000, 5.0, 0)])
@example([(EVENT, 5000, 9.5, 0), (EVENT, 5000, 9.5, 0)])
def test_as_if_it_were_decoded(reads: list[tuple[bytes, int, float, int]]) -> None:
    asyncio.run(receive_on_both(reads))


async def receive_on_both(reads: list[tuple[bytes, int, float, int]]) -> None:
    passing, decoding = Stage(), Stage(Decoding)
    for read, size, pause, waiting in [(EVENT, 5000, 0.0, 0), *reads]:
        for stage in (passing, decoding):
            stage.now += pause
            stage.deadlines.advance()
            stage.wire.waiting = waiting
            stage.receive(read[:size])
            if read[size:]:
                stage.receive(read[size:])
        assert passing.seen() == decoding.seen()


async def test_events_are_passed_on() -> None:
    stage = Stage()
    stage.receive(EVENT)
    decoder = stage.relay._decoder
    stage.relay._decoder = None  # nobody asks it
    stage.receive(EVENT, EVENT)
    stage.relay._decoder = decoder
    assert b"".join(stage.wire.written[1:]) == EVENT * 3
    assert stage.relay.bytes_sent == 27


@pytest.fixture
def wire() -> Iterator[SocketWire]:
    wire = SocketWire()
    yield wire
    wire.end()


async def test_events_are_written_to_the_socket(wire: SocketWire) -> None:
    stage = Stage(wire=wire)
    stage.receive(EVENT, EVENT, EVENT)
    assert len(wire.written) == 2  # the head, and what opened the passage
    await wire.arrives(b"\r\n\r\n" + EVENT * 3)
    assert stage.relay.bytes_sent == 27


async def test_what_the_socket_does_not_take_waits_in_the_transport(wire: SocketWire) -> None:
    stage = Stage(wire=wire)
    stage.receive(EVENT)
    large = chunk(b"x" * 4000 + b"\n\n")
    sent = [EVENT]
    while not wire.waiting:
        stage.receive(large)
        sent.append(large)
    asked = len(wire.written)
    stage.receive(EVENT)
    assert len(wire.written) == asked + 1  # not past what waits
    assert stage.relay._stall.since is not None
    await wire.arrives(b"\r\n\r\n" + b"".join(sent) + EVENT)
    stage.receive(EVENT, EVENT)
    assert len(wire.written) == asked + 2  # by the passage again
    await wire.arrives(EVENT * 2)
    assert stage.relay.bytes_sent == 9 * 4 + 4002 * (len(sent) - 1)


async def test_nothing_overtakes_a_heartbeat_that_waits(wire: SocketWire) -> None:
    stage = Stage(settings=Stream(heartbeat=1.0), wire=wire)
    stage.receive(EVENT, EVENT)
    with contextlib.suppress(BlockingIOError):
        while True:
            wire.near.send(b"z" * 100)
    with contextlib.suppress(BlockingIOError):
        while True:
            wire.near.send(b"z")
    stage.now = 2.0
    stage.deadlines.advance()
    assert wire.queue == HEARTBEAT_CHUNK
    while await wire.arrived():
        pass
    stage.receive(EVENT)
    await wire.arrives(HEARTBEAT_CHUNK + EVENT)


async def test_nothing_is_written_to_the_socket_of_a_client_that_has_gone(wire: SocketWire) -> None:
    settings = Stream(on_client_disconnect=OnClientDisconnect(policy="Finish"))
    stage = Stage(settings=settings, wire=wire, method=b"POST")
    stage.receive(EVENT, EVENT)
    stage.client.connection_lost(None)
    await wire.arrives(EVENT * 2)
    stage.receive(EVENT, EVENT, EVENT)
    assert stage.relay.reason is None
    assert await wire.arrived() == b""


async def test_an_ending_is_met_at_the_next_event() -> None:
    stage = Stage()
    stage.receive(EVENT, EVENT)
    stage.relay.end_by(Ending(1.0, 100.0, CloseReason.REMOVED))
    stage.receive(EVENT)
    stage.now = 1.0
    stage.receive(EVENT)
    assert stage.relay.reason is CloseReason.REMOVED
    assert stage.relay.bytes_sent == 36


@pytest.mark.parametrize("most", [20, 5000])
async def test_events_of_a_limited_size(most: int) -> None:
    stage = Stage(MeasuredRelay, Stream(event_size=most))
    largest = b"data: " + b"x" * (most - 8) + b"\n\n"
    stage.receive(EVENT, EVENT, chunk(largest), EVENT, chunk(b"x" + largest))
    assert stage.relay.reason is CloseReason.EVENT_TOO_LARGE
    assert stage.relay.bytes_sent == most + 27


async def test_the_end_goes_with_the_last_event() -> None:
    stage = Stage()
    stage.receive(EVENT, EVENT + b"0\r\n\r\n")
    assert stage.wire.written[1:] == [EVENT, EVENT + LAST_CHUNK]
    assert stage.relay.reason is CloseReason.UPSTREAM_END


async def test_a_clean_end_comes_before_one_of_the_gateway() -> None:
    stage = Stage()
    stage.relay.end_by(Ending(0.0, 100.0, CloseReason.DRAIN, reconnect=True))
    stage.receive(EVENT + LAST_CHUNK)
    assert stage.wire.written[1:] == [EVENT + LAST_CHUNK]
    assert stage.relay.reason is CloseReason.UPSTREAM_END


def test_canonical_chunks() -> None:
    for size in range(1, MOST - 7):
        start, line, data = CANONICAL[len(chunk(b"x" * size))]
        assert (chunk(b"x" * size)[start], data) == (line, size)
    without = {length for length, (start, line, _) in enumerate(CANONICAL) if len((b"x" * length)[start]) != len(line)}
    assert without == {1, 2, 3, 4, 5, 21, 262}


@pytest.mark.parametrize("size", [1, 15, 16, 17, 255, 256, 257, MOST - 8, MOST - 7, MOST])
async def test_chunks_of_any_size_pass_whole(size: int) -> None:
    stage = Stage()
    event = chunk(b"x" * (size - 2) + b"\n\n" if size > 1 else b"\n")
    stage.receive(EVENT, event, EVENT)
    assert stage.wire.written[1:] == [EVENT, event, EVENT]
    assert stage.relay.bytes_sent == 18 + size


@pytest.mark.parametrize("wrong", [b"8\r\ndata: 1\n\n\r\n", b"a\r\ndata: 1\n\n\r\n", b"9\r\ndata: 1\n\n\n\n"])
async def test_a_chunk_of_another_size_does_not_pass(wrong: bytes) -> None:
    stage = Stage()
    stage.receive(EVENT, EVENT, wrong, EVENT)
    assert b"".join(stage.wire.written[1:])[:28] == EVENT * 2
    assert wrong not in stage.wire.written
