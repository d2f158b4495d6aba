"""Which endpoint the next request goes to: smooth weighted round-robin. Pure state, no clock, no randomness.

Smooth means that weights 5, 1, 1 give a a b a c a a rather than a a a a a b c, so that no endpoint gets a burst
(the algorithm is nginx's).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class RoundRobin(Generic[T]):
    """Turns over items by weight; an item of weight 0 gets no turn."""

    def __init__(self, weighted: Sequence[tuple[T, int]]) -> None:
        self._items = [item for item, weight in weighted if weight > 0]
        self._weights = [weight for _, weight in weighted if weight > 0]
        self._total = sum(self._weights)
        self._current = [0] * len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def next(self) -> T | None:
        """The item whose turn it is; None where there is none with a weight."""
        if len(self._items) < 2:
            return self._items[0] if self._items else None
        current = self._current
        for index, weight in enumerate(self._weights):
            current[index] += weight
        best = max(range(len(current)), key=current.__getitem__)
        current[best] -= self._total
        return self._items[best]
