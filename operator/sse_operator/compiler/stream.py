"""Event streams: the SseApi's word, then its gateway's defaults."""

from __future__ import annotations

from typing import TypeVar

from sse_operator.api.fields import seconds_of
from sse_operator.api.stream import StreamDefaults, StreamSpec
from sse_proxy.config import Stream

T = TypeVar("T")

NONE = StreamSpec()


def stream_of(own: StreamSpec | None, defaults: StreamDefaults | None) -> Stream:
    """What becomes of one API's event streams."""
    own, defaults = own or NONE, defaults or NONE
    return Stream(
        heartbeat=seconds_of(_first(own.heartbeat, defaults.heartbeat, "0s")) or None,
        close_on_removal=_first(own.close_on_removal, defaults.close_on_removal, True),
        close_on_change=_first(own.close_on_change, defaults.close_on_change, False),
        on_drain=own.on_drain or defaults.on_drain,
    )


def _first(own: T | None, default: T | None, otherwise: T) -> T:
    if own is not None:
        return own
    return otherwise if default is None else default
