"""Streams of an API that was removed, suspended or changed: which end, where, and with what reason."""

from __future__ import annotations

import asyncio

import pytest

from proxy.harness import Call, Client, Gateway, Origin, api
from sse_proxy import exchange
from sse_proxy.config import Api, Stream, Unavailable

SUSPENDED = Unavailable(reason="Suspended", message="x")
INVALID = Unavailable(reason="InvalidSpec", message="x")


async def streaming(call: Call) -> None:
    await call.stream_head()
    await call.event(b"data: 1\n\n")
    await call.gone()


async def opened(gateway: Gateway) -> Client:
    client = await gateway.connect()
    await client.get("/sse")
    assert await client.chunk() == b"data: 1\n\n"
    return client


def variant(origin: Origin, **changes: object) -> Api:
    return api(origin.url(), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["removed", "suspended"])
async def test_streams_of_what_is_gone_end(gateway: Gateway, origin: Origin, how: str) -> None:
    origin.answer = streaming
    other = api(origin.url(), name="other", path="/other")
    gateway.load(variant(origin), other)
    client, neighbour = await opened(gateway), await gateway.connect()
    await neighbour.get("/other")
    calls = [await origin.call(), await origin.call()]
    gateway.load(*([variant(origin, unavailable=SUSPENDED)] if how == "suspended" else []), other)
    assert await client.rest() == (b"", "fin")
    await calls[0].has_left()
    assert await gateway.closed() == "removed"
    assert await gateway.metric("sse_gateway_streams_closed_total", api="default/api", reason="removed") == 1
    assert await neighbour.chunk() == b"data: 1\n\n"
    await calls[1].event(b"data: 2\n\n")
    assert await neighbour.chunk() == b"data: 2\n\n"


async def test_it_ends_behind_the_event_that_is_under_way(gateway: Gateway, origin: Origin) -> None:
    origin.answer = streaming
    gateway.load(variant(origin))
    client = await opened(gateway)
    call = await origin.call()
    await call.event(b"data: half ")
    assert await client.chunk() == b"data: half "
    gateway.load()
    await call.event(b"and half\n\ndata: more")
    assert await client.chunk() == b"and half\n\n"
    assert await client.rest() == (b"", "fin")


async def test_in_the_middle_of_an_event_it_ends_in_time(
    gateway: Gateway, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "LAPSE_SECONDS", 0.2)
    origin.answer = streaming
    gateway.load(variant(origin))
    client = await opened(gateway)
    await (await origin.call()).event(b"data: half ")
    assert await client.chunk() == b"data: half "
    gateway.load()
    assert await client.rest() == (b"", "fin")


@pytest.mark.parametrize("how", ["removed", "suspended", "broken"])
async def test_streams_that_are_to_stay(gateway: Gateway, origin: Origin, how: str) -> None:
    """With closeOnRemoval false; and where the API is in a state that its owner did not ask for."""
    origin.answer = streaming
    kept = Stream(close_on_removal=how == "broken")
    gateway.load(variant(origin))
    client = await opened(gateway)
    # What it said last is what counts.
    gateway.load(variant(origin, stream=kept))
    unavailable = INVALID if how == "broken" else SUSPENDED
    gateway.load(*([] if how == "removed" else [variant(origin, unavailable=unavailable, stream=kept)]))
    gateway.load(*([] if how == "removed" else [variant(origin, unavailable=unavailable, stream=kept)]))
    await (await origin.call()).event(b"data: 2\n\n")
    assert await client.chunk() == b"data: 2\n\n"


async def test_what_is_no_stream_runs_to_its_end(
    gateway: Gateway, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "LAPSE_SECONDS", 0.1)
    go_on = asyncio.Event()

    async def answer(call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        await go_on.wait()
        await call.send(b"k")

    origin.answer = answer
    gateway.load(variant(origin))
    client = await gateway.connect()
    await client.get("/sse")
    assert await client.exactly(1) == b"o"
    gateway.load()
    await asyncio.sleep(0.3)
    go_on.set()
    assert await client.rest() == (b"k", "fin")


async def test_removed_while_upstream_is_asked(gateway: Gateway, origin: Origin) -> None:
    answer = asyncio.Event()

    async def late(call: Call) -> None:
        await answer.wait()
        await streaming(call)

    origin.answer = late
    gateway.load(variant(origin))
    client = await gateway.connect()
    request = asyncio.create_task(client.get("/sse"))
    await origin.call()
    gateway.load()
    answer.set()
    await request
    await client.rest()
    assert await gateway.closed() == "removed"


async def test_streams_of_a_changed_api_end_where_that_was_asked_for(gateway: Gateway, origin: Origin) -> None:
    origin.answer = streaming
    anew = Stream(close_on_change=True)
    gateway.load(variant(origin, stream=anew))
    client = await opened(gateway)
    call = await origin.call()
    # The same once more, with the marks of another generation, is no change.
    gateway.load(variant(origin, stream=anew, generation=7, revision=9))
    await call.event(b"data: 2\n\n")
    assert await client.chunk() == b"data: 2\n\n"
    gateway.load(variant(origin, stream=anew, timeouts={"idle": 60}))
    assert await client.rest() == (b"", "fin")
    assert await gateway.closed() == "changed"


async def test_streams_of_a_changed_api_end_one_after_the_other(
    gateway: Gateway, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "LAPSE_SECONDS", 1.0)
    origin.answer = streaming
    anew = Stream(close_on_change=True)
    gateway.load(variant(origin, stream=anew))
    clients = [await opened(gateway) for _ in range(8)]
    gateway.load(variant(origin, stream=anew, timeouts={"idle": 60}))
    loop = asyncio.get_running_loop()
    ends: list[float] = []

    async def end_of(client: Client) -> None:
        await client.rest()
        ends.append(loop.time())

    await asyncio.gather(*map(end_of, clients))
    assert max(ends) - min(ends) > 0.25
