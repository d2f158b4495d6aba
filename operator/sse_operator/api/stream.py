"""How event streams are kept alive and ended."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict

from sse_operator.api.fields import CEL_RULES, Duration, seconds_of
from sse_operator.api.model import ApiModel

HEARTBEAT_MESSAGE = "heartbeat must be from 1s to 1h, or 0s for none"


def _heartbeat(value: str) -> str:
    seconds = seconds_of(value)
    if seconds and not 1 <= seconds <= 3600:
        raise ValueError(HEARTBEAT_MESSAGE)
    return value


class StreamDefaults(ApiModel):
    """What holds for the event streams of every SseApi that says nothing else."""

    model_config = ConfigDict(
        json_schema_extra={
            CEL_RULES: [
                {
                    "rule": "!has(self.heartbeat) || duration(self.heartbeat) == duration('0s') || "
                    "(duration(self.heartbeat) >= duration('1s') && duration(self.heartbeat) <= duration('1h'))",
                    "message": HEARTBEAT_MESSAGE,
                }
            ]
        }
    )

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


class StreamSpec(StreamDefaults):
    """What happens to event streams, beyond relaying their bytes."""
