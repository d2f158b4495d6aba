"""How long client connections live: idle ones, those with a stream, those with a request nobody reads to its end."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest

from proxy import harness
from proxy.harness import Call, Gateway, Origin, api
from sse_proxy.listener import ListenerLimits
from sse_proxy.request import BODY_BUFFER, Request


@pytest.fixture
async def impatient() -> AsyncIterator[Gateway]:
    """It leaves a connection idle for 0.6 s."""
    gateway = await harness.start(limits=ListenerLimits(idle_timeout=0.6))
    yield gateway
    for client in gateway.clients:
        await client.close()
    await gateway.proxy.stop()


async def one_event(call: Call) -> None:
    await call.stream_head()
    await call.event(b"data: 1\n\n")
    await asyncio.sleep(0.8)
    await call.event(b"data: 2\n\n")
    await call.send(b"0\r\n\r\n")


async def test_idle_connection_is_closed_and_a_stream_is_not(impatient: Gateway, origin: Origin) -> None:
    origin.answer = one_event
    impatient.load(api(origin.url()))
    idle, client = await impatient.connect(), await impatient.connect()
    await client.get("/sse")
    assert await idle.rest() == (b"", "fin")
    assert await client.chunked_body() == b"data: 1\n\ndata: 2\n\n"
    # After the stream the connection is idle again, and gets the whole time anew.
    await asyncio.sleep(0.1)
    await client.get("/sse")
    assert await client.chunked_body() == b"data: 1\n\ndata: 2\n\n"
    assert await client.rest() == (b"", "fin")


@pytest.fixture
async def quick() -> AsyncIterator[Gateway]:
    """It gives a head 0.6 s."""
    gateway = await harness.start(limits=ListenerLimits(head_timeout=0.6))
    yield gateway
    for client in gateway.clients:
        await client.close()
    await gateway.proxy.stop()


async def test_head_that_begins_on_an_idle_connection_has_its_own_time(quick: Gateway, origin: Origin) -> None:
    quick.load(api(origin.url()))
    client = await quick.connect()
    for _ in range(2):
        assert (await client.get("/sse")).status == 200
        assert await client.exactly(2) == b"ok"
    await client.send(b"GET /sse HT")
    assert (await client.head()).status == 408


async def test_request_and_its_task_are_gone_while_the_stream_goes_on(
    gateway: Gateway, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[weakref.ref[Request]] = []

    class Tracked(Request):
        __slots__ = ("__weakref__",)

        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            requests.append(weakref.ref(self))

    monkeypatch.setattr("sse_proxy.client_connection.Request", Tracked)

    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: 1\n\n")
        await call.gone()

    origin.answer = answer
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    tasks = len(asyncio.all_tasks())
    await client.request("POST", "/sse", "Content-Length: 3", body=b"abc")
    await client.chunk()
    gc.collect()
    assert [reference() for reference in requests] == [None]
    assert len(asyncio.all_tasks()) == tasks + 1  # the origin's


async def test_rest_of_a_refused_request_is_read_and_forgotten(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    size = 4 * BODY_BUFFER
    response = await client.request("POST", "/nope", f"Content-Length: {size}", body=b"a" * 10)
    assert (response.status, response.get("Connection")) == (404, None)
    await client.length_body(response)
    await client.send(b"b" * (size - 10))
    assert (await client.get("/sse")).status == 200


async def test_refused_request_that_never_ends(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    response = await client.request("POST", "/nope", "Content-Length: 1000", body=b"a" * 10)
    await client.length_body(response)
    assert await client.rest() == (b"", "fin")


async def test_answer_before_the_end_of_the_request_arrives_whole(gateway: Gateway, origin: Origin) -> None:
    """Closing with unread bytes would reset the connection, and the client would never see its answer."""
    origin.answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    response = await client.request("POST", "/sse", "Content-Length: 1000000", body=b"a" * 10)
    await client.send(b"b" * 400_000)
    assert response.status == 413
    assert await client.rest() == (b"no", "fin")


async def test_what_cannot_be_read_is_answered_after_what_came_before(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    await client.send(
        b"GET /sse HTTP/1.1\r\nHost: a\r\n\r\n" * 2 + b"nonsense\r\n\r\nGET /sse HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    for _ in range(2):
        assert (await client.head()).status == 200
        assert await client.exactly(2) == b"ok"
    response = await client.head()
    assert (response.status, response.get("Connection")) == (400, "close")
    await client.length_body(response)
    assert await client.rest() == (b"", "fin")
    assert len(origin.calls._queue) == 2  # type: ignore[attr-defined]


async def test_stop_lets_an_answer_come_to_its_end(gateway: Gateway, origin: Origin) -> None:
    go_on = asyncio.Event()

    async def answer(call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        await go_on.wait()
        await call.send(b"k")

    origin.answer = answer
    gateway.load(api(origin.url()))
    idle, client = await gateway.connect(), await gateway.connect()
    await client.get("/sse")
    stopping = asyncio.create_task(gateway.proxy.stop())
    assert await idle.rest() == (b"", "fin")
    go_on.set()
    assert await client.rest() == (b"ok", "fin")
    await stopping


async def test_stop_ends_what_does_not_end_itself(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.gone()

    origin.answer = answer
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    await client.send(b"GET /sse HTTP/1.1\r\nHost: a\r\n\r\n")
    await origin.call()
    await gateway.proxy.stop()
    await client.rest()
    assert not gateway.proxy._listener.connections
    await gateway.logged_line("request", reason="client")
