"""How an entry's streams are kept alive and ended."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sse_proxy.contract.model import ConfigModel, Seconds

NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
OnDrain = Literal["Close", "Reconnect", "Finish"]


class Shared(ConfigModel):
    """How one upstream connection serves many clients."""

    grace_period: NonNegative = 5.0
    """For which it is kept without a client."""
    max_age: Seconds | None = 3600.0
    """After which those who come get another one."""
    reconnect_for: NonNegative = 60.0
    """For which upstream is asked again and again when it is lost."""
    ignored_headers: tuple[str, ...] = ()
    """Lower-case names of request fields in which clients may differ, beside those of the proxy's own list."""


class SlowConsumer(ConfigModel):
    """What becomes of a client of a shared stream that takes its events too slowly."""

    policy: Literal["Disconnect", "DropOldest"] = "Disconnect"
    buffer: Annotated[int, Field(ge=1)] = 262_144
    """Bytes that may wait for one client."""


class Replay(ConfigModel):
    """What of a shared stream is kept for clients that come back."""

    events: Annotated[int, Field(ge=1)] = 1000
    max_age: Seconds | None = 300.0
    bytes: Annotated[int, Field(ge=1)] = 1_048_576
    query_parameter: str | None = None
    """Where a client may say the last event's id, beside the header field Last-Event-ID."""
    on_miss: Literal["Live", "All", "Resync"] = "Live"
    """Where a client begins whose missed events cannot be told."""
    ids: Literal["Upstream", "Generate"] = "Upstream"
    """Whether events without an id get one."""


class OnClientDisconnect(ConfigModel):
    """What becomes of upstream's answer to a POST when its client goes away."""

    policy: Literal["Cancel", "Finish"] = "Cancel"
    max_duration: Seconds = 300.0
    """For which the rest is read, with `Finish`."""


class Stream(ConfigModel):
    """What the proxy does with event streams beyond relaying their bytes."""

    mode: Literal["Relay", "Shared"] = "Relay"
    shared: Shared = Shared()
    slow_consumer: SlowConsumer = SlowConsumer()
    replay: Replay | None = None
    """None: clients begin at what comes next."""
    heartbeat: Seconds | None = None
    """After so long a silence the client gets a comment, where one may stand; None: nothing is ever added."""
    heartbeat_before_response: Seconds | None = None
    """For so long a request that wants events alone may wait for upstream; then its response begins without. None: for
    ever."""
    close_on_removal: bool = True
    """Whether open streams end when the entry goes, or is suspended."""
    close_on_change: bool = False
    """Whether open streams end when the entry is not what they started with."""
    on_drain: OnDrain | None = None
    """How open streams end when the proxy is stopped. None: `Finish` after POST, else `Close`."""
    on_upstream_failure: Literal["Abort", "Event"] = "Abort"
    """Whether an event tells why, where upstream's fault ends a stream and one may stand; it is broken off anyway."""
    on_client_disconnect: OnClientDisconnect = OnClientDisconnect()
    event_size: Annotated[int, Field(ge=1)] | None = None
    """Bytes that an event may have. None: any number; of a shared stream those that the proxy can hold."""
