"""A config entry, ready to serve: targets taken apart, plan made, endpoints balanced."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from sse_proxy.access_log import member
from sse_proxy.config import (
    CREDENTIALS_SLOT,
    Api,
    ApiSecrets,
    GatewayConfig,
    Stream,
    Timeouts,
    Unavailable,
    Upstream,
)
from sse_proxy.cors import Cors
from sse_proxy.errors import TargetError, TlsSettingsError
from sse_proxy.field_changes import FieldChanges, field_changes
from sse_proxy.in_parts import Parts
from sse_proxy.limits.admission import Admission
from sse_proxy.metrics import ApiCounts, Counts
from sse_proxy.observations import Observations
from sse_proxy.plans import Plan, plan_for
from sse_proxy.plans.passwords import Passwords
from sse_proxy.router import Router
from sse_proxy.stream import pace
from sse_proxy.stream.shared import without_ids
from sse_proxy.upstream import usage
from sse_proxy.upstream.credentials import credential_changes, with_credentials
from sse_proxy.upstream.endpoints import Endpoints
from sse_proxy.upstream.pool import Origin, origin_of
from sse_proxy.upstream.probes import Probed
from sse_proxy.upstream.reach import DIRECT, Reach, reach_of
from sse_proxy.upstream.target import Target, parse

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """What a request needs once it is known whose it is. A stream keeps the one it started with."""

    api: Api
    unavailable: Unavailable | None
    plan: Plan
    endpoints: Endpoints
    counts: ApiCounts
    observations: Observations
    usage: usage.Usage
    reach: Reach
    pace: pace.Pace
    request_changes: FieldChanges
    response_changes: FieldChanges
    cors: Cors | None
    admission: Admission
    log_members: str
    """What the access log says of the API."""

    # Of the API, what every request asks for: a model's field takes ten times as long to read.
    key: str
    stream: Stream
    timeouts: Timeouts
    upstream: Upstream
    keep_for: float
    """Seconds for which a connection is kept after an exchange."""
    session_header: bytes | None
    request_body: int | None
    """Bytes that a request's body may have."""

    @property
    def hostnames(self) -> tuple[str, ...]:
        return self.api.hostnames

    @property
    def context_path(self) -> str:
        return self.api.context_path


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """Everything that one config means for requests. Swapped as a whole."""

    routes: dict[str, Route]
    router: Router[Route]
    complete: bool
    """False until one whole config is there: what is not found then is not known to be missing."""

    def origins(self) -> set[Origin]:
        """Every target's, with the way to it."""
        return {origin_of(each.target, route.reach) for route in self.routes.values() for each in route.endpoints}

    def probed(self) -> Iterator[Probed]:
        """The endpoints that are to be probed."""
        for route in self.routes.values():
            if (check := route.api.health_check.active) is not None and route.unavailable is None:
                for endpoint in route.endpoints:
                    yield Probed(endpoint, check, route.api, list(route.request_changes.added), route.reach)


EMPTY = RoutingTable({}, Router(), complete=False)


def build(
    config: GatewayConfig,
    before: RoutingTable,
    counts: Counts,
    passwords: Passwords,
    now: Callable[[], float],
    *,
    complete: bool,
) -> Parts[RoutingTable]:
    """The table of a config. Routes of entries that are as before stay the same objects, with their turns. `now` is a
    monotonic clock in seconds."""
    routes: dict[str, Route] = {}
    for api in config.apis:
        yield
        known = before.routes.get(api.key)
        unchanged = known is not None and known.api == api
        if known is None or not unchanged:
            known = _route(api, known, config.secrets, counts, passwords, now)
        routes[api.key] = known
    return RoutingTable(routes, Router(routes.values()), complete)


def _route(
    api: Api,
    before: Route | None,
    secrets: Mapping[str, ApiSecrets],
    counts: Counts,
    passwords: Passwords,
    now: Callable[[], float],
) -> Route:
    observations = before.observations if before is not None else Observations(api.key)
    if before is not None and before.api.upstream.max_connections != api.upstream.max_connections:
        observations.withdraw(usage.REASON)
    if before is not None and before.api.stream.replay != api.stream.replay:
        observations.withdraw(without_ids.REASON)
    if before is not None and before.api.timeouts.idle == api.timeouts.idle:
        own_pace = before.pace
    else:
        observations.withdraw(pace.REASON)
        own_pace = pace.Pace(api.timeouts.idle, observations)
    unavailable = api.unavailable
    needed = secrets.get(api.secrets) if api.secrets is not None else None
    if api.secrets is not None and needed is None:
        unavailable = unavailable or Unavailable(reason="SecretsNotLoaded", message="The API lacks its secrets.")
    slots = needed.values if needed is not None else {}
    credentials, credentials_value = api.upstream.credentials, slots.get(CREDENTIALS_SLOT, "")
    targets: list[Target] = []
    try:
        targets = [with_credentials(parse(endpoint.url), credentials, credentials_value) for endpoint in api.endpoints]
    except TargetError:
        unavailable = unavailable or Unavailable(reason="InvalidTarget", message="The API's target cannot be used.")
    reach = DIRECT
    try:
        reach = reach_of(api.upstream, slots)
    except TlsSettingsError as error:
        _log.error("%s: %s", api.key, error)
        unavailable = unavailable or Unavailable(reason="InvalidTls", message="The API's certificates are faulty.")
    known = before.endpoints if before is not None else None
    session_header = api.load_balancing.session_header
    endpoints = counts.api(api.key).endpoints = Endpoints(api, targets, known, observations, now)
    return Route(
        api,
        unavailable,
        plan_for(api.plan, slots, passwords),
        endpoints,
        counts.api(api.key),
        observations,
        before.usage if before is not None else usage.Usage(counts.api(api.key), observations),
        reach,
        own_pace,
        request_changes=field_changes(api.request_headers).then(credential_changes(credentials, credentials_value)),
        response_changes=field_changes(api.response_headers),
        cors=Cors(api.cors) if api.cors is not None else None,
        admission=Admission(api.limits, before.admission if before is not None else None),
        log_members=member("api", api.key) + member("version", api.version),
        key=api.key,
        stream=api.stream,
        timeouts=api.timeouts,
        upstream=api.upstream,
        keep_for=_keep_for(api.upstream),
        session_header=session_header.encode() if session_header is not None else None,
        request_body=api.limits.request_body,
    )


def _keep_for(upstream: Upstream) -> float:
    if not upstream.keep_alive:
        return 0.0
    return math.inf if upstream.keep_alive_timeout is None else upstream.keep_alive_timeout
