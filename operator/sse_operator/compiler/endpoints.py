"""Where an entry's requests go: defaults filled in, durations in seconds."""

from __future__ import annotations

from sse_operator.api.endpoints import ActiveHealthCheckSpec, FailoverSpec, HealthCheckSpec, PassiveHealthCheckSpec
from sse_operator.api.fields import seconds_of
from sse_operator.api.sse_api import SseApiSpec
from sse_proxy.config import ActiveCheck, Endpoint, Failover, HashOn, HealthCheck, LoadBalancing, PassiveCheck

TARGET_NAME = "target"
"""The name of the one endpoint of an SseApi with `target`."""


def endpoints_of(spec: SseApiSpec) -> tuple[Endpoint, ...]:
    """The endpoints, in their order."""
    if spec.target is not None:
        return (Endpoint(name=TARGET_NAME, url=spec.target),)
    return tuple(
        Endpoint(
            name=endpoint.name,
            url=endpoint.target,
            weight=1 if endpoint.weight is None else endpoint.weight,
            secondary=bool(endpoint.secondary),
        )
        for endpoint in spec.endpoints or ()
    )


def load_balancing_of(spec: SseApiSpec) -> LoadBalancing:
    """How they take turns."""
    given = spec.load_balancing
    if given is None:
        return LoadBalancing()
    hashed, sessions = given.consistent_hash, given.session_persistence
    return LoadBalancing(
        type=given.type or "RoundRobin",
        consistent_hash=None
        if hashed is None
        else HashOn(
            header=hashed.header,
            query_parameter=hashed.query_parameter,
            cookie=hashed.cookie,
            client_address=True if hashed.client_address else None,
        ),
        session_header=sessions.header.lower() if sessions is not None else None,
    )


def health_check_of(spec: HealthCheckSpec | None) -> HealthCheck:
    """How their health is known."""
    spec = spec or HealthCheckSpec()
    return HealthCheck(
        active=_active(spec.active) if spec.active else None, passive=_passive(spec.passive) if spec.passive else None
    )


def _active(spec: ActiveHealthCheckSpec) -> ActiveCheck:
    return ActiveCheck(
        type=spec.type or "Http",
        path=spec.path,
        method=spec.method or "GET",
        expected_statuses=tuple(spec.expected_statuses or ()),
        interval=seconds_of(spec.interval or "10s"),
        timeout=seconds_of(spec.timeout or "5s"),
        healthy_threshold=spec.healthy_threshold or 1,
        unhealthy_threshold=spec.unhealthy_threshold or 3,
    )


def _passive(spec: PassiveHealthCheckSpec) -> PassiveCheck:
    return PassiveCheck(
        consecutive_failures=spec.consecutive_failures or 5, ejection_time=seconds_of(spec.ejection_time or "30s")
    )


def failover_of(spec: FailoverSpec | None) -> Failover | None:
    """What follows a failure."""
    return Failover(attempts=spec.attempts or 1) if spec else None
