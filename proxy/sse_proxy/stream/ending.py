"""When the gateway itself ends a response that is under way."""

from __future__ import annotations

from dataclasses import dataclass

from sse_proxy.stream.close import CloseReason


@dataclass(frozen=True, slots=True)
class Ending:
    """A response ends at the first event boundary after `start`, or at `by` wherever it is then; what has no event
    boundaries ends at `by`. Times are seconds of one monotonic clock."""

    start: float
    by: float
    reason: CloseReason
    streams_only: bool = False
    """Whether what is no event stream may run to its own end."""
