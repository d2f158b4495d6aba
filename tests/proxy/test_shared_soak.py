"""Very many EventSources on one shared stream, over real sockets, the proxy a process of its own: clients disconnect at
random, upstream restarts, and nobody misses an event or gets one twice.

The short form is part of every test run. `pytest -m soak tests/proxy/test_shared_soak.py` is five minutes with 1,000
clients; docs/streams.md has its figures.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from proxy.harness import Call, Origin, api, eventually
from proxy.test_loader import files_of, write
from proxy.test_process import Process
from sse_proxy.config import Replay, Shared, Stream

_EVENT = re.compile(rb"id: (\d+)\ndata: x{64}\n\n")


class Feed:
    """Says something at a rate, keeps all of it, and is away for a moment when it restarts."""

    def __init__(self, rate: float) -> None:
        self.interval = 1 / rate
        self.said = 0
        self.streams: list[Call] = []
        self.away = False

    async def __call__(self, call: Call) -> None:
        if self.away:
            call.reset()
            return
        await call.stream_head()
        id_ = call.get("Last-Event-ID")
        if id_ is None:
            await call.event(b"retry: 50\n\n")
        for number in range(int(id_) + 1 if id_ else self.said + 1, self.said + 1):
            self._write(call, number)
        self.streams.append(call)
        try:
            await call.gone()
        finally:
            self.streams.remove(call)

    async def speak(self) -> None:
        next_at = time.monotonic()
        while True:
            self.said += 1
            for call in self.streams:
                self._write(call, self.said)
            next_at += self.interval
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))

    async def restart(self, for_seconds: float) -> None:
        self.away = True
        for call in tuple(self.streams):
            call.reset()
        await asyncio.sleep(for_seconds)
        self.away = False

    def _write(self, call: Call, number: int) -> None:
        data = b"id: %d\ndata: %b\n\n" % (number, b"x" * 64)
        if not call.writer.transport.is_closing():
            call.writer.write(b"%x\r\n%b\r\n" % (len(data), data))


class EventSource(asyncio.Protocol):
    """One client over all its connections. A gap or a double is a fault of its own."""

    def __init__(self, port: int, late: float, faults: list[str], found: Counter[str]) -> None:
        """Some reconnects are `late`, by so many seconds."""
        self.port, self.late, self.faults, self.found = port, late, faults, found
        self.last = 0
        self.events = self.connects = 0
        self.closing = False
        self._buffer = b""
        self._head = True
        self._transport: asyncio.Transport | None = None
        self.ended = asyncio.Event()
        self._connecting: asyncio.Task[None] | None = None

    def connect(self, after: float = 0.0) -> None:
        self._connecting = asyncio.create_task(self._connect(after))

    async def _connect(self, after: float) -> None:
        await asyncio.sleep(after)
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self.port)
        except OSError as error:
            self.faults.append(str(error))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._buffer, self._head = b"", True
        self.connects += 1
        id_ = b"Last-Event-ID: %d\r\n" % self.last if self.last else b""
        self._transport.write(b"GET /sse HTTP/1.1\r\nHost: gw.example\r\nAccept: text/event-stream\r\n%b\r\n" % id_)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._head:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self._head, self._buffer = False, rest
            self._judge(head)
        done = 0
        for event in _EVENT.finditer(self._buffer):
            number = int(event[1])
            if self.last and number != self.last + 1:
                self.faults.append(f"{number} behind {self.last}")
            self.last = number
            self.events += 1
            done = event.end()
        self._buffer = self._buffer[done:]

    def _judge(self, head: bytes) -> None:
        if not head.startswith(b"HTTP/1.1 200 "):
            self.found["refused"] += 1
            return
        field = re.search(rb"SSE-Gateway-Replay: (.*)", head)
        self.found[field[1].strip().decode() if field else "new"] += 1

    def connection_lost(self, exc: BaseException | None) -> None:
        self._transport = None
        if self.closing:
            self.ended.set()
        else:
            self.connect(self.late if random.random() < 0.15 else random.uniform(0.01, 0.2))

    def disconnect(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        self.closing = True
        if self._transport is not None:
            self._transport.abort()
            await self.ended.wait()
        elif self._connecting is not None:
            self._connecting.cancel()


@asynccontextmanager
async def proxied(folder: Path, origin: Origin, replay: Replay):  # type: ignore[no-untyped-def]
    """A proxy process that shares this origin's streams."""
    process = Process(folder / "config", "--drain-period=1s")
    (folder / "config").mkdir()
    settings = Stream(mode="Shared", replay=replay, shared=Shared(grace_period=5.0))
    write(folder / "config", files_of(1, api(origin.url(), stream=settings)))
    await process.start()
    output = asyncio.create_task(process.process.communicate())
    try:
        await process.until(200)
        yield process
    finally:
        process.process.kill()
        await output


def resident(pid: int) -> int:
    """KiB of the process's memory."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


async def soak(
    folder: Path, origin: Origin, *, clients: int, seconds: float, rate: float, keeps: float, leave: float
) -> None:
    """`leave` clients a second disconnect; upstream restarts every two to six seconds. The ring `keeps` seconds of
    events: some clients come back later, and have to be caught up."""
    feed = origin.answer = Feed(rate)
    faults: list[str] = []
    found: Counter[str] = Counter()
    dice = random.Random(8)
    async with proxied(folder, origin, Replay(max_age=keeps)) as process:
        speaking = asyncio.create_task(feed.speak())
        sources = [EventSource(process.port, 1.15 * keeps, faults, found) for _ in range(clients)]
        for number, source in enumerate(sources):
            source.connect(number * 0.002)
        began = time.monotonic()
        restarts, restart_at, memory = 0, began + 1.0, 0
        while (now := time.monotonic()) < began + seconds:
            await asyncio.sleep(1 / leave)
            dice.choice(sources).disconnect()
            if now > restart_at:
                await feed.restart(dice.uniform(0.05, 0.3))
                restarts += 1
                restart_at = now + dice.uniform(2, 6) * min(1.0, seconds / 10)
            if not memory and now > began + seconds / 4:
                memory = resident(process.process.pid)
        speaking.cancel()
        await asyncio.wait((speaking,))
        assert speaking.cancelled()

        async def all_have_all() -> bool:
            return all(source.last == feed.said for source in sources)

        await eventually(all_have_all)
        end = resident(process.process.pid)
        metrics = (await process.get(process.admin_port, "/metrics"))[1]
        events = sum(source.events for source in sources)
        print(f"\n{clients} clients, {seconds:g} s, {feed.said} events, {events} delivered, {restarts} restarts")
        print(f"connects {sum(source.connects for source in sources)}: {dict(found)}; upstream {origin.connections}")
        print(f"resident after a quarter {memory} KiB, at the end {end} KiB")
        await asyncio.gather(*(source.close() for source in sources))
    assert faults == []
    assert restarts > 0
    assert found["hit"] > 0
    assert found["caught-up"] > 0
    assert found["miss"] == found["refused"] == 0
    assert 'sse_gateway_upstream_connections{api="default/api"} 1.0' in metrics
    assert end < 1.1 * memory + 2048


async def test_nobody_misses_anything(tmp_path: Path, origin: Origin) -> None:
    await soak(tmp_path, origin, clients=100, seconds=4.0, rate=40.0, keeps=1.5, leave=60.0)


@pytest.mark.soak
async def test_nobody_misses_anything_for_five_minutes(tmp_path: Path, origin: Origin) -> None:
    await soak(tmp_path, origin, clients=1000, seconds=300.0, rate=8.0, keeps=3.0, leave=40.0)
