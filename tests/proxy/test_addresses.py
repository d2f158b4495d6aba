"""Host names whose addresses change."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from proxy.harness import Gateway, Origin, api
from sse_proxy.upstream import addresses
from sse_proxy.upstream.addresses import OUTLASTED, REMEMBERED, Addresses, AddressInfo

HOST = "prices.shop"


class Names:
    """A name server of the test's, and a clock."""

    def __init__(self) -> None:
        self.answer: list[str] | int = ["127.0.0.1"]
        self.asked = 0
        self.now = 0.0

    async def look_up(self, host: str, port: int) -> list[AddressInfo]:
        self.asked += 1
        await asyncio.sleep(0)
        if isinstance(self.answer, int):
            raise socket.gaierror(self.answer, "no answer")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.answer]


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names()
    monkeypatch.setattr(addresses, "look_up", names.look_up)
    return names


@pytest.fixture
async def remembered(names: Names) -> AsyncIterator[Addresses]:
    remembered = Addresses(lambda: names.now)
    yield remembered
    await remembered.close()


async def hosts(remembered: Addresses) -> list[str]:
    return [str(info[4][0]) for info in await remembered.resolve(HOST, 80)]


async def test_asked_once_for_many_at_once_and_for_a_while(names: Names, remembered: Addresses) -> None:
    assert await asyncio.gather(*(hosts(remembered) for _ in range(50))) == [["127.0.0.1"]] * 50
    names.now += REMEMBERED - 0.1
    await hosts(remembered)
    assert names.asked == 1
    names.now += 0.1
    await hosts(remembered)
    assert names.asked == 2


async def test_addresses_take_turns(names: Names, remembered: Addresses) -> None:
    names.answer = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    assert [(await hosts(remembered))[0] for _ in range(4)] == ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.1"]


async def test_a_cancelled_waiter_leaves_the_others_waiting(names: Names, remembered: Addresses) -> None:
    first, second = (asyncio.create_task(hosts(remembered)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == ["127.0.0.1"]


async def test_known_never_waits_and_looks_again(names: Names, remembered: Addresses) -> None:
    assert remembered.known(HOST, 80) is None
    await hosts(remembered)
    names.now += REMEMBERED
    names.answer = ["127.0.0.2"]
    assert remembered.known(HOST, 80) == {"127.0.0.1"}
    for _ in range(5):
        await asyncio.sleep(0)
    assert remembered.known(HOST, 80) == {"127.0.0.2"}


async def test_silent_name_servers_are_outlasted(names: Names, remembered: Addresses) -> None:
    await hosts(remembered)
    names.answer = socket.EAI_AGAIN
    names.now += OUTLASTED - 1
    assert await hosts(remembered) == ["127.0.0.1"]
    names.now += 1
    with pytest.raises(socket.gaierror):
        await hosts(remembered)


async def test_a_name_that_is_gone_is_gone(names: Names, remembered: Addresses) -> None:
    await hosts(remembered)
    names.answer = socket.EAI_NONAME
    names.now += REMEMBERED
    with pytest.raises(socket.gaierror):
        await hosts(remembered)


async def test_an_address_is_not_asked_for(names: Names, remembered: Addresses) -> None:
    assert [info[4][:2] for info in await remembered.resolve("::1", 80)] == [("::1", 80)]
    assert (remembered.known("::1", 80), names.asked) == (None, 0)


async def test_connections_follow_the_addresses(
    gateway: Gateway, origin: Origin, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two origins at one port of two addresses; the name moves from one to the other, and idle connections with it."""
    moved = Origin()
    moved.server = await asyncio.start_server(moved._serve, "127.0.0.2", origin.port)
    monkeypatch.setattr(addresses, "REMEMBERED", 0.0)
    try:
        gateway.load(api(f"http://{HOST}:{origin.port}/sse"))
        client = await gateway.connect()
        for _ in range(2):
            assert (await client.get("/sse")).status == 200
            assert await client.exactly(2) == b"ok"
        assert (origin.connections, moved.connections) == (1, 0)
        names.answer = ["127.0.0.2"]
        for _ in range(3):
            assert (await client.get("/sse")).status == 200
            assert await client.exactly(2) == b"ok"
        assert (origin.connections, moved.connections) == (1, 1)
        assert (await moved.call()).get("Host") == f"{HOST}:{origin.port}"
    finally:
        await moved.stop()
