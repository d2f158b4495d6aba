"""Why an exchange ended: one word for the log, the metrics and the decision how the client's connection ends."""

from __future__ import annotations

from enum import StrEnum


class CloseReason(StrEnum):
    """Only `UPSTREAM_END` is clean. At every other the client's connection is broken, so that nobody takes the part
    that arrived for the whole."""

    UPSTREAM_END = "upstream_end"
    """Upstream ended its response."""
    CLIENT = "client"
    """The client went away."""
    UPSTREAM_ERROR = "upstream_error"
    """Upstream's connection or framing broke within the response."""
    IDLE_TIMEOUT = "idle_timeout"
    """No byte from upstream for `timeouts.idle`."""
    STREAM_TIMEOUT = "stream_timeout"
    """The response took longer than `timeouts.stream`."""
    WRITE_TIMEOUT = "write_timeout"
    """The client took no byte for `timeouts.write`."""
    SLOW_CONSUMER = "slow_consumer"
    """So much of a shared stream waited for the client as may."""
    FINISH_TIMEOUT = "finish_timeout"
    """Without its client, an answer took longer than `onClientDisconnect.maxDuration`: only in the log, as `rest`."""
    EVENT_TOO_LARGE = "event_too_large"
    """Upstream sent an event that is larger than `limits.eventSize`."""
    LIMIT = "limit"
    """The client sent more than a limit lets it, while its response was under way."""
    DRAIN = "drain"
    """The proxy is being stopped."""
    REVOKED = "revoked"
    """The credential that let the client in counts no more."""
    REMOVED = "removed"
    """The API was deleted or suspended."""
    CHANGED = "changed"
    """The API changed, and its streams are to start anew then."""
