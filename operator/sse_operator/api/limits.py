"""How much a client may ask for. Each proxy replica counts for itself."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from sse_operator.api.fields import CEL_RULES, Duration, Rule, cel_of, ruled, seconds_of
from sse_operator.api.model import ApiModel

Count = Annotated[int, Field(ge=0, le=1_000_000)]

SIZE_RULES = (
    Rule(r"^(0|[1-9][0-9]{0,6})(Ki|Mi|Gi)?$", "must be a size in bytes, such as 65536, 64Ki or 10Mi; 0 means no limit"),
)

_UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def _as_string(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"must be a string such as '{value}'")
    return value


Size = Annotated[
    str,
    Field(min_length=1, max_length=9, json_schema_extra=cel_of(SIZE_RULES, "size")),
    BeforeValidator(_as_string),
    AfterValidator(ruled(SIZE_RULES)),
]
"""A size in bytes, as Kubernetes writes it."""


def bytes_of(size: str) -> int:
    """The bytes of a `Size`."""
    unit = _UNITS.get(size[-2:])
    return int(size[:-2]) * unit if unit else int(size)


PER_MESSAGE = "must be above 0s and at most 1h"


class RequestRateSpec(ApiModel):
    """A token bucket: it holds `burst` tokens, a request takes one, and `requests` come back within `per`."""

    model_config = ConfigDict(
        json_schema_extra={
            CEL_RULES: [
                {
                    "rule": "!has(self.per) || "
                    "(duration(self.per) > duration('0s') && duration(self.per) <= duration('1h'))",
                    "message": f"per {PER_MESSAGE}",
                }
            ]
        }
    )

    requests: Count
    """How many requests within that time; 0 means no limit."""
    per: Duration | None = None
    """Within which time, at most 1h. Default 1s."""
    burst: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """How many requests may come at once after a rest. Default: as many as requests."""

    @model_validator(mode="after")
    def _per_is_a_time(self) -> RequestRateSpec:
        if self.per is not None and not 0 < seconds_of(self.per) <= 3600:
            raise ValueError(f"per {PER_MESSAGE}")
        return self


class LimitsSpec(ApiModel):
    """What clients may ask of one API. Each proxy replica counts for itself; 0 means no limit."""

    streams: Count | None = None
    """Streams and other requests under way at once. Beyond: 429. Default none."""
    streams_per_client_address: Count | None = None
    """The same for one client address; of IPv6 the first 64 bits count. Beyond: 429. Default none."""
    streams_per_consumer: Count | None = None
    """The same for one consumer, whom the plan names; Keyless names nobody. Beyond: 429. Default none."""
    request_rate: RequestRateSpec | None = None
    """How fast requests may come, all clients together. Beyond: 429. Default none."""
    request_rate_per_client_address: RequestRateSpec | None = None
    """How fast requests may come from one client address; of IPv6 the first 64 bits count. Beyond: 429. Default
    none."""
    request_body_size: Size | None = None
    """Bytes of a request's body. Beyond: 413. Default none."""
    event_size: Size | None = None
    """Bytes of one event of an event stream that upstream does not compress, for clients that take no larger ones.
    Beyond: the stream is broken off. Default none; with stream.mode Shared 1Mi."""


class GatewayLimitsSpec(ApiModel):
    """What clients may ask of the gateway as a whole. Each proxy replica counts for itself."""

    streams: Count | None = None
    """Streams and other requests under way at once, of all APIs; 0 means no limit. Beyond: 429. Default none."""
    streams_per_client_address: Count | None = None
    """The same for one client address; of IPv6 the first 64 bits count. Beyond: 429. Default none."""
    request_target_size: Annotated[int, Field(ge=1024, le=1_048_576)] | None = None
    """Bytes of the request line: method, path and query. Beyond: 414. Default 16384."""
    request_headers: Annotated[int, Field(ge=16, le=1000)] | None = None
    """Number of header fields. Beyond: 431. Default 128."""
    request_head_size: Annotated[int, Field(ge=1024, le=1_048_576)] | None = None
    """Bytes of the request line and all header fields together. Beyond: 431. Default 65536."""
