"""When the gateway itself ends a response that is under way."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sse_proxy.config import OnDrain
from sse_proxy.stream.close import CloseReason
from sse_proxy.stream.framing import LAST_CHUNK, chunk


@dataclass(frozen=True, slots=True)
class Ending:
    """A response ends at the first event boundary after `start`, or at `by` wherever it is then; what has no event
    boundaries ends at `by`. Times are seconds of one monotonic clock."""

    start: float
    by: float
    reason: CloseReason
    streams_only: bool = False
    """Whether what is no event stream may run to its own end."""
    reconnect: bool = False
    """Whether an event stream ends cleanly, by `parting`, where it can; EventSource comes back."""


def of_drain(on_drain: OnDrain | None, method: bytes, start: float, by: float) -> Ending:
    """The end of an answer to `method` when the proxy is drained, its turn coming at `start`."""
    if on_drain is None:
        on_drain = "Finish" if method == b"POST" else "Close"
    if on_drain == "Reconnect" and method != b"GET":
        # Nobody sends such a request again by itself, and its client takes a clean end for completeness.
        on_drain = "Finish"
    return Ending(by if on_drain == "Finish" else start, by, CloseReason.DRAIN, reconnect=on_drain == "Reconnect")


RETRY_MILLISECONDS = (1000, 5000)
"""How long clients wait before they come back: any time between, so that they do not come at once."""


def parting() -> bytes:
    """The last chunks of a stream whose client is to come back (WHATWG HTML, 9.2.6, on `retry`)."""
    least, most = RETRY_MILLISECONDS
    return chunk(b"retry: %d\n\n" % (least + secrets.randbelow(most - least))) + LAST_CHUNK
