"""Shared streams: one upstream connection for all who ask for the same, and for nobody else."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from proxy.harness import Call, Client, Gateway, Origin, Response, api, chunk, eventually
from sse_proxy.config import Api, Shared, SlowConsumer, Stream


def shared(origin: Origin, *, timeouts: dict[str, float | None] | None = None, **settings: Any) -> Api:
    settings.setdefault("shared", Shared(grace_period=0.2))
    return api(origin.url(), timeouts=timeouts, stream=Stream(mode="Shared", **settings))


async def streaming(call: Call) -> None:
    await call.stream_head()
    await call.event(b"retry: 20\nid: 1\ndata: 1\n\n")
    await call.gone()


async def ask(gateway: Gateway, *lines: str, target: str = "/sse") -> tuple[Client, Response]:
    client = await gateway.connect()
    return client, await client.get(target, *lines)


def lost_behind(event: bytes, calls: Iterator[int]) -> Callable[[Call], Awaitable[None]]:
    """An upstream that breaks off behind its one event, and is not there when it is asked again; `calls` count."""

    async def answer(call: Call) -> None:
        if not next(calls):
            await call.stream_head()
            await call.event(event)
        call.reset()

    return answer


async def test_many_clients_one_upstream_connection(gateway: Gateway, origin: Origin) -> None:
    origin.answer = streaming
    gateway.load(shared(origin))
    clients = [client for client, _ in await asyncio.gather(*(ask(gateway) for _ in range(50)))]
    call = await origin.call()
    await call.event(b"id: 2\ndata: 2\n\n")
    for client in clients:
        data = b""
        while b"id: 2" not in data:
            data += await client.chunk()
        # Whoever came at the same time as the first missed nothing, who came later begins at an event.
        assert data in (b"retry: 20\nid: 1\ndata: 1\n\nid: 2\ndata: 2\n\n", b"id: 2\ndata: 2\n\n")
    assert origin.connections == 1
    assert await gateway.metric("sse_gateway_upstream_connections", api="default/api") == 1
    assert await gateway.metric("sse_gateway_streams_active", api="default/api") == 50


async def test_only_whole_events(gateway: Gateway, origin: Origin) -> None:
    origin.answer = streaming
    gateway.load(shared(origin))
    first, _ = await ask(gateway)
    assert await first.chunk() == b"retry: 20\nid: 1\ndata: 1\n\n"
    call = await origin.call()
    await call.event(b"data: 2\n")
    await asyncio.sleep(0.05)
    late, response = await ask(gateway)
    assert (response.status, response.get("Content-Type")) == (200, "text/event-stream")
    await call.event(b"data: 2\n\n:comment\ndata: 3")
    assert await first.chunk() == await late.chunk() == b"data: 2\ndata: 2\n\n:comment\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(["Authorization: a"], ["Authorization: b"], id="credentials"),
        pytest.param(["Authorization: a"], [], id="a credential and none"),
        pytest.param(["Cookie: a=1"], ["Cookie: a=2"], id="cookies"),
        pytest.param(["X-Tenant: a"], ["X-Tenant: b"], id="any header"),
        pytest.param(["X-A: 1", "X-A: 2"], ["X-A: 1"], id="a header twice"),
        pytest.param(["X-A: 1"], ["X-A: 1", "Connection: X-A"], id="a header that does not go upstream"),
    ],
)
async def test_what_upstream_could_tell_apart_is_not_shared(
    gateway: Gateway, origin: Origin, one: list[str], other: list[str]
) -> None:
    origin.answer = streaming
    gateway.load(shared(origin))
    for lines in (one, other, one):
        client, _ = await ask(gateway, *lines)
    assert origin.connections == 2
    calls = [await origin.call(), await origin.call()]
    await calls[1].event(b"data: secret\n\n")
    await calls[0].event(b"data: mine\n\n")
    assert await client.chunk() == b"data: mine\n\n"


async def test_paths_queries_and_revisions_are_not_shared(gateway: Gateway, origin: Origin) -> None:
    origin.answer = streaming
    gateway.load(shared(origin))
    for target in ("/sse", "/sse/a", "/sse?a=1", "/sse?a=2", "/sse"):
        await ask(gateway, target=target)
    assert origin.connections == 4
    gateway.load(shared(origin, heartbeat=30.0))
    await ask(gateway)
    assert origin.connections == 5


async def test_what_says_nothing_of_what_is_asked_for_may_differ(gateway: Gateway, origin: Origin) -> None:
    origin.answer = streaming
    gateway.load(shared(origin, shared=Shared(ignored_headers=("x-client-id",))))
    await ask(gateway, "User-Agent: a", "Last-Event-ID: 7", "X-Client-ID: 1")
    await ask(gateway, "User-Agent: b", "Cache-Control: no-cache", "X-Client-ID: 2")
    assert origin.connections == 1
    # One client's place in the stream is not everybody's.
    assert (await origin.call()).get("Last-Event-ID") is None


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT"])
async def test_other_methods_are_relayed(gateway: Gateway, origin: Origin, method: str) -> None:
    origin.answer = streaming
    gateway.load(shared(origin))
    for _ in range(2):
        client = await gateway.connect()
        await client.request(method, "/sse", "Content-Length: 0")
    assert origin.connections == 2


UNSHAREABLE = [
    pytest.param(b"HTTP/1.1 200 OK\r\nSet-Cookie: session=1\r\nContent-Type: text/event-stream\r\n", id="cookie"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n", id="type"),
    pytest.param(b"HTTP/1.1 403 No\r\nContent-Type: text/event-stream\r\n", id="status"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: text/event-stream\r\n", id="encoding"),
]


@pytest.mark.parametrize("head", UNSHAREABLE)
async def test_what_is_no_plain_stream_goes_to_its_own_client(gateway: Gateway, origin: Origin, head: bytes) -> None:
    numbers = itertools.count(1)
    go_on = asyncio.Event()

    async def answer(call: Call) -> None:
        number = next(numbers)
        await go_on.wait()
        await call.send(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"data: %d\n\n" % number) + b"0\r\n\r\n")

    origin.answer = answer
    gateway.load(shared(origin))
    asking = [asyncio.create_task(ask(gateway)) for _ in range(3)]
    await origin.call()
    await asyncio.sleep(0.05)
    go_on.set()
    bodies = [await client.chunked_body() for client, _ in await asyncio.gather(*asking)]
    assert sorted(bodies) == [b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"]


async def test_who_is_not_to_share_is_asked_for_with_its_own_id(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head(b"Set-Cookie: a=1")
        await call.send(chunk(b"data: %b\n\n" % (call.get("Last-Event-ID") or "").encode()), b"0\r\n\r\n")

    origin.answer = answer
    gateway.load(shared(origin))
    client, _ = await ask(gateway, "Last-Event-ID: 7")
    assert await client.chunked_body() == b"data: 7\n\n"


async def test_an_error_is_everybodys(gateway: Gateway, origin: Origin) -> None:
    await origin.stop()
    gateway.load(shared(origin))
    for client, response in await asyncio.gather(*(ask(gateway) for _ in range(5))):
        assert (await client.problem(response))["reason"] == "UpstreamUnreachable"


async def test_who_leads_and_leaves_is_followed(gateway: Gateway, origin: Origin) -> None:
    go_on = asyncio.Event()

    async def answer(call: Call) -> None:
        await go_on.wait()
        await streaming(call)

    origin.answer = answer
    gateway.load(shared(origin))
    leader = await gateway.connect()
    await leader.send(b"GET /sse HTTP/1.1\r\nHost: gw.example\r\n\r\n")
    await origin.call()
    follower = asyncio.create_task(ask(gateway))
    await asyncio.sleep(0.05)
    leader.writer.transport.abort()
    await origin.call()
    go_on.set()
    client, _ = await follower
    assert await client.chunk() == b"retry: 20\nid: 1\ndata: 1\n\n"


async def test_the_connection_ends_a_grace_period_after_the_last_client(gateway: Gateway, origin: Origin) -> None:
    origin.answer = streaming
    gateway.load(shared(origin))
    client, _ = await ask(gateway)
    call = await origin.call()
    client.writer.transport.abort()

    async def none_open() -> bool:
        return await gateway.metric("sse_gateway_streams_active", api="default/api") == 0

    await eventually(none_open)
    again, _ = await ask(gateway)
    await call.event(b"data: 2\n\n")
    assert await again.chunk() == b"data: 2\n\n"
    assert origin.connections == 1
    again.writer.transport.abort()
    await call.has_left()
    assert len(gateway.proxy._exchanges.sharing.streams) == 0
    assert await gateway.metric("sse_gateway_upstream_connections", api="default/api") == 0


async def test_who_comes_after_the_maximum_age_meets_upstream(gateway: Gateway, origin: Origin) -> None:
    origin.answer = streaming
    gateway.load(shared(origin, shared=Shared(max_age=0.1, grace_period=0.1)))
    old, _ = await ask(gateway)
    await old.chunk()
    first = await origin.call()
    await asyncio.sleep(0.15)
    await ask(gateway)
    assert origin.connections == 2
    await first.event(b"data: 2\n\n")
    assert await old.chunk() == b"data: 2\n\n"


@pytest.mark.parametrize("how", ["end", "break", "idle"])
async def test_clients_do_not_notice_that_upstream_is_lost(gateway: Gateway, origin: Origin, how: str) -> None:
    ids: list[str | None] = []

    async def answer(call: Call) -> None:
        ids.append(call.get("Last-Event-ID"))
        if len(ids) == 2:
            # While it starts it takes no request.
            call.reset()
            return
        await call.stream_head()
        await call.event(b"\xef\xbb\xbfretry: 20\nid: %d\ndata: x\n\nid: 99\ndata: not whole" % len(ids))
        if len(ids) > 2:
            await call.gone()
        elif how == "end":
            await call.send(b"0\r\n\r\n")
        elif how == "break":
            await asyncio.sleep(0.05)
            call.reset()
        else:
            await call.gone()

    origin.answer = answer
    gateway.load(shared(origin, timeouts={"idle": 0.3 if how == "idle" else 60}))
    client, _ = await ask(gateway)
    assert await client.chunk() == b"retry: 20\nid: 1\ndata: x\n\n"
    assert await client.chunk() == b"retry: 20\nid: 3\ndata: x\n\n"
    assert ids[:3] == [None, "1", "1"]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 204 Gone\r\n\r\n", b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"])
async def test_another_answer_breaks_all(gateway: Gateway, origin: Origin, answer: bytes) -> None:
    calls = itertools.count()

    async def once(call: Call) -> None:
        if next(calls):
            await call.send(answer)
            return
        await call.stream_head()
        await call.send(chunk(b"retry: 20\ndata: 1\n\n"), b"0\r\n\r\n")

    origin.answer = once
    gateway.load(shared(origin))
    clients = [client for client, _ in await asyncio.gather(ask(gateway), ask(gateway))]
    for client in clients:
        assert await client.rest() == (chunk(b"retry: 20\ndata: 1\n\n"), "fin")
    assert await gateway.closed() == "upstream_error"
    _, response = await ask(gateway)
    assert response.status == int(answer[9:12])


async def test_upstream_is_given_up(gateway: Gateway, origin: Origin) -> None:
    calls = itertools.count()
    origin.answer = lost_behind(b"retry: 20\ndata: 1\n\n", calls)
    gateway.load(shared(origin, shared=Shared(reconnect_for=0.3)))
    client, _ = await ask(gateway)
    assert await client.rest() == (chunk(b"retry: 20\ndata: 1\n\n"), "fin")
    assert 2 < next(calls) < 9
    assert await gateway.closed() == "upstream_error"


async def test_an_upstream_that_names_no_delay_is_not_asked_without_end(gateway: Gateway, origin: Origin) -> None:
    calls = itertools.count()
    origin.answer = lost_behind(b"retry: 0\ndata: 1\n\n", calls)
    gateway.load(shared(origin, shared=Shared(reconnect_for=0.4)))
    client, _ = await ask(gateway)
    await client.rest()
    assert next(calls) < 12


async def test_who_takes_nothing_is_sent_away_even_without_a_write_timeout(
    gateway: Gateway, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sse_proxy.stream.shared.member._PARTING_PATIENCE", 0.2)
    origin.answer = streaming
    gateway.load(shared(origin, slow_consumer=SlowConsumer(buffer=100_000), timeouts={"write": None}))
    stalled, _ = await ask(gateway)
    stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]
    call = await origin.call()
    for _ in range(16):
        await call.event(b"data: " + b"x" * (1 << 19) + b"\n\n")
    assert await gateway.closed() == "slow_consumer"


async def test_heartbeats_go_on_while_upstream_is_lost(gateway: Gateway, origin: Origin) -> None:
    calls = itertools.count()
    origin.answer = lost_behind(b"retry: 20\ndata: 1\n\n", calls)
    gateway.load(shared(origin, heartbeat=0.1, shared=Shared(reconnect_for=10)))
    client, _ = await ask(gateway)
    assert await client.chunk() == b"retry: 20\ndata: 1\n\n"
    for _ in range(4):
        assert await client.chunk() == b":\n"


FLOOD = b"data: " + b"x" * 30_000 + b"\n\n"


@pytest.mark.parametrize("policy", ["Disconnect", "DropOldest"])
async def test_a_stalled_reader_costs_the_others_nothing(gateway: Gateway, origin: Origin, policy: str) -> None:
    """The bytes that wait for it are bounded; the others get everything."""
    origin.answer = streaming
    slow_consumer = SlowConsumer(policy=policy, buffer=100_000)  # type: ignore[arg-type]
    gateway.load(shared(origin, slow_consumer=slow_consumer))
    stalled, _ = await ask(gateway)
    reader, _ = await ask(gateway)
    stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]
    call = await origin.call()
    count = 400
    for number in range(count):
        await call.event(b"id: %d\n" % number + FLOOD)
        while b"id: %d\n" % number not in await reader.chunk():
            pass
    connections = gateway.proxy._listener.connections
    assert max(connection.unsent for connection in connections) < 300_000  # type: ignore[attr-defined]
    stalled.writer.transport.resume_reading()  # type: ignore[attr-defined]
    if policy == "Disconnect":
        data, _ = await stalled.rest()
        assert data.endswith(b"\n\n\r\n")
        assert (await gateway.logged_line("stream_close"))["reason"] == "slow_consumer"
        return
    got, dropped = [], 0
    while not got or got[-1] != count - 1:
        data = await stalled.chunk()
        if data.startswith(b": "):
            dropped += int(data.split()[1])
        elif data.startswith(b"id: "):
            got.append(int(data.split(b"\n")[0][4:]))
    assert dropped > 100
    assert len(got) + dropped == count
    assert got == sorted(got)


async def test_a_client_that_takes_nothing_is_sent_away_in_time(gateway: Gateway, origin: Origin) -> None:
    origin.answer = streaming
    slow_consumer = SlowConsumer(buffer=64 << 20)
    gateway.load(shared(origin, slow_consumer=slow_consumer, timeouts={"write": 0.3}))
    stalled, _ = await ask(gateway)
    stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]
    call = await origin.call()
    await call.event(b"data: " + b"x" * (1 << 19) + b"\n\n")
    for _ in range(16):
        await call.event(b"data: " + b"x" * (1 << 19) + b"\n\n")
    assert await gateway.closed() == "write_timeout"


async def test_the_ends_that_are_the_gateways(gateway: Gateway, origin: Origin) -> None:
    origin.answer = streaming
    gateway.load(shared(origin, timeouts={"stream": 0.2}))
    client, _ = await ask(gateway)
    data, end = await client.rest()
    assert (data, end) == (chunk(b"retry: 20\nid: 1\ndata: 1\n\n"), "fin")
    assert await gateway.closed() == "stream_timeout"
    gateway.log.clear()
    gateway.load(shared(origin))
    client, _ = await ask(gateway)
    gateway.load()
    await client.rest()
    assert await gateway.closed() == "removed"


async def test_drained_clients_are_sent_to_reconnect(gateway: Gateway, origin: Origin) -> None:
    origin.answer = streaming
    gateway.load(shared(origin, on_drain="Reconnect"))
    client, _ = await ask(gateway)
    assert await client.chunk() == b"retry: 20\nid: 1\ndata: 1\n\n"
    drain = asyncio.create_task(gateway.proxy.drain())
    assert (await client.chunk()).startswith(b"retry: ")
    assert await client.rest() == (b"0\r\n\r\n", "fin")
    await drain
