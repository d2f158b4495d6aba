"""Shared streams that keep their last events: who comes back gets what it missed, once and in order."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.harness import Call, Client, Gateway, Origin, Response, api, chunk, eventually
from sse_proxy.config import Api, Replay, Shared, SlowConsumer, Stream
from sse_proxy.stream.shared import resumption


def kept(origin: Origin, replay: Replay | None = None, **settings: Any) -> Api:
    settings.setdefault("shared", Shared(grace_period=5))
    return api(origin.url(), stream=Stream(mode="Shared", replay=replay or Replay(), **settings))


@pytest.fixture(autouse=True)
def _short_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumption, "SILENCE", 0.15)
    monkeypatch.setattr(resumption, "LONGEST", 0.6)


def event(number: int) -> bytes:
    return b"id: %d\ndata: %d\n\n" % (number, number)


class Log:
    """An origin that keeps `history`, and sends what comes after the id that it is asked with, if it `replays`."""

    def __init__(self, *history: int, replays: bool = True) -> None:
        self.history = list(history)
        self.replays = replays
        self.asked: list[str | None] = []
        self.queries: list[str] = []
        self.streams: list[Call] = []

    async def __call__(self, call: Call) -> None:
        id_ = call.get("Last-Event-ID")
        self.asked.append(id_)
        self.queries.append(call.line.split(" ")[1].partition("?")[2])
        await call.stream_head()
        if id_ is not None and id_.isdigit() and self.replays:
            for number in self.history:
                if number > int(id_):
                    await call.event(event(number))
        self.streams.append(call)
        await call.gone()

    async def say(self, *numbers: int) -> None:
        for number in numbers:
            self.history.append(number)
            for stream in self.streams:
                if not stream.left.is_set() and not stream.writer.transport.is_closing():
                    await stream.event(event(number))

    async def has_streams(self, count: int) -> None:
        async def there() -> bool:
            return len(self.streams) >= count

        await eventually(there)


async def come(gateway: Gateway, id_: str | None = None, *lines: str, target: str = "/sse") -> tuple[Client, Response]:
    client = await gateway.connect()
    if id_ is not None:
        lines = (f"Last-Event-ID: {id_}", *lines)
    return client, await client.get(target, *lines)


async def numbers(client: Client, count: int) -> list[int]:
    """The next so many events' data."""
    found: list[int] = []
    while len(found) < count:
        lines = (await client.chunk()).splitlines()
        found += [int(line[6:]) for line in lines if line.startswith(b"data: ")]
    return found


async def replays(gateway: Gateway, result: str) -> float:
    return await gateway.metric("sse_gateway_replays_total", api="default/api", result=result)


async def test_who_comes_back_gets_what_it_missed_and_then_what_comes(gateway: Gateway, origin: Origin) -> None:
    log = origin.answer = Log()
    gateway.load(kept(origin))
    first, response = await come(gateway)
    assert response.get("SSE-Gateway-Replay") is None
    await log.has_streams(1)
    await log.say(*range(1, 6))
    assert await numbers(first, 5) == [1, 2, 3, 4, 5]
    back, response = await come(gateway, "2")
    assert response.get("SSE-Gateway-Replay") == "hit"
    await log.say(6)
    assert await numbers(back, 4) == [3, 4, 5, 6]
    up_to_date, _ = await come(gateway, "6")
    await log.say(7)
    assert await numbers(up_to_date, 1) == [7]
    assert log.asked == [None]
    assert await replays(gateway, "hit") == 2


async def test_the_only_client_comes_back_within_the_grace_period(gateway: Gateway, origin: Origin) -> None:
    log = origin.answer = Log()
    gateway.load(kept(origin))
    client, _ = await come(gateway)
    await log.has_streams(1)
    await log.say(1)
    assert await numbers(client, 1) == [1]
    client.writer.transport.abort()
    await log.say(2, 3)
    client, _ = await come(gateway, "1")
    assert await numbers(client, 2) == [2, 3]
    assert origin.connections == 1


@pytest.mark.parametrize(
    "replay",
    [Replay(events=3), Replay(bytes=3 * len(chunk(event(1)))), Replay(max_age=0.2)],
    ids=["events", "bytes", "age"],
)
async def test_no_more_is_kept_than_may_be(gateway: Gateway, origin: Origin, replay: Replay) -> None:
    log = origin.answer = Log(replays=False)
    gateway.load(kept(origin, replay.model_copy(update={"on_miss": "All"})))
    first, _ = await come(gateway)
    await log.has_streams(1)
    await log.say(1, 2, 3)
    await numbers(first, 3)
    if replay.max_age is not None:
        await asyncio.sleep(0.25)
    await log.say(4, 5, 6)
    await numbers(first, 3)
    # The one before the first that is kept leads to it, one before that leads nowhere.
    back, response = await come(gateway, "3")
    assert response.get("SSE-Gateway-Replay") == "hit"
    assert await numbers(back, 3) == [4, 5, 6]
    back, response = await come(gateway, "2")
    assert response.get("SSE-Gateway-Replay") == "miss"
    assert await numbers(back, 3) == [4, 5, 6]


async def test_a_query_parameter_for_who_cannot_set_the_field(gateway: Gateway, origin: Origin) -> None:
    log = origin.answer = Log()
    gateway.load(kept(origin, Replay(query_parameter="last")))
    first, _ = await come(gateway, target="/sse?a=1")
    await log.has_streams(1)
    await log.say(1, 2, 3)
    await numbers(first, 3)
    for target, lines, expected in (
        ("/sse?a=1&last=1", (), [2, 3]),
        ("/sse?last=%31&a=1", (), [2, 3]),
        ("/sse?a=1&last=1", ("Last-Event-ID: 2",), [3]),
    ):
        back, response = await come(gateway, None, *lines, target=target)
        assert response.get("SSE-Gateway-Replay") == "hit"
        assert await numbers(back, len(expected)) == expected
    assert log.queries == ["a=1"]
    # What cannot stand in a field is no id, and no field of its own.
    await come(gateway, target="/sse?a=1&last=1%0D%0AX-Evil:%201")
    assert log.asked == [None, "1%0D%0AX-Evil%3A%201"]


IDS = [
    pytest.param(b"id: 1\ndata: 1\n\ndata: 2\n\ndata: 3\n\n", "1", [2, 3], id="events without an id in between"),
    pytest.param(b"id: 1\ndata: 1\n\nid: 1\ndata: 2\n\nid: 3\ndata: 3\n\n", "1", [3], id="the newest counts"),
    pytest.param(b"id: 1\ndata: 1\n\nid: a\0b\ndata: 2\n\ndata: 3\n\n", "1", [2, 3], id="an id with NUL is none"),
    pytest.param(b"id: 1\ndata: 1\n\nid\ndata: 2\n\ndata: 3\n\n", "1", [2, 3], id="an empty id"),
    pytest.param(b"id:  1 \ndata: 1\n\ndata: 2\n\n", "1", [2], id="fields have no white space around"),
    pytest.param(b"data: 0\n\nid: 1\n\ndata: 2\n\n", "1", [2], id="an id without data"),
    pytest.param(b"id: \xc3\xa4\rdata: 1\r\rdata: 2\r\r:c\r", "ä", [2], id="an id in UTF-8"),
]


@pytest.mark.parametrize(("said", "id_", "expected"), IDS)
async def test_ids(gateway: Gateway, origin: Origin, said: bytes, id_: str, expected: list[int]) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(said)
        await call.gone()

    origin.answer = answer
    gateway.load(kept(origin))
    first, _ = await come(gateway)
    await first.chunk()
    back, response = await come(gateway, id_.encode().decode("latin-1"))
    assert response.get("SSE-Gateway-Replay") == "hit"
    assert await numbers(back, len(expected)) == expected


# An id that is not kept.


async def test_what_is_not_kept_is_caught_up_from_upstream(gateway: Gateway, origin: Origin) -> None:
    log = origin.answer = Log()
    gateway.load(kept(origin, Replay(events=3)))
    first, _ = await come(gateway)
    await log.has_streams(1)
    await log.say(*range(1, 11))
    await numbers(first, 10)
    backs = await asyncio.gather(*(come(gateway, "4") for _ in range(20)))
    await log.say(11)
    for back, response in backs:
        assert response.get("SSE-Gateway-Replay") == "caught-up"
        assert await numbers(back, 7) == list(range(5, 12))
    # Once for all of them, and not for longer than that.
    assert log.asked == [None, "4"]
    await log.streams[1].has_left()
    assert await replays(gateway, "caught-up") == 20


async def test_the_first_one_may_have_missed_something_too(gateway: Gateway, origin: Origin) -> None:
    """A proxy that is new has nothing of what its clients saw elsewhere."""
    log = origin.answer = Log(*range(1, 6))
    gateway.load(kept(origin))
    asking = [asyncio.create_task(come(gateway, id_)) for id_ in ("2", "2", "3")]
    await log.has_streams(3)
    await log.say(6)
    for task, missed in zip(asking, ([3, 4, 5], [3, 4, 5], [4, 5]), strict=True):
        client, response = await task
        assert response.get("SSE-Gateway-Replay") == "caught-up"
        assert await numbers(client, len(missed) + 1) == [*missed, 6]
    assert sorted(log.asked, key=str) == ["2", "3", None]
    # The shared connection is rewound for nobody.
    assert log.asked[0] is None


async def test_history_and_then_silence_is_all(gateway: Gateway, origin: Origin) -> None:
    log = origin.answer = Log(*range(1, 6))
    gateway.load(kept(origin))
    client, response = await come(gateway, "3")
    assert response.get("SSE-Gateway-Replay") == "caught-up"
    assert await numbers(client, 2) == [4, 5]
    await log.say(6)
    assert await numbers(client, 1) == [6]


async def test_upstream_is_lost_before_it_said_anything(gateway: Gateway, origin: Origin) -> None:
    """The shared connection goes on behind what was caught up."""
    log = origin.answer = Log(*range(1, 6))
    gateway.load(kept(origin))
    client, _ = await come(gateway, "3")
    assert await numbers(client, 2) == [4, 5]
    log.streams[0].reset()
    log.history.append(6)
    assert await numbers(client, 1) == [6]
    assert log.asked == [None, "3", "5"]


async def test_an_id_that_is_on_its_way(gateway: Gateway, origin: Origin) -> None:
    """Another replica was ahead of this one."""
    log = origin.answer = Log()
    gateway.load(kept(origin))
    await come(gateway)
    await log.has_streams(1)
    await log.say(1)
    asking = asyncio.create_task(come(gateway, "3"))
    await log.has_streams(2)
    await log.say(2, 3, 4)
    client, response = await asking
    assert response.get("SSE-Gateway-Replay") == "hit"
    assert await numbers(client, 1) == [4]


def _refusing(status: bytes) -> Any:
    asked: Iterator[int] = itertools.count()

    async def answer(call: Call) -> None:
        if call.get("Last-Event-ID") is not None:
            await call.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
            return
        next(asked)
        await call.stream_head()
        for number in range(1, 10):
            await call.event(event(number))
        await call.gone()

    return answer


@pytest.mark.parametrize(
    ("on_miss", "expected"),
    [("Live", b""), ("All", event(7) + event(8) + event(9)), ("Resync", b"event: resync\ndata: {}\n\n")],
)
@pytest.mark.parametrize("status", [b"400 No", b"204 Gone"])
async def test_a_miss_is_told(gateway: Gateway, origin: Origin, on_miss: Any, expected: bytes, status: bytes) -> None:
    origin.answer = _refusing(status)
    gateway.load(kept(origin, Replay(events=3, on_miss=on_miss)))
    first, _ = await come(gateway)
    await numbers(first, 9)
    back, response = await come(gateway, "2")
    assert response.get("SSE-Gateway-Replay") == "miss"
    data = b""
    while len(data) < len(expected):
        data += await back.chunk()
    assert data == expected
    call = await origin.call()
    await call.event(event(10))
    assert await numbers(back, 1) == [10]
    assert await replays(gateway, "miss") == 1


async def test_an_upstream_that_does_not_replay_is_not_taken_for_one(gateway: Gateway, origin: Origin) -> None:
    log = origin.answer = Log(replays=False)
    gateway.load(kept(origin, Replay(events=2, on_miss="Resync")))
    first, _ = await come(gateway)
    await log.has_streams(1)
    await log.say(*range(1, 7))
    await numbers(first, 6)
    asking = asyncio.create_task(come(gateway, "2"))
    await log.has_streams(2)
    await log.say(7)
    back, response = await asking
    assert response.get("SSE-Gateway-Replay") == "miss"
    assert (await back.chunk()).startswith(b"event: resync\n")


async def test_a_catch_up_is_bounded(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        for number in itertools.count(100) if call.get("Last-Event-ID") else (1, 2, 3):
            await call.event(event(number))
        await call.gone()

    origin.answer = answer
    gateway.load(kept(origin, Replay(events=50)))
    first, _ = await come(gateway)
    await numbers(first, 3)
    _, response = await come(gateway, "x")
    assert response.get("SSE-Gateway-Replay") == "miss"


async def test_who_leaves_while_it_is_asked_for_leaves_nothing(gateway: Gateway, origin: Origin) -> None:
    log = origin.answer = Log()
    gateway.load(kept(origin, shared=Shared(grace_period=0.05)))
    client = await gateway.connect()
    await client.send(b"GET /sse HTTP/1.1\r\nHost: gw.example\r\nLast-Event-ID: 7\r\n\r\n")
    await log.has_streams(2)
    client.writer.transport.abort()
    for stream in log.streams:
        await stream.has_left()
    assert len(gateway.proxy._exchanges.sharing.streams) == 0

    async def free() -> bool:
        return await gateway.metric("sse_gateway_upstream_connections", api="default/api") == 0

    await eventually(free)


# Ids of the gateway's own.


async def test_events_without_ids_are_numbered(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: 1\n\n: c\n\nevent: x\ndata: 2\n\nid: own\ndata: 3\n\n")
        await call.gone()

    origin.answer = answer
    gateway.load(kept(origin, Replay(ids="Generate", on_miss="Resync")))
    first, _ = await come(gateway)
    data = b"".join([await first.chunk() for _ in range(4)])
    assert data.count(b"id: ") == 3
    id_ = data.split(b"\n")[0][4:].decode()
    epoch, _, number = id_.rpartition("-")
    assert len(epoch) >= 12
    assert number == "1"
    back, response = await come(gateway, id_)
    assert response.get("SSE-Gateway-Replay") == "hit"
    assert b"".join([await back.chunk() for _ in range(2)]) in data
    another = "B" if epoch[0] == "A" else "A"
    _, response = await come(gateway, f"{another}{epoch[1:]}-1")
    assert response.get("SSE-Gateway-Replay") == "miss"
    # Upstream knows none of them.
    assert origin.connections == 1
    call = await origin.call()
    call.reset()
    assert (await origin.call()).get("Last-Event-ID") == "own"


async def test_an_upstream_without_ids_is_told_of(gateway: Gateway, origin: Origin) -> None:
    async def warned() -> list[str]:
        _, text = await gateway.admin("/config")
        return [each["reason"] for each in json.loads(text)["warnings"]]

    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: 1\n\n" * 20)
        await call.gone()

    origin.answer = answer
    for replay in (Replay(ids="Generate"), Replay()):
        gateway.load(kept(origin, replay))
        first, _ = await come(gateway)
        await numbers(first, 20)
        assert await warned() == []
        await come(gateway)
    assert await warned() == ["ReplayWithoutIds"]
    gateway.load(kept(origin, Replay(events=5)))
    assert await warned() == []


async def test_another_gateways_word_on_replay_is_not_passed_on(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head(b"SSE-Gateway-Replay: miss")
        await call.event(event(1))
        await call.gone()

    origin.answer = answer
    gateway.load(kept(origin))
    first, _ = await come(gateway)
    await numbers(first, 1)
    _, response = await come(gateway, "1")
    assert response.all("SSE-Gateway-Replay") == ["hit"]


# Slow readers.


@pytest.mark.parametrize("policy", ["Disconnect", "DropOldest"])
async def test_who_reads_the_past_too_slowly(gateway: Gateway, origin: Origin, policy: Any) -> None:
    origin.answer = log = Log()
    big = b"x" * 30_000
    gateway.load(kept(origin, Replay(events=300, bytes=64 << 20), slow_consumer=SlowConsumer(policy=policy)))
    first, _ = await come(gateway)
    await log.has_streams(1)
    call = log.streams[0]

    async def say(*wanted: int) -> None:
        for number in wanted:
            await call.event(b"id: %d\ndata: %d\n: %b\n\n" % (number, number, big))
            assert await numbers(first, 1) == [number]

    await say(*range(300))
    slow, response = await come(gateway, "0")
    assert response.get("SSE-Gateway-Replay") == "hit"
    slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await say(*range(300, 600))
    # Nothing of what it is still to read is queued for it.
    connections = gateway.proxy._listener.connections
    assert max(connection.unsent for connection in connections) < 300_000
    slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
    if policy == "Disconnect":
        data, _ = await slow.rest()
        assert data.endswith(b"\n\n\r\n")
        assert (await gateway.logged_line("stream_close"))["reason"] == "slow_consumer"
        return
    got: list[int] = []
    dropped = 0
    while not got or got[-1] != 599:
        data = await slow.chunk()
        if data.startswith(b": "):
            dropped += int(data.split()[1])
        else:
            got.append(int(data.split(b"\n")[0][4:]))
    assert dropped > 0
    assert len(got) + dropped == 599
    assert got == sorted(got)
