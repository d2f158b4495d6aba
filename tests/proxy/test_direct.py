"""Writes past the transports: what sockets do not take, connections that are lost, and descriptors that others get."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any, cast

import pytest
import trustme
import uvloop

from proxy import harness
from proxy.harness import Call, Client, Gateway, Origin, Response, api, chunk, eventually
from proxy.test_shared_model import Account
from proxy.test_tls import issued, load
from sse_proxy.config import Shared, SlowConsumer, Stream, Timeouts
from sse_proxy.stream.close import CloseReason
from sse_proxy.stream.deadlines import Deadlines
from sse_proxy.stream.shared import direct
from sse_proxy.stream.shared.direct import AT_ONCE, PATIENCE, REST, Direct
from sse_proxy.stream.shared.hub import Hub
from sse_proxy.stream.shared.member import Member


class Told:
    """A client that remembers what it is told."""

    def __init__(self) -> None:
        self.behind: list[tuple[bytes, int]] = []

    def fell_behind(self, data: bytes, taken: int) -> None:
        self.behind.append((data, taken))


class Pair:
    """A client's socket, and the other end of it."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.far.setblocking(False)
        self.client = Told()

    def fill(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self.near.send(b"x" * 1000)

    def got(self) -> bytes:
        data = b""
        with suppress(BlockingIOError):
            while part := self.far.recv(1 << 20):
                data += part
        return data


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    pairs = [Pair() for _ in range(3 * AT_ONCE + 1)]
    yield pairs
    for pair in pairs:
        pair.near.close()
        pair.far.close()


@pytest.fixture
def sent(pairs: list[Pair]) -> Direct[Told]:
    everybody: Direct[Told] = Direct()
    for pair in pairs:
        assert everybody.enter(pair.near.fileno(), pair.client)
    return everybody


def test_who_takes_everything_is_told_nothing(pairs: list[Pair], sent: Direct[Told]) -> None:
    sent.send(b"one", 3)
    sent.send(b"other", 5)
    assert {pair.got() for pair in pairs} == {b"oneother"}
    assert not any(pair.client.behind for pair in pairs)
    assert (len(sent), sent.sent) == (len(pairs), 8)


def test_who_takes_a_part_is_told_how_much(pairs: list[Pair], sent: Direct[Told]) -> None:
    data = bytes(range(256)) * 8000
    sent.send(data, len(data))
    for pair in pairs:
        ((told, taken),) = pair.client.behind
        assert told is data
        assert 0 < taken < len(data)
        assert pair.got() == data[:taken]
    assert len(sent) == 0


def test_who_takes_nothing_or_is_gone_leaves_alone(pairs: list[Pair], sent: Direct[Told]) -> None:
    pairs[1].fill()
    pairs[4].far.close()
    sent.send(b"one", 3)
    for place, pair in enumerate(pairs):
        if place in (1, 4):
            assert pair.client.behind == [(b"one", 0)]
            assert pair.near.fileno() not in sent
        else:
            assert pair.client.behind == []
            assert pair.got() == b"one"


def test_who_has_left_is_written_nothing(pairs: list[Pair], sent: Direct[Told]) -> None:
    sent.leave(pairs[0].near.fileno())
    sent.leave(pairs[0].near.fileno())
    sent.send(b"one", 3)
    assert pairs[0].got() == b""
    assert pairs[0].client.behind == []


@pytest.mark.parametrize(("seconds", "written"), [(PATIENCE / AT_ONCE / 1.5, 2 * AT_ONCE), (PATIENCE, AT_ONCE)])
def test_when_writes_take_long_the_others_fall_back_for_some_time(
    pairs: list[Pair], sent: Direct[Told], monkeypatch: pytest.MonkeyPatch, seconds: float, written: int
) -> None:
    time = 100.0
    monkeypatch.setattr(direct, "now", lambda: time)

    def slowly(descriptor: int, data: bytes) -> int:
        nonlocal time
        time += seconds
        return len(data)

    monkeypatch.setattr(direct, "write", slowly)
    sent.send(b"one", 3)
    behind = [pair for pair in pairs if pair.client.behind]
    assert [pair.client.behind for pair in behind] == [[(b"one", 0)]] * (len(pairs) - written)
    assert (len(sent), sent.sent) == (written, 3)
    descriptor, client = behind[0].near.fileno(), behind[0].client
    time += REST / 2
    assert not sent.enter(descriptor, client)
    time += REST
    assert sent.enter(descriptor, client)
    assert descriptor in sent


# A proxy's clients.

LOOPS = [pytest.param(uvloop.new_event_loop, id="uvloop"), pytest.param(asyncio.new_event_loop, id="asyncio")]

SLOW = SlowConsumer(policy="Disconnect", buffer=64 << 20)

Scenario = Callable[[Gateway, Origin], Awaitable[None]]


def run(loop: Callable[[], asyncio.AbstractEventLoop], scenario: Scenario) -> None:
    async def all_of_it() -> None:
        origin = Origin()
        await origin.start()
        gateway = await harness.start()
        try:
            await scenario(gateway, origin)
        finally:
            for client in gateway.clients:
                await client.close()
            await gateway.proxy.stop()
            await origin.stop()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(all_of_it())


async def listening(call: Call) -> None:
    await call.stream_head()
    await call.gone()


async def following(gateway: Gateway, origin: Origin, count: int, **settings: Any) -> tuple[Call, list[Client]]:
    """Upstream's connection, and clients that have had two events: both were written to directly, if they can be."""
    origin.answer = listening
    gateway.load(
        api(origin.url(), stream=Stream(mode="Shared", shared=Shared(grace_period=0.2), **settings)),
        api(origin.url(), name="other", path="/other"),
    )
    clients = [(await ask(gateway))[0] for _ in range(count)]
    call = await origin.call()
    for number in (1, 2):
        await call.event(b"data: %d\n\n" % number)
        for client in clients:
            assert await client.chunk() == b"data: %d\n\n" % number
    return call, clients


async def ask(gateway: Gateway, path: str = "/sse") -> tuple[Client, Response]:
    client = await gateway.connect()
    return client, await client.get(path)


def hub_of(gateway: Gateway) -> Hub[Member]:
    (stream,) = gateway.proxy._exchanges.sharing.streams
    return stream.hub


def reset(client: Client) -> None:
    client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.writer.transport.abort()


def descriptors(gateway: Gateway) -> list[int | None]:
    return [connection.descriptor for connection in gateway.proxy._listener.connections]


@pytest.mark.parametrize("loop", LOOPS)
def test_clients_that_take_everything_are_written_to_directly(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def scenario(gateway: Gateway, origin: Origin) -> None:
        call, clients = await following(gateway, origin, 9)
        assert len(hub_of(gateway).direct) == 9
        for data in (b"data: 3\n\n:c\n", b"data: 4\n\n"):
            await call.event(data)
            for client in clients:
                assert await client.chunk() == data
        assert {member.bytes_sent for member in hub_of(gateway).members} == {39}
        await clients[0].close()
        assert (await gateway.logged_line("stream_close"))["bytes"] == 39

    run(loop, scenario)


@pytest.mark.parametrize("loop", LOOPS)
def test_who_stalls_gets_everything_in_order_and_is_written_to_directly_again(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def scenario(gateway: Gateway, origin: Origin) -> None:
        call, (stalled, reader) = await following(gateway, origin, 2, slow_consumer=SLOW)
        stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]
        events = [b"id: %d\ndata: %b\n\n" % (number, b"x" * 50_000) for number in range(300)]
        for event in events:
            await call.event(event)
            while not (await reader.chunk()).endswith(event):
                pass
        assert len(hub_of(gateway).direct) == 1
        stalled.writer.transport.resume_reading()  # type: ignore[attr-defined]
        got = b""
        while not got.endswith(events[-1]):
            got += await stalled.chunk()
        assert got == b"".join(events)

        async def direct_again() -> bool:
            await call.event(b"data: more\n\n")
            return len(hub_of(gateway).direct) == 2

        await eventually(direct_again)
        assert {member.bytes_sent for member in hub_of(gateway).members} == {
            max(member.bytes_sent for member in hub_of(gateway).members)
        }

    run(loop, scenario)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("leave", ["reset", "close"])
def test_who_gets_the_descriptor_of_one_that_left_gets_nothing_else_of_it(
    loop: Callable[[], asyncio.AbstractEventLoop], leave: str
) -> None:
    async def scenario(gateway: Gateway, origin: Origin) -> None:
        call, clients = await following(gateway, origin, 8)
        before = set(descriptors(gateway))
        for client in clients[2:]:
            if leave == "reset":
                reset(client)
            else:
                await client.close()
        # While they leave, as well as before and after it.
        for number in range(20):
            await call.event(b"data: %d\n\n" % number)
            await asyncio.sleep(0)

        async def gone() -> bool:
            return len(hub_of(gateway)) == 2

        await eventually(gone)
        others = [(await ask(gateway, "/other"))[0] for _ in range(6)]
        after = [descriptor for descriptor in descriptors(gateway) if descriptor in before]
        assert len(after) > 2, "no descriptor was used again"
        await call.event(b"data: secret\n\n")
        for _ in others:
            await (await origin.call()).event(b"data: mine\n\n")
        for other in others:
            assert await other.chunk() == b"data: mine\n\n"
        for client in clients[:2]:
            got = b""
            while not got.endswith(b"data: secret\n\n"):
                got += await client.chunk()
            assert got == b"".join(b"data: %d\n\n" % number for number in range(20)) + b"data: secret\n\n"
        reasons = {line["reason"] for line in gateway.log if line["event"] == "stream_close"}
        assert reasons == {"client"}

    run(loop, scenario)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_connection_that_turns_out_to_be_broken_is_the_clients_end(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """Nobody has read from it yet when it is written to."""

    async def scenario(gateway: Gateway, origin: Origin) -> None:
        _, clients = await following(gateway, origin, 3)
        hub = hub_of(gateway)
        raw = clients[1].writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        clients[1].writer.transport.abort()
        await asyncio.sleep(0)
        for _ in range(3):
            hub.feed(b"data: more\n\n", 0.0)
        assert await gateway.closed() == "client"
        for client in (clients[0], clients[2]):
            assert [await client.chunk() for _ in range(3)] == [b"data: more\n\n"] * 3

    run(loop, scenario)


@pytest.mark.parametrize("loop", LOOPS)
def test_heartbeats_and_ends_come_behind_what_was_written_directly(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def scenario(gateway: Gateway, origin: Origin) -> None:
        call, (client,) = await following(gateway, origin, 1, heartbeat=0.2, on_upstream_failure="Event")
        assert await client.chunk() == b":\n"
        await call.event(b"data: 3\n\n")
        assert await client.chunk() == b"data: 3\n\n"
        assert len(hub_of(gateway).direct) == 1
        (stream,) = gateway.proxy._exchanges.sharing.streams
        stream.hub.feed(b"data: 4\n\n", 0.0)
        for member in stream.hub.members:
            member.end(CloseReason.UPSTREAM_ERROR)
        stream.hub.feed(b"data: 5\n\n", 0.0)
        rest, _ = await client.rest()
        assert rest.startswith(harness.chunk(b"data: 4\n\n"))
        assert b"gateway-error" in rest
        assert b"data: 5" not in rest

    run(loop, scenario)


class Waiting:
    """A client's connection of whose bytes some wait."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.waits = False
        self.sent = b""
        self.unsent = 0

    def send(self, data: bytes) -> None:
        self.sent += data
        if self.waits:
            self.unsent += len(data)


def test_nothing_overtakes_a_heartbeat_that_waits(pairs: list[Pair]) -> None:
    client, hub = Waiting(pairs[0].near.fileno()), Hub[Member]()
    member = Member(
        cast("Any", client), hub, Timeouts(), Stream(), Deadlines(lambda: 0.0), Account(), cast("Any", None), print
    )
    member.open(b"")
    hub.feed(b"data: 1\n\n", 0.0)
    hub.feed(b"data: 2\n\n", 0.0)
    member.heartbeat()
    assert (client.sent, pairs[0].got()) == (chunk(b"data: 1\n\n") + chunk(b":\n"), chunk(b"data: 2\n\n"))
    client.waits = True
    member.heartbeat()
    hub.feed(b"data: 3\n\n", 0.0)
    assert client.sent.endswith(chunk(b":\n") + chunk(b"data: 3\n\n"))
    assert pairs[0].got() == b""
    client.waits, client.unsent = False, 0
    hub.feed(b"data: 4\n\n", 0.0)
    hub.feed(b"data: 5\n\n", 0.0)
    assert client.sent.endswith(chunk(b"data: 4\n\n"))
    assert pairs[0].got() == chunk(b"data: 5\n\n")
    assert member.bytes_sent == 45


async def test_with_tls_nobody_is_written_to_directly(gateway: Gateway, origin: Origin) -> None:
    authority = trustme.CA()
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    origin.answer = listening
    load(gateway, origin, (issued(authority, "a.example"), ("a.example",)), stream=Stream(mode="Shared"))
    clients = [await gateway.connect_tls(trust, "a.example"), await gateway.connect_tls(trust, "a.example")]
    for client in clients:
        assert (await client.get("/sse", host="a.example")).status == 200
    call = await origin.call()
    for number in range(3):
        await call.event(b"data: %d\n\n" % number)
        for client in clients:
            assert await client.chunk() == b"data: %d\n\n" % number
    assert len(hub_of(gateway)) == 2
    assert len(hub_of(gateway).direct) == 0
