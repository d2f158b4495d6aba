"""Upstream's failure, told within the stream: for clients that see no status any more, such as EventSource.

The event has a name of its own, so that no listener for `message` takes it for one of upstream's, and no id, so that a
client that comes back resumes where it was. Its data is a problem (RFC 9457) in one line. It says what is missing is
missing; the connection is broken off behind it all the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from sse_proxy.problem import Problem
from sse_proxy.stream.close import CloseReason
from sse_proxy.stream.framing import chunk

EVENT = b"gateway-error"

_PROBLEMS = {
    CloseReason.UPSTREAM_ERROR: Problem(502, "UpstreamBroke"),
    CloseReason.IDLE_TIMEOUT: Problem(504, "IdleTimeout"),
    CloseReason.STREAM_TIMEOUT: Problem(504, "StreamTimeout"),
    CloseReason.EVENT_TOO_LARGE: Problem(502, "EventTooLarge"),
}


def failure_chunk(problem: Problem) -> bytes:
    """The event about a problem, as a chunk."""
    return chunk(b"event: %b\ndata: %b\n\n" % (EVENT, problem.body().rstrip()))


FAILURE_CHUNKS: Mapping[CloseReason, bytes] = {reason: failure_chunk(problem) for reason, problem in _PROBLEMS.items()}
"""For each end that is upstream's fault: the event as a chunk. It may stand at an event boundary, between two chunks of
a 200 of unencoded text/event-stream."""
