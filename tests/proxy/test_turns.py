"""Many requests at once: some begin in each turn of the event loop, and streams go on in between."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest

from proxy import harness
from proxy.harness import Gateway
from sse_proxy import turns
from sse_proxy.listener import ListenerLimits
from sse_proxy.request import Request
from sse_proxy.turns import AT_ONCE, Turns

REQUEST = b"GET /sse HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n\r\n"


async def test_some_begin_at_once_and_the_rest_in_order_in_later_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "BUDGET", 60.0)
    these, begun = Turns(), list[int]()
    for number in range(3 * AT_ONCE):
        if these.may_begin():
            begun.append(number)
        else:
            these.wait(partial(begun.append, number))
    for turn in range(1, 4):
        assert begun == list(range(turn * AT_ONCE))
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert these.may_begin()


async def test_nobody_overtakes_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "BUDGET", 60.0)
    these, begun = Turns(), list[int]()
    for _ in range(AT_ONCE):
        these.may_begin()
    for number in range(AT_ONCE + 1):
        these.wait(partial(begun.append, number))
    await asyncio.sleep(0)
    assert begun == list(range(AT_ONCE))
    assert not these.may_begin()


async def test_what_takes_long_ends_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "BUDGET", 0.0)
    these = Turns()
    assert these.may_begin()
    assert not these.may_begin()


async def test_one_that_fails_keeps_nobody_from_beginning() -> None:
    these, begun, failed = Turns(), list[int](), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context["exception"]))
    for _ in range(AT_ONCE):
        these.may_begin()
    these.wait(lambda: begun.remove(1))
    these.wait(lambda: begun.append(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(failed) == 1
    assert begun == [1]


async def until(holds: Callable[[], bool]) -> None:
    """Turn after turn, until `holds` does."""
    async with asyncio.timeout(harness.PATIENCE):
        while True:
            if holds():
                return
            await asyncio.sleep(0)


class Crowd:
    """Connections whose requests can all be there in the same turn of the loop."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.listener = gateway.proxy._listener
        self.sockets: list[socket.socket] = []
        self.begun = 0
        """How many requests have begun."""
        self._handler = self.listener.handler
        self.listener.handler = self._handle

    def _handle(self, request: Request) -> None:
        self.begun += 1
        self._handler(request)

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self.listener.turns._waiting)

    async def connect(self, number: int) -> None:
        before = len(self.listener.connections)
        loop = asyncio.get_running_loop()
        for _ in range(number):
            sock = socket.socket()
            sock.setblocking(False)
            self.sockets.append(sock)
            await loop.sock_connect(sock, self.gateway.proxy.listen_address)
        await until(lambda: len(self.listener.connections) == before + number)

    def send(self, data: bytes) -> None:
        for sock in self.sockets:
            assert sock.send(data) == len(data)

    async def wait(self, number: int, data: bytes = REQUEST) -> None:
        """Have so many connect, send the same, and wait for their turn."""
        await self.connect(number)
        self.send(data)
        await until(lambda: self.waiting == number)

    async def answers(self) -> list[bytes]:
        """What each gets until its connection ends."""
        return list(await asyncio.gather(*map(self._answer, self.sockets)))

    async def _answer(self, sock: socket.socket) -> bytes:
        answer = b""
        async with asyncio.timeout(harness.PATIENCE):
            while data := await asyncio.get_running_loop().sock_recv(sock, 65536):
                answer += data
        return answer

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


@pytest.fixture
async def crowd(gateway: Gateway) -> AsyncIterator[Crowd]:
    crowd = Crowd(gateway)
    yield crowd
    crowd.close()


async def test_requests_of_a_crowd_begin_over_many_turns(
    gateway: Gateway, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "BUDGET", 60.0)  # however slow the machine is
    gateway.load()
    await crowd.connect(100)
    crowd.send(REQUEST)
    begun, most = 0, 0

    def all_have_begun() -> bool:
        nonlocal begun, most
        begun, most = crowd.begun, max(most, crowd.begun - begun)
        return begun == 100

    await until(all_have_begun)
    # This task runs somewhere within a turn: what it sees is of two of them at most.
    assert 0 < most <= 2 * AT_ONCE
    assert all(answer.startswith(b"HTTP/1.1 404 ") for answer in await crowd.answers())


@pytest.fixture
async def nobodys_turn(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Every request waits until this is called."""
    monkeypatch.setattr(turns, "AT_ONCE", 0)

    def go_on() -> None:
        monkeypatch.setattr(turns, "AT_ONCE", AT_ONCE)
        crowd.listener.turns._follow()

    return go_on


async def test_request_whose_rest_comes_while_it_waits(
    gateway: Gateway, crowd: Crowd, nobodys_turn: Callable[[], None]
) -> None:
    gateway.load()
    await crowd.wait(20, REQUEST[:30])
    crowd.send(REQUEST[30:])
    await until(lambda: all(connection._arrived == REQUEST for connection in crowd.listener.connections))
    nobodys_turn()
    assert all(answer.startswith(b"HTTP/1.1 404 ") for answer in await crowd.answers())


async def test_who_leaves_while_waiting_is_not_answered(
    gateway: Gateway, crowd: Crowd, nobodys_turn: Callable[[], None]
) -> None:
    gateway.load()
    await crowd.wait(20)
    crowd.close()
    await until(lambda: not crowd.listener.connections)
    nobodys_turn()
    await until(lambda: not crowd.waiting)
    client = await gateway.connect()
    assert (await client.get("/sse")).status == 404
    assert crowd.begun == 1


async def test_requests_that_wait_are_answered_when_the_listener_closes(
    gateway: Gateway, crowd: Crowd, nobodys_turn: Callable[[], None]
) -> None:
    gateway.load()
    await crowd.wait(20)
    closing = asyncio.create_task(crowd.listener.close(within=harness.PATIENCE))
    await until(lambda: crowd.listener.closing)
    nobodys_turn()
    assert all(answer.startswith(b"HTTP/1.1 404 ") for answer in await crowd.answers())
    await closing


async def test_connection_is_not_idle_while_its_request_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "AT_ONCE", 0)
    gateway = await harness.start(limits=ListenerLimits(idle_timeout=0.2))
    crowd = Crowd(gateway)
    try:
        gateway.load()
        await crowd.wait(1)
        idle = await gateway.connect()
        assert await idle.rest() == (b"", "fin")
        await idle.close()
        monkeypatch.setattr(turns, "AT_ONCE", 1)
        crowd.listener.turns._follow()
        assert [answer[:13] for answer in await crowd.answers()] == [b"HTTP/1.1 404 "]
    finally:
        crowd.close()
        await gateway.proxy.stop()


async def test_head_has_its_time_from_its_turn_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "AT_ONCE", 1)
    gateway = await harness.start(limits=ListenerLimits(head_timeout=0.3))
    crowd = Crowd(gateway)
    try:
        gateway.load()
        await crowd.connect(5)
        crowd.send(REQUEST[:30])
        assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in await crowd.answers())
    finally:
        crowd.close()
        await gateway.proxy.stop()
