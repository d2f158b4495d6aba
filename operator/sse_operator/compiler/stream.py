"""Event streams: the SseApi's word, then its gateway's defaults."""

from __future__ import annotations

from typing import TypeVar

from sse_operator.api.fields import seconds_of
from sse_operator.api.limits import bytes_of
from sse_operator.api.replay import ReplaySpec
from sse_operator.api.stream import OnClientDisconnectSpec, SharedSpec, SlowConsumerSpec, StreamDefaults, StreamSpec
from sse_proxy.config import OnClientDisconnect, Replay, Shared, SlowConsumer, Stream

T = TypeVar("T")

NONE = StreamSpec()


def stream_of(own: StreamSpec | None, defaults: StreamDefaults | None, *, event_size: int | None) -> Stream:
    """What becomes of one API's event streams; `event_size` is how many bytes an event of theirs may have."""
    own, defaults = own or NONE, defaults or NONE
    return Stream(
        heartbeat=seconds_of(_first(own.heartbeat, defaults.heartbeat, "0s")) or None,
        heartbeat_before_response=seconds_of(own.heartbeat_before_response) if own.heartbeat_before_response else None,
        mode=own.mode or "Relay",
        shared=_shared(own.shared or SharedSpec()),
        slow_consumer=_slow_consumer(own.slow_consumer or SlowConsumerSpec()),
        replay=_replay(own.replay) if own.replay is not None else None,
        close_on_removal=_first(own.close_on_removal, defaults.close_on_removal, True),
        close_on_change=_first(own.close_on_change, defaults.close_on_change, False),
        on_drain=own.on_drain or defaults.on_drain,
        on_upstream_failure=own.on_upstream_failure or "Abort",
        on_client_disconnect=_on_client_disconnect(own.on_client_disconnect),
        event_size=event_size,
    )


def _on_client_disconnect(spec: OnClientDisconnectSpec | None) -> OnClientDisconnect:
    if spec is None or spec.policy == "Cancel":
        return OnClientDisconnect()
    return OnClientDisconnect(policy="Finish", max_duration=seconds_of(spec.max_duration or "5m"))


def _shared(spec: SharedSpec) -> Shared:
    return Shared(
        grace_period=seconds_of(spec.grace_period or "5s"),
        max_age=seconds_of(spec.max_age or "1h") or None,
        reconnect_for=seconds_of(spec.reconnect_for or "1m"),
        ignored_headers=tuple(sorted({name.lower() for name in spec.ignored_headers or ()})),
    )


def _slow_consumer(spec: SlowConsumerSpec) -> SlowConsumer:
    return SlowConsumer(policy=spec.policy or "Disconnect", buffer=bytes_of(spec.buffer or "256Ki"))


def _replay(spec: ReplaySpec) -> Replay:
    return Replay(
        events=spec.events or 1000,
        max_age=seconds_of(spec.max_age or "5m") or None,
        bytes=bytes_of(spec.bytes or "1Mi"),
        query_parameter=spec.query_parameter,
        on_miss=spec.on_miss or "Live",
        ids=spec.ids or "Upstream",
    )


def _first(own: T | None, default: T | None, otherwise: T) -> T:
    if own is not None:
        return own
    return otherwise if default is None else default
