"""How near the silences of an API's streams come to `timeouts.idle`. Pure: times are passed in.

The timeout is meant to be above the interval of upstream's keep-alive comments. It is too short where it ends streams,
or where bytes come so late that the next small delay would end them. Both are told of when they were seen `ENOUGH`
times, with the figures that were seen and no others. Evidence that is older than `_remembered` counts no more.
"""

from __future__ import annotations

import functools
import math

from sse_proxy.observations import Observations

REASON = "IdleTimeoutTooShort"

ENOUGH = 3

_NEAR = 0.9


@functools.cache
def near(idle: float | None) -> float:
    """From how many silent seconds on the timeout is within a tenth."""
    return math.inf if idle is None else _NEAR * idle


class Pace:
    """What was seen of one API's streams under one idle timeout, in seconds; None: there is none."""

    __slots__ = ("_ended", "_idle", "_last", "_longest", "_near", "_observations", "_remembered")

    def __init__(self, idle: float | None, observations: Observations) -> None:
        self._idle = idle or 0.0
        self._observations = observations
        self._remembered = max(3600.0, 20 * self._idle)
        self._ended = self._near = 0
        self._longest = 0.0
        self._last = float("-inf")

    def ended(self, now: float) -> None:
        """The timeout ended a stream."""
        self._renew(now)
        self._ended += 1
        if self._ended >= ENOUGH:
            self._make(f"timeouts.idle, which is {_told(self._idle)}, ended {ENOUGH} streams in a proxy", now)

    def paused(self, seconds: float, now: float) -> None:
        """A stream went on after so long a silence, within a tenth of the timeout."""
        self._renew(now)
        self._near += 1
        self._longest = max(self._longest, seconds)
        if self._near >= ENOUGH:
            self._make(
                f"Streams were silent for up to {_told(self._longest)} and then went on, {ENOUGH} times in a proxy: "
                f"that is within a tenth of timeouts.idle, {_told(self._idle)}",
                now,
            )

    def _make(self, seen: str, now: float) -> None:
        self._observations.make(
            REASON,
            f"{seen}. Set it above the interval at which the endpoint sends keep-alives.",
            now,
            stands=self._remembered,
        )

    def _renew(self, now: float) -> None:
        if now >= self._last + self._remembered:
            self._ended = self._near = 0
            self._longest = 0.0
        self._last = now


def _told(seconds: float) -> str:
    return f"{seconds:.1f}".removesuffix(".0") + "s"
