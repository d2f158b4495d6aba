"""What the proxy saw of an API that works but will hurt. The operator reads it at `/config` and warns in the status.

An observation is told once, with the figures of the moment when it was made, and stands until it was not made again
for some time or the setting that it is about has changed. So its text does not change with every request, and neither
does the status that carries it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_log = logging.getLogger(__name__)

MOST_TOLD = 256
"""Observations in one answer of the admin port; an operator reads a bounded answer."""


@dataclass(slots=True)
class _Observation:
    message: str
    until: float


class Observations:
    """Those of one API. Times are seconds on one monotonic clock."""

    __slots__ = ("_made", "api")

    def __init__(self, api: str) -> None:
        self.api = api
        """`namespace/name`."""
        self._made: dict[str, _Observation] = {}

    def make(self, reason: str, message: str, now: float, *, stands: float) -> None:
        """Something was seen at `now`: a CamelCase `reason`, a sentence. It stands for so many seconds more; one that
        stands already keeps its text."""
        known = self._made.get(reason)
        if known is not None and now < known.until:
            known.until = now + stands
            return
        self._made[reason] = _Observation(message, now + stands)
        _log.warning("%s: %s: %s", self.api, reason, message)

    def withdraw(self, reason: str) -> None:
        """What it is about has changed."""
        self._made.pop(reason, None)

    def standing(self, now: float) -> Iterator[tuple[str, str]]:
        """Reason and message of each that stands at `now`."""
        for reason, observation in list(self._made.items()):
            if now < observation.until:
                yield reason, observation.message
            else:
                del self._made[reason]


def view(observations: Iterable[Observations], now: float) -> list[dict[str, str]]:
    """What `/config` shows of them: ordered by API, so that what is cut off is always the same."""
    told = [
        {"api": each.api, "reason": reason, "message": message}
        for each in sorted(observations, key=lambda each: each.api)
        for reason, message in each.standing(now)
    ]
    return told[:MOST_TOLD]
