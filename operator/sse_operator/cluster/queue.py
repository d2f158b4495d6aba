"""A queue of keys to work on, and the workers that empty it.

- A key waits at most once, however often it is added; added while it is worked on, it is worked on once more after.
- One key is never worked on twice at the same time.
- A key that failed comes back after a pause that doubles with each failure in a row.
- A key that comes again and again is spaced (`Pace`), so that one run does for several of its reasons.

`Schedule` holds the rules and takes the time as an argument; `WorkQueue` runs it on the event loop. Both hold at most
one entry per key, so what bounds the keys (the gateways in the cluster) bounds them.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class Pace:
    """How often one key may be worked on: so many times in a row without a pause, then every `interval` seconds. For
    each interval in which it was not, there is one more without a pause."""

    burst: int
    interval: float


@dataclass
class Schedule:
    """When each key is due. All times are seconds on one monotonic clock."""

    pace: Pace
    first_pause: float = FIRST_PAUSE
    longest_pause: float = LONGEST_PAUSE
    _due: dict[str, float] = field(default_factory=dict)
    _heap: list[tuple[float, str]] = field(default_factory=list)
    _active: dict[str, float] = field(default_factory=dict)
    """Keys that are worked on → since when."""
    _again: dict[str, float] = field(default_factory=dict)
    """Active keys → when to work on them once more."""
    _failures: dict[str, int] = field(default_factory=dict)
    _rested: dict[str, float] = field(default_factory=dict)
    """Keys that were worked on of late → when nothing of that counts any more (the generic cell rate algorithm, ITU-T
    I.371)."""

    def add(self, key: str, due: float) -> None:
        """Have `key` worked on at `due` or as soon as its pace lets it, or earlier if that is planned already."""
        if key in self._active:
            self._again[key] = min(due, self._again.get(key, due))
            return
        if key in self._rested:
            due = max(due, self._rested[key] - (self.pace.burst - 1) * self.pace.interval)
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            heapq.heappush(self._heap, (due, key))

    def take(self, now: float) -> str | None:
        """The key that is due longest, now active until `done`; None where none is due."""
        while self._heap and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                self._active[key] = now
                self._count(key, now)
                return key
        return None

    def _count(self, key: str, now: float) -> None:
        self._rested[key] = max(now, self._rested.pop(key, now)) + self.pace.interval
        while self._rested and self._rested[oldest := next(iter(self._rested))] <= now:
            del self._rested[oldest]

    def next_due(self) -> float | None:
        """When `take` will have a key; None where none waits."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def done(self, key: str, now: float, *, failed: bool = False, pause: float | None = None) -> None:
        """The work on an active key has ended. A failed key comes back after its pause, or after `pause` seconds if
        that is longer; what came in meanwhile does not shorten it."""
        del self._active[key]
        again = self._again.pop(key, None)
        if not failed:
            self._failures.pop(key, None)
            if again is not None:
                self.add(key, again)
            return
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        backoff = min(self.first_pause * 2 ** min(failures - 1, 30), self.longest_pause)
        self.add(key, now + max(backoff, pause or 0.0))

    def waiting(self, now: float) -> int:
        """How many keys are due and wait for a worker."""
        return sum(due <= now for due in self._due.values())

    def longest_active(self, now: float) -> float:
        """For how many seconds the slowest active key has been worked on; 0 where none is."""
        return max((now - since for since in self._active.values()), default=0.0)


class WorkFailedError(Exception):
    """What the work raises to have its key back later. `pause` is the least pause in seconds, if it matters."""

    def __init__(self, message: str, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


class WorkQueue:
    """Runs `work(key)` for each key that is due, on a number of workers."""

    def __init__(self, work: Callable[[str], Awaitable[None]], *, workers: int, pace: Pace) -> None:
        self._work = work
        self._workers = workers
        self._schedule = Schedule(pace)
        self._changed = asyncio.Event()

    def add(self, key: str, delay: float = 0.0) -> None:
        """Have `key` worked on in `delay` seconds at the latest."""
        self._schedule.add(key, self._now() + delay)
        self._changed.set()

    def waiting(self) -> int:
        """How many keys are due and wait for a worker."""
        return self._schedule.waiting(self._now())

    def longest_active(self) -> float:
        """For how many seconds the slowest worker has been at its key."""
        return self._schedule.longest_active(self._now())

    async def run(self) -> None:
        """Work until cancelled, or until `work` raises anything else than WorkFailedError."""
        async with asyncio.TaskGroup() as group:
            idle = asyncio.Semaphore(self._workers)
            while True:
                await idle.acquire()
                group.create_task(self._work_on(await self._next(), idle))

    async def _next(self) -> str:
        while True:
            self._changed.clear()
            if (key := self._schedule.take(self._now())) is not None:
                return key
            due = self._schedule.next_due()
            try:
                async with asyncio.timeout_at(due):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _work_on(self, key: str, idle: asyncio.Semaphore) -> None:
        try:
            await self._work(key)
        except WorkFailedError as failure:
            self._schedule.done(key, self._now(), failed=True, pause=failure.pause)
        else:
            self._schedule.done(key, self._now())
        self._changed.set()
        idle.release()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
