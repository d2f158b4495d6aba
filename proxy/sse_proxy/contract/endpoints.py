"""Which of an entry's endpoints a request goes to, and what is known of their health."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sse_proxy.contract.model import ConfigModel, Seconds


class Endpoint(ConfigModel):
    """One upstream address: an absolute http(s) URL, percent-encoded, whose query parameters are fixed."""

    name: str
    url: str
    weight: Annotated[int, Field(ge=0)] = 1
    secondary: bool = False
    """Whether it is for when no other endpoint is healthy."""


class HashOn(ConfigModel):
    """What of a request decides its endpoint: exactly one of these."""

    header: str | None = None
    query_parameter: str | None = None
    cookie: str | None = None
    client_address: Literal[True] | None = None

    @model_validator(mode="after")
    def _one(self) -> HashOn:
        given = (self.header, self.query_parameter, self.cookie, self.client_address)
        if sum(each is not None for each in given) != 1:
            raise ValueError("a request's endpoint is decided by exactly one thing")
        return self


class LoadBalancing(ConfigModel):
    """How endpoints take turns. All types but ConsistentHash, which weighs its choice, go by weight too."""

    type: Literal["RoundRobin", "Random", "LeastStreams", "ConsistentHash"] = "RoundRobin"
    consistent_hash: HashOn | None = None
    """With ConsistentHash only."""
    session_header: str | None = None
    """The lower-case name of the response field in which endpoints name the sessions that they make."""


class ActiveCheck(ConfigModel):
    """Probes of every endpoint."""

    type: Literal["Http", "Stream"] = "Http"
    """Http: the status is expected. Stream: an event stream's head arrives."""
    path: str | None = None
    """Path and query to ask for, in place of the target's own."""
    method: Literal["GET", "HEAD"] = "GET"
    expected_statuses: tuple[int, ...] = ()
    """None means 200 to 399; of no account for Stream, which wants 200."""
    interval: Seconds = 10.0
    timeout: Seconds = 5.0
    healthy_threshold: Annotated[int, Field(ge=1)] = 1
    """So many good probes in a row make an endpoint healthy again."""
    unhealthy_threshold: Annotated[int, Field(ge=1)] = 3
    """So many bad ones in a row make it unhealthy."""


class PassiveCheck(ConfigModel):
    """What requests themselves tell."""

    consecutive_failures: Annotated[int, Field(ge=1)] = 5
    """So many in a row take an endpoint out."""
    ejection_time: Seconds = 30.0
    """For so long; then the next request decides."""


class HealthCheck(ConfigModel):
    """How an endpoint's health is known."""

    active: ActiveCheck | None = None
    passive: PassiveCheck | None = None


class Failover(ConfigModel):
    """Other endpoints for a request that got no answer."""

    attempts: Annotated[int, Field(ge=1)] = 1
    """How many other endpoints are tried."""
