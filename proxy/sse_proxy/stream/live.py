"""The exchanges that are under way: for draining, and for the admin port."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Ending(Protocol):
    """What can be brought to an end."""

    finished: asyncio.Future[None]

    def drain(self, start: float, by: float) -> None: ...


E = TypeVar("E", bound=Ending)


class LiveExchanges(Generic[E]):
    """A set of exchanges that knows how to empty itself."""

    def __init__(self) -> None:
        self._live: set[E] = set()
        self._draining: tuple[float, float] | None = None

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

    async def drain(self, now: float, period: float) -> None:
        """End all of them within `period` seconds, spread over its first half so that clients do not come back at
        once. Returns when none is left, at the latest when the period is over."""
        spread = period / 2
        self._draining = (now + spread, now + period)
        live = list(self)
        for index, exchange in enumerate(live):
            exchange.drain(now + spread * index / len(live), now + period)
        deadline = asyncio.get_running_loop().time() + period
        while self._live and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(
                [exchange.finished for exchange in self], timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
            # The exchange's task takes itself out in the loop's next turn.
            await asyncio.sleep(0)
