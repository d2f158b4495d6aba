"""SseApi: one proxied endpoint. The only kind that most people write."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from sse_operator.api.conditions import Conditions, Moment
from sse_operator.api.cors import CorsSpec
from sse_operator.api.endpoints import Endpoints, FailoverSpec, HealthCheckSpec, LoadBalancingSpec
from sse_operator.api.fields import (
    CEL_RULES,
    ContextPath,
    Duration,
    Hostname,
    LabelName,
    ObjectName,
    Target,
    Version,
    unique,
)
from sse_operator.api.http import RequestSpec, ResponseSpec
from sse_operator.api.limits import LimitsSpec
from sse_operator.api.model import ApiModel
from sse_operator.api.plan import PlanSpec
from sse_operator.api.stream import StreamSpec
from sse_operator.api.upstream import UpstreamSpec

KIND = "SseApi"
PLURAL = "sseapis"


class GatewayRef(ApiModel):
    """The gateway to attach to."""

    name: ObjectName = "default"
    """Name of the SseGateway."""
    namespace: LabelName | None = None
    """Namespace of the SseGateway; the SseApi's own where it is not given. Another one only where the gateway's
    allowedNamespaces lets it."""


class TimeoutsSpec(ApiModel):
    """Limits of a stream, as Gateway API durations; 0s means none."""

    connect: Duration | None = None
    """To a connection with upstream, TLS included. Default 5s."""
    response: Duration | None = None
    """From the sent request to upstream's response head. Default 2m."""
    idle: Duration | None = None
    """Between any two bytes from upstream; keep it above the endpoint's keep-alive interval. Stands still while
    the client holds upstream back. Default 1h."""
    stream: Duration | None = None
    """For the whole stream. Default none (0s)."""
    write: Duration | None = None
    """For a client that takes no byte although some wait for it. Default 1m."""


ONE_TARGET_MESSAGE = "needs exactly one of target and endpoints"
SESSION_MESSAGE = (
    "loadBalancing.sessionPersistence and stream.mode Shared exclude each other: a session is one client's"
)


class SseApiSpec(ApiModel):
    """What to publish, where, and from which target."""

    model_config = ConfigDict(
        json_schema_extra={
            CEL_RULES: [
                {"rule": "has(self.target) != has(self.endpoints)", "message": ONE_TARGET_MESSAGE},
                {
                    "rule": "!(has(self.loadBalancing) && has(self.loadBalancing.sessionPersistence)"
                    " && has(self.stream) && has(self.stream.mode) && self.stream.mode == 'Shared')",
                    "message": SESSION_MESSAGE,
                },
            ]
        }
    )

    version: Version | None = None
    """The API's own version, shown in status, metrics and logs."""
    gateway_ref: GatewayRef | None = None
    """The gateway to attach to. Default: the gateway `default` of the SseApi's own namespace, made when it is
    missing."""
    hostnames: (
        Annotated[
            list[Hostname],
            Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"}),
            AfterValidator(unique("host name")),
        ]
        | None
    ) = None
    """Host names that the API answers to: exact, or *.suffix. None means any."""
    context_path: ContextPath
    """Where clients reach the API on the gateway. A trailing / is dropped."""
    target: Target | None = None
    """URL of the endpoint, http or https. Its query parameters are fixed: a client adds others, it never replaces
    one."""
    endpoints: Endpoints | None = None
    """Several addresses of the same endpoint, instead of target."""
    load_balancing: LoadBalancingSpec | None = None
    """Which endpoint a request goes to. Default RoundRobin."""
    health_check: HealthCheckSpec | None = None
    """How the health of endpoints is known. Default not at all."""
    failover: FailoverSpec | None = None
    """Another endpoint for a request that got no answer. Default none."""
    timeouts: TimeoutsSpec | None = None
    """Limits of a stream. What is not given comes from the gateway's defaults."""
    upstream: UpstreamSpec | None = None
    """How connections to upstream are made and kept."""
    plan: PlanSpec | None = None
    """Who may connect. Default Keyless."""
    request: RequestSpec | None = None
    """What changes in requests on their way to the target."""
    response: ResponseSpec | None = None
    """What changes in the target's responses on their way to the client; the gateway's own answers stay as they
    are."""
    cors: CorsSpec | None = None
    """Which web pages of other origins may read the API. Without it, what the target says of CORS passes as it came;
    with it, the gateway alone speaks, on its own answers too."""
    limits: LimitsSpec | None = None
    """What clients may ask of the API. What is not given comes from the gateway's defaults."""
    stream: StreamSpec | None = None
    """How event streams are kept alive. What is not given comes from the gateway's defaults."""
    suspend: bool | None = None
    """True answers 503 with Retry-After and keeps the object and its context-path."""

    @model_validator(mode="after")
    def _one_target(self) -> SseApiSpec:
        if (self.target is None) == (self.endpoints is None):
            raise ValueError(ONE_TARGET_MESSAGE)
        return self

    @model_validator(mode="after")
    def _sessions_not_shared(self) -> SseApiSpec:
        sessions = self.load_balancing is not None and self.load_balancing.session_persistence is not None
        if sessions and self.stream is not None and self.stream.mode == "Shared":
            raise ValueError(SESSION_MESSAGE)
        return self


class Claim(ApiModel):
    """Which context-path the SseApi holds, and since when: who held it first keeps it."""

    gateway: str
    """namespace/name of the gateway."""
    context_path: str
    """The context-path held."""
    hostnames: list[str] = []
    """The host names it is held on; none means any host."""
    since: Moment
    """Since when, RFC 3339."""


class Warned(ApiModel):
    """Something that works but will hurt."""

    reason: str
    """CamelCase word for machines."""
    message: str
    """What was seen, and what to do about it."""


class SseApiStatus(ApiModel):
    """What became of the SseApi."""

    observed_generation: int | None = None
    """The metadata.generation that this status is about; -1 before anybody looked."""
    conditions: Conditions = []
    """Accepted, ResolvedRefs, Programmed, Ready; Reconciling, Stalled and Warning where they are true."""
    gateway: str | None = None
    """namespace/name of the gateway that serves it."""
    urls: list[str] = []
    """What to curl."""
    version: str | None = None
    """The API's own version that is being served."""
    claim: Claim | None = None
    """The context-path that it holds."""
    warnings: list[Warned] = []
    """All warnings; the Warning condition sums them up."""
