"""Several endpoints, seen by real origins: turns, affinity, probes, ejection, failover."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy import harness
from proxy.harness import Call, Client, Gateway, Origin, eventually
from sse_proxy.config import (
    ActiveCheck,
    Api,
    Endpoint,
    Failover,
    HashOn,
    HealthCheck,
    LoadBalancing,
    PassiveCheck,
)

PROBED = HealthCheck(active=ActiveCheck(interval=0.1, timeout=0.5, unhealthy_threshold=2))


@pytest.fixture
async def second() -> AsyncIterator[Origin]:
    origin = Origin()
    await origin.start()
    yield origin
    await origin.stop()


def named(name: str) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name.encode())


def entry(first: Origin, second: Origin, *, secondary: bool = False, path: str = "", **members: Any) -> Api:
    first.answer, second.answer = first_or(first, "a"), first_or(second, "b")
    return harness.api(
        "",
        endpoints=(
            Endpoint(name="a", url=first.url(path)),
            Endpoint(name="b", url=second.url(path), secondary=secondary),
        ),
        **members,
    )


def first_or(origin: Origin, name: str) -> Any:
    """The origin's name, unless a test has set another answer."""
    return origin.answer if callable(origin.answer) else named(name)


async def served_by(client: Client, *lines: str, method: str = "GET", body: bytes = b"") -> str:
    response = await client.request(method, "/sse", *lines, body=body)
    assert response.status == 200, response.head
    return (await client.length_body(response)).decode()


async def test_turns(gateway: Gateway, origin: Origin, second: Origin) -> None:
    gateway.load(entry(origin, second))
    client = await gateway.connect()
    assert [await served_by(client) for _ in range(4)] == ["a", "b", "a", "b"]


async def test_the_same_session_goes_to_the_same_endpoint(gateway: Gateway, origin: Origin, second: Origin) -> None:
    balancing = LoadBalancing(type="ConsistentHash", consistent_hash=HashOn(header="Mcp-Session-Id"))
    gateway.load(entry(origin, second, load_balancing=balancing))
    client = await gateway.connect()
    sessions = {
        number: {await served_by(client, f"Mcp-Session-Id: {number}") for _ in range(3)} for number in range(20)
    }
    assert all(len(endpoints) == 1 for endpoints in sessions.values())
    assert set.union(*sessions.values()) == {"a", "b"}


async def stream(call: Call) -> None:
    await call.stream_head()
    await call.gone()


async def test_the_endpoint_with_the_fewest_streams(gateway: Gateway, origin: Origin, second: Origin) -> None:
    async def at_a(call: Call) -> None:
        await call.stream_head(b"X-Endpoint: a")
        await call.gone()

    origin.answer, second.answer = at_a, stream
    gateway.load(entry(origin, second, load_balancing=LoadBalancing(type="LeastStreams")))
    clients = {client: await client.get("/sse") for client in [await gateway.connect() for _ in range(6)]}
    shown = json.loads((await gateway.admin("/streams"))[1])
    assert sorted(each["endpoint"] for each in shown) == list("aaabbb")
    assert await held(gateway, "a") == await held(gateway, "b") == 3
    # The streams of one endpoint end: the next ones go there.
    for client, response in clients.items():
        if response.get("X-Endpoint") == "a":
            await client.close()
    await eventually(lambda: holds(gateway, "a", 0))
    for _ in range(3):
        await (await gateway.connect()).get("/sse")
    assert await held(gateway, "a") == await held(gateway, "b") == 3


async def held(gateway: Gateway, endpoint: str) -> float:
    return await gateway.metric("sse_gateway_endpoint_connections", api="default/api", endpoint=endpoint)


async def holds(gateway: Gateway, endpoint: str, connections: int) -> bool:
    return await held(gateway, endpoint) == connections


async def healthy(gateway: Gateway, endpoint: str, is_so: bool) -> bool:
    found = await gateway.metric("sse_gateway_endpoint_healthy", api="default/api", endpoint=endpoint)
    return found == is_so


# Probes.


async def test_probes_take_an_endpoint_out_and_back(gateway: Gateway, origin: Origin, second: Origin) -> None:
    statuses = {"healthz": 503}

    async def answer(call: Call) -> None:
        status = statuses["healthz"] if "/healthz" in call.line else 200
        await call.send(b"HTTP/1.1 %d X\r\nContent-Length: 1\r\n\r\na" % status)

    origin.answer = answer
    check = HealthCheck(active=ActiveCheck(path="/healthz?x=1", interval=0.1, unhealthy_threshold=2))
    gateway.load(entry(origin, second, secondary=True, health_check=check))
    client = await gateway.connect()
    await eventually(lambda: healthy(gateway, "a", False))
    assert [await served_by(client) for _ in range(3)] == ["b", "b", "b"]
    (warned,) = json.loads((await gateway.admin("/config"))[1])["warnings"]
    assert warned["reason"] == "EndpointUnhealthy"
    assert "a (status 503)" in warned["message"]
    statuses["healthz"] = 200
    await eventually(lambda: healthy(gateway, "a", True))
    assert [await served_by(client) for _ in range(3)] == ["a", "a", "a"]
    assert json.loads((await gateway.admin("/config"))[1])["warnings"] == []
    probe = await origin.call()
    assert probe.line == "GET /healthz?x=1 HTTP/1.1"
    assert (probe.get("Host"), probe.get("Connection")) == (f"127.0.0.1:{origin.port}", "close")


async def test_a_stream_s_head_is_enough(gateway: Gateway, origin: Origin, second: Origin) -> None:
    """An SSE endpoint that never says a word after its head is healthy; one that answers something else is not."""
    origin.answer = stream
    check = HealthCheck(active=ActiveCheck(type="Stream", interval=0.1, timeout=1, unhealthy_threshold=1))
    gateway.load(entry(origin, second, path="/sse?v=1", health_check=check))
    await eventually(lambda: healthy(gateway, "b", False))
    probe = await origin.call()
    assert (probe.line, probe.get("Accept")) == ("GET /sse?v=1 HTTP/1.1", "text/event-stream")
    # Its connection is closed at once, for a stream would stay.
    await probe.has_left()
    assert await healthy(gateway, "a", True)


@pytest.mark.parametrize("fault", ["silent", "closed", "refused"])
async def test_an_endpoint_that_does_not_answer_probes(
    gateway: Gateway, origin: Origin, second: Origin, fault: str
) -> None:
    async def answer(call: Call) -> None:
        if fault == "silent":
            await call.gone()
        call.reset()

    second.answer = answer
    if fault == "refused":
        await second.stop()
    check = HealthCheck(active=ActiveCheck(interval=0.1, timeout=0.1, unhealthy_threshold=1))
    gateway.load(entry(origin, second, health_check=check))
    await eventually(lambda: healthy(gateway, "b", False))
    assert await healthy(gateway, "a", True)


async def test_no_storm_of_probes_on_reload(gateway: Gateway, origin: Origin, second: Origin) -> None:
    check = HealthCheck(active=ActiveCheck(interval=0.4))
    loaded = entry(origin, second, health_check=check)
    for number in range(40):
        gateway.load(loaded.model_copy(update={"generation": number}))
        await asyncio.sleep(0.02)
    # 0.8 s at one probe in 0.4 s: two or three for each endpoint, however often the config came.
    assert origin.calls.qsize() <= 3
    assert second.calls.qsize() <= 3
    assert origin.calls.qsize() >= 1


async def test_probes_end_with_their_api(gateway: Gateway, origin: Origin, second: Origin) -> None:
    gateway.load(entry(origin, second, health_check=PROBED))
    await origin.call()
    gateway.load()
    await asyncio.sleep(0.1)
    asked = origin.calls.qsize()
    await asyncio.sleep(0.3)
    assert origin.calls.qsize() == asked


# What requests tell.


async def test_failures_in_a_row_eject_an_endpoint(gateway: Gateway, origin: Origin, second: Origin) -> None:
    statuses = [503, 502, 200]

    async def answer(call: Call) -> None:
        await call.send(b"HTTP/1.1 %d X\r\nContent-Length: 1\r\n\r\na" % statuses.pop(0))

    origin.answer = answer
    check = HealthCheck(passive=PassiveCheck(consecutive_failures=2, ejection_time=0.4))
    gateway.load(entry(origin, second, secondary=True, health_check=check))
    client = await gateway.connect()
    for status in (503, 502):
        response = await client.get("/sse")
        assert (response.status, await client.length_body(response)) == (status, b"a")
    assert await served_by(client) == "b"
    assert await healthy(gateway, "a", False)
    await eventually(lambda: healthy(gateway, "a", True))
    assert await served_by(client) == "a"


# Failover.


async def test_an_endpoint_that_cannot_be_reached(gateway: Gateway, origin: Origin, second: Origin) -> None:
    gateway.load(entry(origin, second, failover=Failover()))
    await origin.stop()
    client = await gateway.connect()
    assert [await served_by(client) for _ in range(4)] == ["b"] * 4
    # Nothing was sent: any request can be made again, whatever its method and body.
    sent = b"x" * 300_000
    response = await served_by(client, f"Content-Length: {len(sent)}", method="POST", body=sent)
    assert response == "b"
    line = await gateway.logged_line("request", method="POST")
    assert (line["endpoint"], line["status"]) == ("b", 200)


async def test_without_failover_the_client_is_told(gateway: Gateway, origin: Origin, second: Origin) -> None:
    gateway.load(entry(origin, second))
    await origin.stop()
    client = await gateway.connect()
    statuses = [(await client.get("/sse", "Connection: keep-alive")).status]
    assert statuses == [502]


async def read_and_close(call: Call) -> None:
    await call.reader.readexactly(int(call.get("Content-Length") or 0))
    call.reset()


async def test_a_request_that_was_sent_is_made_again_if_idempotent(
    gateway: Gateway, origin: Origin, second: Origin
) -> None:
    origin.answer = read_and_close
    gateway.load(entry(origin, second, failover=Failover()))
    client = await gateway.connect()
    assert await served_by(client) == "b"
    await served_by(client)  # b's own turn
    assert await served_by(client, "Content-Length: 4", method="PUT", body=b"body") == "b"
    await second.call()
    await second.call()
    call = await second.call()
    assert call.line.startswith("PUT")


async def test_a_post_that_was_sent_is_not_made_again(gateway: Gateway, origin: Origin, second: Origin) -> None:
    origin.answer = read_and_close
    gateway.load(entry(origin, second, failover=Failover()))
    client = await gateway.connect()
    assert (await client.request("POST", "/sse", "Content-Length: 4", body=b"body")).status == 502
    assert second.calls.empty()


async def test_a_large_body_is_sent_as_it_comes_and_once(gateway: Gateway, origin: Origin, second: Origin) -> None:
    origin.answer = read_and_close
    gateway.load(entry(origin, second, failover=Failover()))
    client = await gateway.connect()
    size = 1 << 20
    assert (await client.request("PUT", "/sse", f"Content-Length: {size}", body=b"x" * size)).status == 502
    assert second.calls.empty()


async def test_a_kept_body_that_is_waited_for(gateway: Gateway, origin: Origin, second: Origin) -> None:
    async def echo(call: Call) -> None:
        body = await call.reader.readexactly(int(call.get("Content-Length") or 0))
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    origin.answer, second.answer = read_and_close, echo
    gateway.load(entry(origin, second, failover=Failover()))
    client = await gateway.connect()
    await client.send(b"PUT /sse HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n")
    assert await client.exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
    await client.send(b"abc")
    await asyncio.sleep(0.02)
    await client.send(b"def")
    assert await client.length_body(await client.head()) == b"abcdef"


async def test_never_after_the_response_head(gateway: Gateway, origin: Origin, second: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: 1\n\n")
        call.reset()

    origin.answer = answer
    gateway.load(entry(origin, second, failover=Failover()))
    client = await gateway.connect()
    assert (await client.get("/sse")).status == 200
    await client.rest()
    assert await gateway.closed() == "upstream_error"
    assert second.calls.empty()


async def test_attempts_are_counted(gateway: Gateway, origin: Origin, second: Origin) -> None:
    third = Origin()
    await third.start()
    loaded = entry(origin, second)
    endpoints = (*loaded.endpoints, Endpoint(name="c", url=third.url("")))
    await origin.stop()
    await second.stop()
    try:
        for attempts, status in ((1, 502), (2, 200), (31, 200)):
            gateway.load(loaded.model_copy(update={"endpoints": endpoints, "failover": Failover(attempts=attempts)}))
            client = await gateway.connect()
            assert (await client.get("/sse")).status == status
    finally:
        await third.stop()
