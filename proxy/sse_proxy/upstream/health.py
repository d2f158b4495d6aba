"""One endpoint's health. Pure: the clock is passed in.

Two things take an endpoint out, each by itself. Probes: so many bad ones in a row, until so many good ones in a row.
Requests: so many failures in a row eject it for a time; then the next request decides, so that one more failure ejects
it again. What counts as a failure of a request is no answer at all, or one of the statuses by which a server or a
gateway in front of it says that it cannot serve (502, 503, 504).
"""

from __future__ import annotations

from collections.abc import Callable

from sse_proxy.config import HealthCheck

FAILED_STATUSES = frozenset((502, 503, 504))


class Health:
    """Healthy until the opposite was seen. `now` is a monotonic clock in seconds."""

    __slots__ = ("_bad", "_check", "_ejected_until", "_failures", "_good", "_now", "_probed_out", "cause")

    def __init__(self, check: HealthCheck, now: Callable[[], float]) -> None:
        self._check = check
        self._now = now
        self._good = self._bad = self._failures = 0
        self._probed_out = False
        self._ejected_until = float("-inf")
        self.cause = ""
        """Why it was taken out the last time."""

    @property
    def healthy(self) -> bool:
        """Whether requests should go there."""
        return not self._probed_out and self._now() >= self._ejected_until

    @property
    def out_until(self) -> float:
        """When it comes back by itself; infinity where only a probe can bring it back."""
        return float("inf") if self._probed_out else self._ejected_until

    def probed(self, cause: str | None) -> bool:
        """The outcome of a probe: None, or what was wrong. Whether it changed the verdict."""
        active = self._check.active
        if active is None:
            return False
        if cause is None:
            self._bad, self._good = 0, self._good + 1
            if self._probed_out and self._good >= active.healthy_threshold:
                self._probed_out = False
                return True
        else:
            self._good, self._bad = 0, self._bad + 1
            if not self._probed_out and self._bad >= active.unhealthy_threshold:
                self._probed_out, self.cause = True, cause
                return True
        return False

    def answered(self, status: int) -> bool:
        """A request got a response head. Whether it took the endpoint out."""
        if status in FAILED_STATUSES:
            return self.failed(f"status {status}")
        self._failures = 0
        return False

    def failed(self, cause: str) -> bool:
        """A request got no answer. Whether it took the endpoint out."""
        passive = self._check.passive
        if passive is None:
            return False
        self._failures += 1
        now = self._now()
        if self._failures < passive.consecutive_failures or now < self._ejected_until:
            return False
        self._ejected_until, self.cause = now + passive.ejection_time, cause
        return True
