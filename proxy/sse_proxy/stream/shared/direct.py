"""Writes of the same bytes to very many sockets, past the event loop's transports.

While a transport has nothing to write, its socket takes what it is written just as well from here, and of a client that
takes everything nothing else has to be looked at: not its transport, not its connection, not its own counts. So an
event costs one system call and little more for each client, one after the other.

What the callers keep to, since they and nobody else can:

- A client is in here only while nothing waits in its transport, so that nothing is overtaken. Whoever writes to the
  transport takes the client out, unless nothing waits there afterwards.
- A client is taken out at the latest when its connection is lost, of which the event loop tells before it closes the
  descriptor. Another connection may have the same one in the next moment.

Who does not take all of it, or whose connection turns out to be broken, is taken out and told: its transport deals with
what is left, and finds the same.

Each of these calls lets go of the interpreter's lock, and where another thread computes (the compiler, in
`sse-gateway run`) each may have to wait for it, the switch interval of 5 ms. So the time is looked at every few writes,
and when some of them have taken too long, nobody is written to directly for some time; the transports' own writes keep
the lock.
"""

from __future__ import annotations

import os
import time
from itertools import islice
from typing import Generic, Protocol, TypeVar

AT_ONCE = 4
"""Writes between two looks at the clock."""

LONG = 0.003
"""Seconds for so many that are some hundred times what they take."""

PATIENCE = 0.015
"""Seconds that may be lost so while everybody is written to once: another process may have had the core."""

REST = 0.5
"""Seconds without direct writes, once more was lost."""

write = os.write
now = time.monotonic


class Behind(Protocol):
    """A client."""

    def fell_behind(self, data: bytes, taken: int) -> None:
        """It is no longer written to directly: of `data` its socket has taken so many bytes, and nothing before is
        missing."""


C = TypeVar("C", bound=Behind)


class Direct(Generic[C]):
    """Who is written to directly, by the descriptor of its socket."""

    __slots__ = ("_clients", "_rests_until", "sent")

    def __init__(self) -> None:
        self._clients: dict[int, C] = {}
        self._rests_until = 0.0
        self.sent = 0
        """What was sent to everybody in here, as `send` was told to count it, from the beginning on: who comes in
        remembers it, and knows later what it was sent itself."""

    def __len__(self) -> int:
        return len(self._clients)

    def __contains__(self, descriptor: int) -> bool:
        return descriptor in self._clients

    def enter(self, descriptor: int, client: C) -> bool:
        """From now on `client` is written to directly, at this descriptor; False: not now."""
        if self._rests_until:
            if now() < self._rests_until:
                return False
            self._rests_until = 0.0
        self._clients[descriptor] = client
        return True

    def leave(self, descriptor: int) -> None:
        """Nothing is written to this descriptor any more."""
        self._clients.pop(descriptor, None)

    def send(self, data: bytes, size: int) -> None:
        """Write `data`, which counts as `size`, to everybody. Those who fall behind are told when all were written
        to."""
        behind: list[tuple[int, int]] = []
        length = len(data)
        clients = iter(self._clients)
        lost = 0.0
        before = now()
        while descriptors := tuple(islice(clients, AT_ONCE)):
            for descriptor in descriptors:
                try:
                    taken = write(descriptor, data)
                except OSError:
                    # That it takes nothing now, or is broken: which, its transport finds out.
                    taken = 0
                if taken != length:
                    behind.append((descriptor, taken))
            after = now()
            if after - before > LONG:
                lost += after - before
                if lost > PATIENCE:
                    self._rests_until = after + REST
                    behind.extend((descriptor, 0) for descriptor in clients)
                    break
            before = after
        self.sent += size
        told = [(self._clients.pop(descriptor), taken) for descriptor, taken in behind]
        for client, taken in told:
            client.fell_behind(data, taken)
