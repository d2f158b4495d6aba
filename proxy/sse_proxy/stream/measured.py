"""A relay of a stream whose events may not be larger than a limit.

Clients have limits of their own (64 KiB a line, 1 MiB an event), and ways of their own to lose a stream that goes over
them. Here it breaks off, behind whole events where what is too large comes in one piece, and log and metrics say why.
What is measured are the bytes from one event boundary to the next. Relays without a limit do nothing of this.
"""

from __future__ import annotations

import math

from sse_proxy.stream.boundary import EventBoundary
from sse_proxy.stream.close import CloseReason
from sse_proxy.stream.passage import MOST
from sse_proxy.stream.relay import Relay
from sse_proxy.upstream.response import ResponseHead


class EventMeasure:
    """Follows how much of an event has come. Sans-I/O."""

    __slots__ = ("_size", "most")

    def __init__(self, most: float) -> None:
        self.most = most
        """Bytes that may lie between two boundaries."""
        self._size = 0
        """Bytes since the last boundary."""

    def overrun(self, data: bytes, boundary: EventBoundary) -> int:
        """Follow `data`, which `boundary` has not been fed yet. How many bytes of it come before an event that is too
        large; -1: none is."""
        if self._size + len(data) <= self.most:
            end = len(data) if data.endswith(b"\n\n") else boundary.last_in(data)
            self._size = self._size + len(data) if end < 0 else len(data) - end
            return -1
        start = -self._size
        for end in boundary.all_in(data):
            if end - start > self.most:
                break
            start = end
        self._size = len(data) - start
        return max(start, 0) if self._size > self.most else -1


class MeasuredRelay(Relay):
    """A relay that breaks off at an event that is too large."""

    __slots__ = ("_measure",)

    def head_received(self, head: ResponseHead) -> None:
        self._measure = EventMeasure(self._settings.event_size or math.inf)
        super().head_received(head)

    def _open_passage(self) -> None:
        # What passes there is from boundary to boundary, so nothing of it need be measured if it cannot be too large.
        if self._measure.most >= MOST:
            super()._open_passage()

    def body_received(self, body: bytes, framed: bytes) -> None:
        end = self._measure.overrun(body, self._boundary) if self._boundary is not None else -1
        if end < 0 or self.reason is not None:
            super().body_received(body, framed)
            return
        # Where the client's framing stands is not where upstream's does.
        self._tells_failure = False
        if end:
            self._end_within(body[:end], CloseReason.EVENT_TOO_LARGE)
        else:
            self.end(CloseReason.EVENT_TOO_LARGE)
