"""How event streams are kept alive and ended."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator

from sse_operator.api.fields import CEL_RULES, Duration, Rule, cel_of, ruled, seconds_of
from sse_operator.api.http import HEADER_NAME_RULES
from sse_operator.api.model import ApiModel
from sse_operator.api.replay import Bound, ReplaySpec

HEARTBEAT_MESSAGE = "heartbeat must be from 1s to 1h, or 0s for none"


HEARTBEAT_RULE: dict[str, JsonValue] = {
    "rule": "!has(self.heartbeat) || duration(self.heartbeat) == duration('0s') || "
    "(duration(self.heartbeat) >= duration('1s') && duration(self.heartbeat) <= duration('1h'))",
    "message": HEARTBEAT_MESSAGE,
}

BEFORE_RESPONSE_MESSAGE = "heartbeatBeforeResponse must be from 1s to 1h"
NOT_SHARED_MESSAGE = "heartbeatBeforeResponse does not go with mode: Shared"

SHARED_MESSAGE = "shared, slowConsumer and replay go with mode: Shared"

IGNORED_RULE = Rule(
    r"^(?i:authorization|cookie|proxy-authorization|host|origin)$",
    "must not be Authorization, Cookie, Host or Origin: streams of different ones are never shared",
    forbids=True,
)


def _heartbeat(value: str) -> str:
    seconds = seconds_of(value)
    if seconds and not 1 <= seconds <= 3600:
        raise ValueError(HEARTBEAT_MESSAGE)
    return value


def _before_response(value: str) -> str:
    if not 1 <= seconds_of(value) <= 3600:
        raise ValueError(BEFORE_RESPONSE_MESSAGE)
    return value


class StreamDefaults(ApiModel):
    """What holds for the event streams of every SseApi that says nothing else."""

    model_config = ConfigDict(json_schema_extra={CEL_RULES: [HEARTBEAT_RULE]})

    heartbeat: Annotated[Duration, AfterValidator(_heartbeat)] | None = None
    """After so long a silence the client gets the comment `:`, which no client takes for an event: only between two
    events of a text/event-stream that upstream sends in chunks. Default none (0s)."""
    close_on_removal: bool | None = None
    """Whether open streams end, between two events and within 5s, when the SseApi is deleted or suspended. Default
    true."""
    close_on_change: bool | None = None
    """Whether open streams end in the same way when the SseApi changes, so that clients come back to what holds now.
    Default false: they go on with what they started with."""
    on_drain: Literal["Close", "Reconnect", "Finish"] | None = None
    """How open streams end when a proxy stops. Close: broken off between two events. Reconnect: a clean end between
    two events, behind a `retry` of some seconds, for EventSource clients; answers to other methods than GET finish.
    Finish: they run to their own end, at most for the drain period. Default Finish for POST, Close for others."""


_IGNORED_RULES = (*HEADER_NAME_RULES, IGNORED_RULE)

IgnoredHeader = Annotated[
    str,
    Field(min_length=1, max_length=256, json_schema_extra=cel_of(_IGNORED_RULES, "header name")),
    AfterValidator(ruled(_IGNORED_RULES)),
]


class SharedSpec(ApiModel):
    """How one connection to upstream serves many clients."""

    grace_period: Duration | None = None
    """How long the connection is kept when its last client has gone. Default 5s."""
    max_age: Duration | None = None
    """How old a connection may be for clients to join it: those who come later are answered by upstream anew, since it
    judges only who asks it. 0s means any age. Default 1h."""
    reconnect_for: Duration | None = None
    """How long upstream is asked again when the connection is lost, before clients are told. Default 1m."""
    ignored_headers: Annotated[list[IgnoredHeader], Field(max_length=32)] | None = None
    """Request header fields in which clients may differ and yet share, beside those that never say anything of what is
    asked for. Default none."""


class SlowConsumerSpec(ApiModel):
    """What becomes of a client that takes the events of a shared stream too slowly."""

    policy: Literal["Disconnect", "DropOldest"] | None = None
    """Disconnect: its connection is broken off, behind whole events. DropOldest: the oldest events that wait for it are
    dropped, and a comment says how many. Default Disconnect."""
    buffer: Bound | None = None
    """Bytes of events that may wait for one client. Default 256Ki."""


MAX_DURATION_MESSAGE = "maxDuration must be from 1s to 24h"
FINISH_MESSAGE = "maxDuration goes with policy: Finish"


def _max_duration(value: str) -> str:
    if not 1 <= seconds_of(value) <= 86400:
        raise ValueError(MAX_DURATION_MESSAGE)
    return value


class OnClientDisconnectSpec(ApiModel):
    """What becomes of upstream's answer when its client goes away."""

    model_config = ConfigDict(
        json_schema_extra={
            CEL_RULES: [
                {
                    "rule": "!has(self.maxDuration) || (duration(self.maxDuration) >= duration('1s') && "
                    "duration(self.maxDuration) <= duration('24h'))",
                    "message": MAX_DURATION_MESSAGE,
                },
                {"rule": "!has(self.maxDuration) || self.policy == 'Finish'", "message": FINISH_MESSAGE},
            ]
        }
    )

    policy: Literal["Cancel", "Finish"]
    """Cancel: upstream's connection is closed at once. Finish: an answer to POST whose request upstream has got is read
    to its end and dropped, for accounting; others are cancelled."""
    max_duration: Annotated[Duration, AfterValidator(_max_duration)] | None = None
    """How long it is read for nobody; with Finish only. Default 5m."""

    @model_validator(mode="after")
    def _where_it_finishes(self) -> OnClientDisconnectSpec:
        if self.policy != "Finish" and self.max_duration is not None:
            raise ValueError(FINISH_MESSAGE)
        return self


class StreamSpec(StreamDefaults):
    """What happens to event streams, beyond relaying their bytes."""

    model_config = ConfigDict(
        json_schema_extra={
            CEL_RULES: [
                HEARTBEAT_RULE,
                {
                    "rule": "(has(self.mode) && self.mode == 'Shared') || "
                    "(!has(self.shared) && !has(self.slowConsumer) && !has(self.replay))",
                    "message": SHARED_MESSAGE,
                },
                {
                    "rule": "!has(self.heartbeatBeforeResponse) || "
                    "(duration(self.heartbeatBeforeResponse) >= duration('1s') && "
                    "duration(self.heartbeatBeforeResponse) <= duration('1h'))",
                    "message": BEFORE_RESPONSE_MESSAGE,
                },
                {
                    "rule": "!has(self.heartbeatBeforeResponse) || !has(self.mode) || self.mode != 'Shared'",
                    "message": NOT_SHARED_MESSAGE,
                },
            ]
        }
    )

    mode: Literal["Relay", "Shared"] | None = None
    """Relay: each client has a connection to upstream, and gets what it sends, byte for byte. Shared: GET requests that
    upstream could not tell apart share one, as far as its responses may be shared, and get whole events. Default
    Relay."""
    heartbeat_before_response: Annotated[Duration, AfterValidator(_before_response)] | None = None
    """For so long a GET or POST that accepts text/event-stream alone waits for upstream. Then the gateway begins the
    response without it, with heartbeats: an error, or an answer that is no event stream, is then an event and a break,
    and upstream's header fields are lost. Default for ever."""
    on_upstream_failure: Literal["Abort", "Event"] | None = None
    """What a client gets when upstream breaks an event stream off, or a timeout does. Abort: its connection breaks.
    Event: the event `gateway-error` with a JSON problem comes first, where one may stand; for clients such as
    EventSource, which see no more than the break. Default Abort."""
    on_client_disconnect: OnClientDisconnectSpec | None = None
    """What becomes of upstream's answer when its client goes away. Default Cancel."""
    shared: SharedSpec | None = None
    """How a connection is shared; with mode Shared only."""
    slow_consumer: SlowConsumerSpec | None = None
    """What becomes of clients that are too slow; with mode Shared only."""
    replay: ReplaySpec | None = None
    """What is kept for clients that come back; with mode Shared only. Default nothing."""

    @model_validator(mode="after")
    def _shared_where_used(self) -> StreamSpec:
        shared_only = (self.shared, self.slow_consumer, self.replay)
        if self.mode != "Shared" and any(each is not None for each in shared_only):
            raise ValueError(SHARED_MESSAGE)
        return self

    @model_validator(mode="after")
    def _nothing_early_where_shared(self) -> StreamSpec:
        if self.mode == "Shared" and self.heartbeat_before_response is not None:
            raise ValueError(NOT_SHARED_MESSAGE)
        return self
