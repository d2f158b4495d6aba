"""Timeouts of very many streams without a timer for each, or for each event.

Time is cut into ticks. What has a deadline lies in the bucket of its tick and is looked at once, when that tick has
come; only then does it tell, from the bytes it has seen meanwhile, when to look next. So an event costs nothing here,
and a stream costs one look per timeout period. Deadlines that move closer are moved; those that move away need not be.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Protocol

_log = logging.getLogger(__name__)

TICK = 0.05
"""Seconds: how late a timeout may be noticed."""


class Timed(Protocol):
    """What can be watched by `Deadlines`."""

    due_tick: int | None
    """The tick it is to be looked at: of `Deadlines` alone; None at first."""

    def look(self, now: float) -> float | None:
        """Act on what is overdue at `now`; the time to look again, None for never."""


class Deadlines:
    """Buckets of what is due. `now` is a monotonic clock in seconds."""

    def __init__(self, now: Callable[[], float], tick: float = TICK) -> None:
        self.now = now
        self._tick = tick
        self._buckets: dict[int, set[Timed]] = {}
        self._passed = math.floor(now() / tick)
        self.coarse_now = now() + tick
        """The end of the tick under way: the time for what happens too often to ask for it."""

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def watch(self, item: Timed, at: float | None) -> None:
        """Look at `item` at the time `at`, instead of when it was to be looked at before; None: never."""
        self.forget(item)
        if at is not None:
            # Rounded up: a look before its time would find nothing overdue.
            due = item.due_tick = max(math.ceil(at / self._tick), self._passed + 1)
            self._buckets.setdefault(due, set()).add(item)

    def watch_by(self, item: Timed, at: float | None) -> None:
        """Look at `item` at the time `at`, or before where that is to be done already: this costs less than `watch`."""
        if at is not None and (item.due_tick is None or at < (item.due_tick - 1) * self._tick):
            self.watch(item, at)

    def forget(self, item: Timed) -> None:
        """Never look at `item` again."""
        due, item.due_tick = item.due_tick, None
        if due is not None:
            bucket = self._buckets.get(due)
            if bucket is not None:
                bucket.discard(item)
                if not bucket:
                    del self._buckets[due]

    def advance(self) -> None:
        """Look at everything whose time has come."""
        now = self.now()
        self.coarse_now = now + self._tick
        last, self._passed = self._passed, math.floor(now / self._tick)
        elapsed = self._passed - last
        due = (
            range(last + 1, self._passed + 1)
            if elapsed <= len(self._buckets)
            else sorted(tick for tick in self._buckets if tick <= self._passed)
        )
        for tick in due:
            for item in self._buckets.pop(tick, ()):
                item.due_tick = None
                try:
                    again = item.look(now)
                except Exception:
                    # One faulty item must not stop the clock of all others.
                    _log.exception("a deadline could not be handled")
                    again = now + 1
                if again is not None and item.due_tick is None:
                    self.watch(item, again)

    async def run(self) -> None:
        """Advance for ever."""
        while True:
            await asyncio.sleep(self._tick)
            self.advance()
