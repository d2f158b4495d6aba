"""Event streams: the SseApi's word, then its gateway's defaults."""

from __future__ import annotations

from sse_operator.api.fields import seconds_of
from sse_operator.api.stream import StreamDefaults, StreamSpec
from sse_proxy.config import Stream

NONE = StreamSpec()


def stream_of(own: StreamSpec | None, defaults: StreamDefaults | None) -> Stream:
    """What becomes of one API's event streams."""
    own, defaults = own or NONE, defaults or NONE
    heartbeat = own.heartbeat if own.heartbeat is not None else defaults.heartbeat
    return Stream(heartbeat=(seconds_of(heartbeat) or None) if heartbeat is not None else None)
