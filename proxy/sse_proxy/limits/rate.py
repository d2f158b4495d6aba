"""Token buckets, one float each: the generic cell rate algorithm (ITU-T I.371). No clock, no I/O.

A bucket is kept as the time at which it will be full again. A bucket that is full is as good as none, so that memory
is needed only for who asked of late.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from sse_proxy.config import Rate

K = TypeVar("K", bound=Hashable)

MOST_BUCKETS = 16_384
"""Buckets of one limit. Beyond, the one that was asked for longest ago is forgotten, which is to say full."""


class Buckets(Generic[K]):
    """One bucket for each key."""

    __slots__ = ("_burst", "_full_at", "_interval", "_most")

    def __init__(self, rate: Rate, most: int = MOST_BUCKETS) -> None:
        self._interval = rate.per / rate.requests
        self._burst = rate.burst * self._interval
        self._most = most
        self._full_at: dict[K, float] = {}
        """Least recently asked for first."""

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: K, now: float) -> float:
        """Take a token: 0.0. Where there is none, nothing is taken: the seconds until there is one."""
        full_at = max(self._full_at.pop(key, now), now) + self._interval
        wait = full_at - self._burst - now
        # A token that comes within a microsecond is there: clocks and sums of floats are not more exact.
        if wait > 1e-6:
            self._full_at[key] = full_at - self._interval
            return wait
        self._full_at[key] = full_at
        self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        while self._full_at:
            oldest = next(iter(self._full_at))
            if self._full_at[oldest] > now and len(self._full_at) <= self._most:
                return
            del self._full_at[oldest]
