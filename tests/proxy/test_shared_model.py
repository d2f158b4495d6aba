"""Shared streams against a model: any interleaving of events, clients that come, leave, come back and read slowly,
breaks and failures of upstream. No sockets, virtual time; all else is the proxy's own. A client's connection is a
transport and, below it, what the system holds for its socket: that can be written to directly, by a descriptor that the
next connection gets as soon as it is closed.

Upstream keeps every event, and clients are EventSources. What holds at every moment, for each client's connection:

- events come in upstream's order, none twice, none missing between two but those that a comment tells of;
- behind a resumption that was said to be complete (`hit`, `caught-up`) nothing is missing either;
- no event of another key comes;
- what waits for a client, and what is kept, is bounded; there is one shared connection to upstream for a key.

And once upstream is there and everybody reads: everybody has everything, and when all have gone nothing is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.virtual_time import VirtualTimeLoop
from sse_proxy.config import Replay, Shared, SlowConsumer, Stream, Timeouts
from sse_proxy.errors import UpstreamError, UpstreamUnreachableError
from sse_proxy.field_changes import UNCHANGED
from sse_proxy.inquiry import Inquiry
from sse_proxy.sharing import Divert, Sharing
from sse_proxy.stream.deadlines import Deadlines
from sse_proxy.stream.shared import direct
from sse_proxy.stream.shared.member import Member
from sse_proxy.upstream.connection import Receiver
from sse_proxy.upstream.pool import Lease
from sse_proxy.upstream.response import parse_head

HEAD = parse_head(
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n", to_head_request=False
)
KEYS = ("a", "b")
HIGH = 150
"""Bytes in a client's transport before it takes no more."""
HELD = 100
"""Bytes that the system holds for a client, before it takes no more."""
BEYOND = 50
"""Bytes that it takes beyond that rather than a part."""
BUFFER = 400
KEPT = Replay(events=5, bytes=450, max_age=30.0, on_miss="Live")
LARGEST = 250
"""Bytes of an event's chunk, at most."""


def event(key: str, number: int) -> bytes:
    return b"id: %b%d\ndata: %b\n\n" % (key.encode(), number, b"x" * (number * 37 % 180))


class Upstream:
    """Everything that was ever said, by key, and the connections that hear it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.said = dict.fromkeys(KEYS, 12)
        self.connections: list[Connection] = []
        self.down = False

    def connect(self, key: str, receiver: Receiver | None, last_event_id: bytes) -> Connection:
        if self.down:
            raise UpstreamUnreachableError("upstream is down")
        connection = Connection(self, key, receiver, private=receiver is not None)
        self.connections.append(connection)
        if receiver is not None:
            connection.later(lambda receiver: receiver.head_received(HEAD))
        if last_event_id:
            assert last_event_id[:1] == key.encode(), "an id of another key"
            for number in range(int(last_event_id[1:]) + 1, self.said[key] + 1):
                connection.say(event(key, number))
        return connection

    def say(self, key: str) -> None:
        self.said[key] += 1
        for connection in self.of(key):
            connection.say(event(key, self.said[key]))

    def of(self, key: str) -> list[Connection]:
        return [connection for connection in self.connections if connection.key == key]


class Connection:
    """One connection to upstream, and its lease: what is said arrives some time later."""

    def __init__(self, upstream: Upstream, key: str, receiver: Receiver | None, *, private: bool) -> None:
        self.upstream, self.key, self.receiver, self.private = upstream, key, receiver, private
        self.connection = self
        self.closed = False

    def hand_over(self, receiver: Receiver) -> None:
        self.receiver = receiver

    def later(self, call: Callable[[Receiver], None]) -> None:
        def now() -> None:
            if not self.closed and self.receiver is not None:
                call(self.receiver)

        self.upstream.loop.call_soon(now)

    def say(self, data: bytes) -> None:
        self.later(lambda receiver: receiver.body_received(data, b""))

    def lose(self) -> None:
        def ended(receiver: Receiver) -> None:
            self.discard()
            receiver.response_ended("the connection was reset")

        self.later(ended)

    def discard(self) -> None:
        self.closed = True
        if self in self.upstream.connections:
            self.upstream.connections.remove(self)


class Sockets:
    """Those of all clients, by descriptor: always the lowest that is free, as POSIX has it."""

    def __init__(self) -> None:
        self.open: dict[int, Downstream] = {}

    def opened(self, connection: Downstream) -> int:
        descriptor = next(number for number in itertools.count(3) if number not in self.open)
        self.open[descriptor] = connection
        return descriptor

    def write(self, descriptor: int, data: bytes) -> int:
        """As `os.write`."""
        connection = self.open.get(descriptor)
        if connection is None:
            raise OSError(errno.EBADF, "closed")
        assert not connection.buffer, "what is written directly overtakes what waits in the transport"
        if not connection.open:
            raise BrokenPipeError(errno.EPIPE, "lost")
        taken = connection.hold(data)
        if not taken:
            raise BlockingIOError(errno.EAGAIN, "full")
        connection.written_directly += 1
        return taken


class Downstream:
    """A client's connection as its member sees it, with the client's parser behind it."""

    def __init__(self, model: SharedStreamModel, client: Client) -> None:
        self.model, self.client = model, client
        self.downstream: Any = None
        self.head_sent = False
        self.buffer = b""
        """What waits in the transport."""
        self.held = b""
        """What the system holds."""
        self.paused = False
        self.open = True
        self.parsed = b""
        self.found: str | None = None
        self.begun = False
        """Whether an event has come on it."""
        self.written_directly = 0
        self.descriptor: int | None = model.sockets.opened(self) if client.plain else None

    @property
    def unsent(self) -> int:
        return len(self.buffer)

    def hold(self, data: bytes) -> int:
        room = max(HELD - len(self.held), 0)
        taken = data if room and len(data) <= room + BEYOND else data[:room]
        self.held += taken
        return len(taken)

    def send(self, data: bytes) -> None:
        if not self.open:
            return
        if not self.buffer:
            data = data[self.hold(data) :]
        self.buffer += data
        if len(self.buffer) > HIGH and not self.paused:
            self.paused = True
            self.downstream.client_full()

    def send_all(self, parts: list[bytes]) -> None:
        for part in parts:
            self.send(part)

    def shut(self) -> None:
        self.take(len(self.held) + len(self.buffer))
        self.close()

    def reset(self) -> None:
        self.buffer = self.held = b""
        self.close()

    def lose(self) -> None:
        """The event loop tells of it in its next turn, and closes the descriptor behind that."""
        self.open, self.buffer, self.held = False, b"", b""

        def lost() -> None:
            if self.downstream is not None:
                self.downstream.client_lost()
            self.close()

        self.model.loop.call_soon(lost)

    def close(self) -> None:
        self.open = False
        if self.descriptor is not None and self.model.sockets.open.get(self.descriptor) is self:
            del self.model.sockets.open[self.descriptor]

    def take(self, most: int) -> None:
        while most and (taken := self.held[:most]):
            most -= len(taken)
            self.held = self.held[len(taken) :]
            self.buffer = self.buffer[self.hold(self.buffer) :]
            self._parse(taken)
        if self.paused and len(self.buffer) <= HIGH // 4:
            self.paused = False
            self.downstream.client_takes()

    def _parse(self, data: bytes) -> None:
        self.parsed += data
        if self.parsed.startswith(b"HTTP/1.1 "):
            head, end, rest = self.parsed.partition(b"\r\n\r\n")
            if not end:
                return
            self.parsed = rest
            fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
            found = fields.get(b"SSE-Gateway-Replay")
            self.found = None if found is None else found.decode()
        while (size_end := self.parsed.find(b"\r\n")) >= 0:
            size = int(self.parsed[:size_end], 16)
            start = size_end + 2
            if len(self.parsed) < start + size + 2:
                return
            self._chunk(self.parsed[start : start + size])
            self.parsed = self.parsed[start + size + 2 :]

    def _chunk(self, data: bytes) -> None:
        dropped = 0
        for line in data.split(b"\n"):
            if line.startswith(b": "):
                dropped += int(line.split()[1])
            elif line.startswith(b"id: "):
                self._event(line[4:].decode())
        self.client.dropped += dropped

    def _event(self, id_: str) -> None:
        client = self.client
        key, number = id_[0], int(id_[1:])
        assert key == client.key, "an event of another key"
        complete = self.begun or self.found in ("hit", "caught-up")
        if complete and client.last is not None:
            expected = client.last + 1 + client.dropped
            assert number == expected, f"{number} behind {client.last} ({self.found}), {client.dropped} were dropped"
        elif client.last is not None:
            assert number > client.last, "an event comes again"
        client.last, client.dropped, self.begun = number, 0, True


class Client:
    """One EventSource, over all its connections."""

    def __init__(self, key: str, *, plain: bool) -> None:
        self.key = key
        self.plain = plain
        """Whether its socket gets what is sent as it is: it has no TLS."""
        self.last: int | None = None
        self.dropped = 0
        self.connection: Downstream | None = None
        self.task: asyncio.Task[None] | None = None
        self.stalled = False

    def read(self, most: int = 10_000) -> None:
        if self.connection is not None and self.connection.open and self.connection.held:
            self.connection.take(most)

    @property
    def connected(self) -> bool:
        return self.connection is not None and self.connection.open


class Asked:
    """What of an `Inquiry` sharing needs."""

    def __init__(self, stream: Stream, key: str, connection: Downstream, last_event_id: bytes) -> None:
        self.key, self.last_event_id = key, last_event_id
        api = SimpleNamespace(stream=stream, timeouts=Timeouts(idle=None, write=20.0))
        self.route = SimpleNamespace(api=api, response_changes=UNCHANGED)
        head = SimpleNamespace(method=b"GET", last=False)
        self.request = SimpleNamespace(connection=connection, head=head)

    def after(self, last_event_id: bytes) -> Asked:
        return Asked(self.route.api.stream, self.key, self.request.connection, last_event_id)


class Account:
    cors = UNCHANGED

    def head_sent(self, status: int, *, stream: bool) -> None: ...

    def first_byte(self) -> None: ...

    def paused(self, seconds: float) -> None: ...

    def heartbeat(self) -> None: ...

    def resumed(self, found: object) -> None: ...


class Exchanging:
    """Asks the model's upstream, as `Exchanges` asks the real one."""

    closing = False

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.members: set[Member] = set()

    async def ask(self, inquiry: Inquiry, account: Account, divert: Divert | None = None) -> None:
        await asyncio.sleep(0)
        asked = cast("Asked", inquiry)
        connection = self.upstream.connect(asked.key, None, asked.last_event_id)
        assert divert is not None, "every response of this upstream can be shared"
        assert divert(HEAD, cast("Lease", connection))

    async def resume(self, inquiry: Inquiry, receiver: Receiver) -> Lease:
        await asyncio.sleep(0)
        asked = cast("Asked", inquiry)
        return cast("Lease", self.upstream.connect(asked.key, receiver, asked.last_event_id))

    def begun(self, member: Member, account: Account) -> None:
        self.members.add(member)

    def ended(self, member: Member) -> None:
        self.members.remove(member)
        if isinstance(connection := member.client, Downstream) and connection.open:
            connection.close()


class SharedStreamModel(RuleBasedStateMachine):
    @initialize(
        policy=st.sampled_from(("Disconnect", "DropOldest")),
        grace=st.sampled_from((0.0, 3.0)),
        seen=st.lists(st.none() | st.integers(1, 12), min_size=5, max_size=5),
    )
    def begin(self, policy: Any, grace: float, seen: list[int | None]) -> None:
        """The proxy is new; clients have `seen` something elsewhere."""
        self.loop = VirtualTimeLoop()
        self.deadlines = Deadlines(self.loop.time)
        self.clock = self.loop.create_task(self.deadlines.run())
        self.upstream = Upstream(self.loop)
        self.exchanging = Exchanging(self.upstream)
        self.stream = Stream(
            mode="Shared",
            replay=KEPT,
            heartbeat=7.0,
            shared=Shared(grace_period=grace, max_age=120.0, reconnect_for=20.0),
            slow_consumer=SlowConsumer(policy=policy, buffer=BUFFER),
        )
        self.sockets = Sockets()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(direct, "write", self.sockets.write)
        self.patch.setattr(direct, "now", self.loop.time)
        self.clients: list[Client] = [Client(KEYS[number % 2], plain=number < 4) for number in range(5)]
        for client, last in zip(self.clients, seen, strict=True):
            client.last = last
        self.sharing: Sharing[Account] = Sharing(cast("Any", self.exchanging), self.deadlines)

    def run(self, seconds: float = 0.0, do: Callable[[], None] | None = None) -> None:
        async def passing() -> None:
            if do is not None:
                do()
            await asyncio.sleep(seconds)
            for _ in range(30):
                await asyncio.sleep(0)
                for client in self.clients:
                    if not client.stalled:
                        client.read()

        self.loop.run_until_complete(passing())

    # What happens.

    @rule(key=st.sampled_from(KEYS), count=st.integers(1, 8))
    def upstream_says(self, key: str, count: int) -> None:
        for _ in range(count):
            self.upstream.say(key)
        self.run()

    @rule(key=st.sampled_from(KEYS), count=st.integers(1, 12))
    def upstream_says_in_one_breath(self, key: str, count: int) -> None:
        """Nobody gets to run before what happens next."""
        for _ in range(count):
            self.upstream.say(key)

    @rule(number=st.integers(0, 4))
    def comes(self, number: int) -> None:
        self.connect(self.clients[number])
        self.run()

    @rule(number=st.integers(0, 4), later=st.booleans())
    def comes_again(self, number: int, later: bool) -> None:
        self.disconnect(self.clients[number])
        if later:
            self.run()
        self.connect(self.clients[number])

    @rule()
    def all_come_again(self) -> None:
        for client in self.clients:
            self.disconnect(client)
        for client in self.clients:
            self.connect(client)

    @rule(number=st.integers(0, 4))
    def leaves(self, number: int) -> None:
        self.disconnect(self.clients[number])

    @rule(number=st.integers(0, 4), come=st.booleans())
    def stops_to_read(self, number: int, come: bool) -> None:
        self.clients[number].stalled = True
        if come:
            self.comes_again(number, later=True)
            self.run()

    @rule(number=st.integers(0, 4), before=st.integers(0, 3), after=st.integers(0, 3))
    def comes_again_and_reads_late(self, number: int, before: int, after: int) -> None:
        """It is behind while others are written what comes."""
        client = self.clients[number]
        self.disconnect(client)
        for _ in range(before):
            self.upstream.say(client.key)
        self.run()
        self.stops_to_read(number, come=True)
        for _ in range(after):
            self.upstream.say(client.key)
            self.run()
        client.stalled = False
        self.run()

    @rule(number=st.integers(0, 4), most=st.sampled_from((10, 300)))
    def reads_something(self, number: int, most: int) -> None:
        self.run(do=lambda: self.clients[number].read(most))

    @rule()
    def all_read(self) -> None:
        for client in self.clients:
            client.stalled = False
        self.run()

    @rule(number=st.integers(0, 4))
    def forgets(self, number: int) -> None:
        """The page is loaded anew."""
        self.disconnect(self.clients[number])
        forgotten = self.clients[number]
        self.clients[number] = Client(forgotten.key, plain=forgotten.plain)

    @rule(key=st.sampled_from(KEYS), part=st.integers(0, 20))
    def upstream_breaks(self, key: str, part: int) -> None:
        """Within an event that comes again, or between two."""
        if part:
            self.upstream.said[key] += 1
        for connection in self.upstream.of(key):
            connection.say(event(key, self.upstream.said[key])[:part])
            connection.lose()

    @rule()
    def upstream_stops(self) -> None:
        self.upstream.down = True
        for connection in tuple(self.upstream.connections):
            connection.lose()

    @precondition(lambda self: self.upstream.down)
    @rule()
    def upstream_starts(self) -> None:
        self.upstream.down = False

    @rule(seconds=st.sampled_from((0.1, 1.0, 4.0, 25.0)))
    def time_passes(self, seconds: float) -> None:
        self.run(seconds)

    # What holds.

    @invariant()
    def everything_is_bounded(self) -> None:
        for client in self.clients:
            if client.connection is not None:
                assert client.connection.unsent <= HIGH + BUFFER + LARGEST
        for stream in self.sharing.streams:
            members = {member._descriptor: member for member in stream.hub.members if member._direct_since is not None}
            assert members == stream.hub.direct._clients
        for member in self.exchanging.members:
            assert member._waiting_size <= BUFFER + KEPT.bytes
        for key in KEYS:
            shared = [connection for connection in self.upstream.of(key) if not connection.private]
            assert len(shared) <= 1 + len(self.sharing.streams)
        for stream in self.sharing.streams:
            ring = stream.hub.ring
            assert ring is not None
            assert len(ring) <= KEPT.events
            assert ring.size <= KEPT.bytes
            assert len(ring._positions) <= KEPT.events + 1
            assert len(ring._kept) <= 3 * KEPT.events + 64

    def connect(self, client: Client) -> None:
        if client.connected or (client.task is not None and not client.task.done()):
            return
        connection = client.connection = Downstream(self, client)
        last = b"" if client.last is None else b"%b%d" % (client.key.encode(), client.last)
        client.dropped = 0
        asked = cast("Inquiry", Asked(self.stream, client.key, connection, last))
        client.task = self.loop.create_task(self.answer(asked, client, connection))

    async def answer(self, asked: Inquiry, client: Client, connection: Downstream) -> None:
        try:
            await self.sharing.answer(asked, Account(), client.key)
        except UpstreamError:
            connection.close()
        except asyncio.CancelledError:
            assert connection.downstream is None or connection.downstream.finished, "who has gone is a member"
            raise

    def disconnect(self, client: Client) -> None:
        def lose() -> None:
            if client.connection is not None and client.connection.open:
                client.connection.lose()
            if client.task is not None and not client.task.done():
                client.task.cancel()

        self.at_once(lose)

    def at_once(self, do: Callable[[], None]) -> None:
        """Do it, and nobody else gets to run."""

        async def doing() -> None:
            do()

        self.loop.run_until_complete(doing())

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        try:
            self.everybody_gets_everything()
            self.nothing_is_left()
        finally:
            self.patch.undo()
            self.clock.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                self.loop.run_until_complete(self.clock)
            self.loop.close()

    def everybody_gets_everything(self) -> None:
        self.upstream.down = False
        for client in self.clients:
            client.stalled = False
        self.run(40.0)
        for client in self.clients:
            self.connect(client)
        for seconds in (10.0, 1.0):
            self.run(seconds)
            for key in KEYS:
                self.upstream.say(key)
        self.run(1.0)
        for client in self.clients:
            assert client.connected, "a client that reads was sent away"
            assert client.last == self.upstream.said[client.key], "a client has not got the last event"

    def nothing_is_left(self) -> None:
        for client in self.clients:
            self.disconnect(client)
        self.run(20.0)
        assert not self.exchanging.members
        assert len(self.sharing.streams) == 0
        assert not self.sharing.streams.leads
        assert not self.upstream.connections
        assert not self.sockets.open
        assert len(self.deadlines) == 0
        assert asyncio.all_tasks(self.loop) == {self.clock}


class TestSharedStreams(SharedStreamModel.TestCase):  # type: ignore[misc]
    """Some hundreds of steps."""

    settings = settings(max_examples=50, stateful_step_count=40, deadline=None)


@pytest.mark.soak
class TestSharedStreamsAtLength(SharedStreamModel.TestCase):  # type: ignore[misc]
    """Very many."""

    settings = settings(max_examples=3000, stateful_step_count=60, deadline=None, derandomize=False)
