"""How much clients may ask for. Each proxy counts for itself; None means no limit."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sse_proxy.contract.model import ConfigModel, Seconds

Count = Annotated[int, Field(ge=1)]


class Rate(ConfigModel):
    """A token bucket of `burst` tokens, to which `requests` come back within `per` seconds."""

    requests: Count
    per: Seconds
    burst: Count


class Limits(ConfigModel):
    """What clients may ask of one API."""

    streams: Count | None = None
    """Streams and other requests under way at once."""
    streams_per_client_address: Count | None = None
    streams_per_consumer: Count | None = None
    """Of one consumer whom the plan names."""
    request_rate: Rate | None = None
    request_rate_per_client_address: Rate | None = None
    request_body: Count | None = None
    """Bytes of a request's body."""


class GatewayLimits(ConfigModel):
    """What clients may ask of all of them. What is None of a request's head has the proxy's default."""

    streams: Count | None = None
    streams_per_client_address: Count | None = None
    request_line: Count | None = None
    """Bytes of the request line."""
    header_fields: Count | None = None
    request_head: Count | None = None
    """Bytes of the request line and all header fields."""
