"""A client that takes nothing of what waits for it: `timeouts.write`. Pure: times and counts are passed in."""

from __future__ import annotations

from sse_proxy.stream.deadlines import TICK


class Stall:
    """Follows one client. `patience` is in seconds, None for any length."""

    __slots__ = ("_patience", "_taken", "since")

    def __init__(self, patience: float | None) -> None:
        self._patience = patience
        self._taken = 0
        self.since: float | None = None
        """Since when the client is not known to have taken a byte; None: nothing is known to wait for it."""

    def begin(self, now: float, taken: int) -> float | None:
        """Bytes wait, behind `taken` that the client took. When to look next, where that is news; None: it is none, or
        patience is endless."""
        if self.since is not None or self._patience is None:
            return None
        self.since, self._taken = now, taken
        return self.next_look(now)

    def next_look(self, now: float) -> float | None:
        """When to look again; None: never."""
        if self._patience is None:
            return None
        return now + (self._patience if self.since is None else max(TICK, self._patience / 20))

    def is_over(self, now: float, taken: int, unsent: int) -> bool:
        """Whether patience is: the client has taken `taken` bytes by now, and `unsent` wait."""
        if self._patience is None:
            return False
        if not unsent:
            self.since = None
            return False
        if self.since is None or taken > self._taken:
            self.since, self._taken = now, taken
        return now >= self.since + self._patience
