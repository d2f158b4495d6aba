"""Requests that are asked in the call that they came in, since a connection waits: all is as with others."""

from __future__ import annotations

import pytest

from proxy.harness import Call, Client, Gateway, Origin, api
from sse_proxy.config import Endpoint


async def silent(call: Call) -> None:
    await call.gone()


async def warmed(gateway: Gateway, origin: Origin) -> Client:
    """A client, and a connection to upstream that waits for the next request."""
    client = await gateway.connect()
    assert await client.length_body(await client.get("/sse")) == b"ok"
    await origin.call()
    await gateway.logged_line("request", status=200)
    gateway.log.clear()
    return client


async def test_there_is_no_task(gateway: Gateway, origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    def see_to(*_: object) -> None:
        raise AssertionError("a task was made")

    gateway.load(api(origin.url()))
    client = await warmed(gateway, origin)
    monkeypatch.setattr("sse_proxy.exchange.Exchanges._see_to", see_to)
    for _ in range(2):
        response = await client.request("POST", "/sse", "Content-Length: 3", body=b"abc")
        assert (response.status, await client.length_body(response)) == (200, b"ok")
    assert origin.connections == 1


async def test_who_leaves_before_the_answer_is_counted(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url()))
    client = await warmed(gateway, origin)
    origin.answer = silent
    await client.send(b"GET /sse HTTP/1.1\r\nHost: gw.example\r\n\r\n")
    call = await origin.call()
    await client.close()
    assert (await gateway.logged_line("request"))["reason"] == "client"
    await call.has_left()
    assert await gateway.metric("sse_gateway_upstream_connections", api="default/api") == 0
    assert gateway.proxy._exchanges.admission.occupancy.total == 0
    assert len(gateway.log) == 1


async def test_silence_times_out(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url(), timeouts={"response": 0.2}))
    client = await warmed(gateway, origin)
    origin.answer = silent
    response = await client.get("/sse")
    assert (await client.problem(response))["reason"] == "ResponseTimeout"
    assert response.status == 504
    # The client's connection is as good as ever.
    origin.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    assert await client.length_body(await client.get("/sse")) == b"ok"


async def test_connection_that_upstream_closed_meanwhile(gateway: Gateway, origin: Origin) -> None:
    async def once(call: Call) -> None:
        if call.connection == 1:
            call.reset()
            return
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    gateway.load(api(origin.url()))
    client = await warmed(gateway, origin)
    origin.answer = once
    response = await client.get("/sse")
    assert (response.status, await client.length_body(response), origin.connections) == (200, b"ok", 2)
    assert (await gateway.logged_line("request"))["status"] == 200


async def test_pipelined_requests_keep_their_order(gateway: Gateway, origin: Origin) -> None:
    async def echo(call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + call.line.split("?")[1][:1].encode())

    gateway.load(api(origin.url()))
    client = await warmed(gateway, origin)
    origin.answer = echo
    await client.send(b"".join(b"GET /sse?%d HTTP/1.1\r\nHost: gw.example\r\n\r\n" % number for number in range(9)))
    assert [await client.length_body(await client.head()) for _ in range(9)] == [b"%d" % number for number in range(9)]
    assert origin.connections == 1


async def test_turns_are_not_lost_where_no_connection_waits(gateway: Gateway, origin: Origin) -> None:
    endpoints = (
        Endpoint(name="a", url=origin.url("/a")),
        Endpoint(name="b", url=origin.url("/b", host="localhost")),
    )
    gateway.load(api(origin.url(), endpoints=endpoints))
    client = await gateway.connect()
    for _ in range(4):
        assert await client.length_body(await client.get("/sse")) == b"ok"
    assert [(await origin.call()).line for _ in range(4)] == ["GET /a HTTP/1.1", "GET /b HTTP/1.1"] * 2
    assert origin.connections == 2
