"""The exchanges that are under way: for draining, and for the admin port."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Ending(Protocol):
    """What can be brought to an end."""

    def drain(self, start: float, by: float) -> None: ...


E = TypeVar("E", bound=Ending)


class LiveExchanges(Generic[E]):
    """A set of exchanges that knows how to empty itself."""

    def __init__(self) -> None:
        self._live: set[E] = set()
        self._draining: tuple[float, float] | None = None
        self._none_left = asyncio.Event()

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[E]:
        return iter(tuple(self._live))

    def add(self, exchange: E) -> None:
        """A new one. While draining, it is drained like the others."""
        self._live.add(exchange)
        if self._draining is not None:
            exchange.drain(*self._draining)

    def remove(self, exchange: E) -> None:
        """One that has ended."""
        self._live.discard(exchange)
        if not self._live:
            self._none_left.set()

    async def drain(self, now: float, period: float) -> None:
        """End all of them within `period` seconds, spread over its first half so that clients do not come back at
        once. Returns when none is left, at the latest when the period is over."""
        spread = period / 2
        self._draining = (now + spread, now + period)
        live = list(self)
        for index, exchange in enumerate(live):
            exchange.drain(now + spread * index / len(live), now + period)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(period):
                while self._live:
                    self._none_left.clear()
                    await self._none_left.wait()
