"""Several upstream addresses of one SseApi: whose turn it is, how their health is known, what follows a failure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from sse_operator.api.credentials import ParameterName
from sse_operator.api.fields import CEL_RULES, LabelName, Period, Rule, Target, cel_of, first_repeated, ruled
from sse_operator.api.http import HEADER_NAME_RULES
from sse_operator.api.model import ApiModel


class EndpointSpec(ApiModel):
    """One of several upstream addresses."""

    name: LabelName
    """Name of the endpoint, unique within the SseApi; shown in status, metrics and logs."""
    target: Target
    """URL of the endpoint, http or https. Its query parameters are fixed: a client adds others, it never replaces
    one."""
    weight: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Share of the requests relative to the other endpoints'; 0 takes it out, but for sessions that it has. Default
    1."""
    secondary: bool | None = None
    """True keeps it for when none of the others is healthy. Default false."""


PRIMARY_MESSAGE = "must have an endpoint that is not secondary and whose weight is not 0"


def _reachable(endpoints: list[EndpointSpec]) -> list[EndpointSpec]:
    repeated = first_repeated([endpoint.name for endpoint in endpoints])
    if repeated is not None:
        raise ValueError(f"must not have two endpoints of the name {repeated!r}")
    if all(endpoint.weight == 0 or endpoint.secondary for endpoint in endpoints):
        raise ValueError(PRIMARY_MESSAGE)
    return endpoints


Endpoints = Annotated[
    list[EndpointSpec],
    Field(
        min_length=1,
        max_length=32,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            CEL_RULES: [
                {
                    "rule": "self.exists(e, (!has(e.weight) || e.weight > 0) && (!has(e.secondary) || !e.secondary))",
                    "message": PRIMARY_MESSAGE,
                }
            ],
        },
    ),
    AfterValidator(_reachable),
]


HEADER_RULES = (Rule(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", "must be a header field's or a cookie's name"),)

FieldName = Annotated[
    str,
    Field(min_length=1, max_length=256, json_schema_extra=cel_of(HEADER_RULES, "name")),
    AfterValidator(ruled(HEADER_RULES)),
]

ONLY_TRUE_MESSAGE = "must be true; leave it out otherwise"


def _only_true(value: bool) -> bool:
    if not value:
        raise ValueError(ONLY_TRUE_MESSAGE)
    return value


OnlyTrue = Annotated[
    bool,
    Field(json_schema_extra={CEL_RULES: [{"rule": "self", "message": ONLY_TRUE_MESSAGE}]}),
    AfterValidator(_only_true),
]

HASH_MESSAGE = "needs exactly one of header, queryParameter, cookie and clientAddress"


class ConsistentHashSpec(ApiModel):
    """What of a request decides its endpoint. A request that lacks it takes turns."""

    model_config = ConfigDict(
        json_schema_extra={
            CEL_RULES: [
                {
                    "rule": "[has(self.header), has(self.queryParameter), has(self.cookie), has(self.clientAddress)]"
                    ".filter(given, given).size() == 1",
                    "message": HASH_MESSAGE,
                }
            ]
        }
    )

    header: FieldName | None = None
    """Name of a header field."""
    query_parameter: ParameterName | None = None
    """Name of a query parameter."""
    cookie: FieldName | None = None
    """Name of a cookie."""
    client_address: OnlyTrue | None = None
    """True for the client's address."""

    @model_validator(mode="after")
    def _exactly_one(self) -> ConsistentHashSpec:
        if [self.header, self.query_parameter, self.cookie, self.client_address].count(None) != 3:
            raise ValueError(HASH_MESSAGE)
        return self


HASH_TYPE_MESSAGE = "consistentHash goes with type: ConsistentHash, and this needs it"


SESSION_HEADER_RULES = (
    *HEADER_NAME_RULES,
    Rule(
        r"^(?i:set-cookie)$",
        "must not be Set-Cookie: a cookie that an endpoint sets is more than its value",
        forbids=True,
    ),
)

SessionHeader = Annotated[
    str,
    Field(min_length=1, max_length=256, json_schema_extra=cel_of(SESSION_HEADER_RULES, "header name")),
    AfterValidator(ruled(SESSION_HEADER_RULES)),
]


class SessionPersistenceSpec(ApiModel):
    """Keeps a session at the endpoint that made it, whichever proxy its requests come to."""

    header: SessionHeader
    """Name of the header field in which the endpoint's response names the session and the client's later requests do,
    such as Mcp-Session-Id. On its way to the client the name gets a mark of the endpoint at its end, which the endpoint
    never sees."""


class LoadBalancingSpec(ApiModel):
    """Which endpoint a request goes to."""

    model_config = ConfigDict(
        json_schema_extra={
            CEL_RULES: [
                {
                    "rule": "(has(self.type) && self.type == 'ConsistentHash') == has(self.consistentHash)",
                    "message": HASH_TYPE_MESSAGE,
                }
            ]
        }
    )

    type: Literal["RoundRobin", "Random", "LeastStreams", "ConsistentHash"] | None = None
    """All honour weights. RoundRobin: in turn. Random: any. LeastStreams: the one with the fewest open streams, as this
    proxy sees it. ConsistentHash: the same one for the same value, in every proxy. Default RoundRobin."""
    consistent_hash: ConsistentHashSpec | None = None
    """What of a request decides its endpoint; with ConsistentHash only."""
    session_persistence: SessionPersistenceSpec | None = None
    """Sessions that endpoints make stay where they were made; type is for requests without one. Default none."""

    @model_validator(mode="after")
    def _hash_where_used(self) -> LoadBalancingSpec:
        if (self.type == "ConsistentHash") != (self.consistent_hash is not None):
            raise ValueError(HASH_TYPE_MESSAGE)
        return self


PROBE_PATH_RULES = (
    Rule(r"^/", "must start with /"),
    Rule(
        r"^([A-Za-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f][0-9A-Fa-f])*$",
        "must be a percent-encoded path, perhaps with a query: no blanks, no fragment",
    ),
)

ProbePath = Annotated[
    str,
    Field(min_length=1, max_length=1024, json_schema_extra=cel_of(PROBE_PATH_RULES, "path")),
    AfterValidator(ruled(PROBE_PATH_RULES)),
]

STREAM_PROBE_MESSAGE = "method and expectedStatuses go with type: Http"


def _statuses(statuses: list[int]) -> list[int]:
    repeated = first_repeated([str(status) for status in statuses])
    if repeated is not None:
        raise ValueError(f"must not have the status {repeated} twice")
    return statuses


class ActiveHealthCheckSpec(ApiModel):
    """Probes of every endpoint, by every proxy."""

    model_config = ConfigDict(
        json_schema_extra={
            CEL_RULES: [
                {
                    "rule": "!has(self.type) || self.type == 'Http' || "
                    "(!has(self.method) && !has(self.expectedStatuses))",
                    "message": STREAM_PROBE_MESSAGE,
                }
            ]
        }
    )

    type: Literal["Http", "Stream"] | None = None
    """Http: the endpoint answers with an expected status. Stream: it answers with the head of an event stream, which is
    closed at once. Default Http."""
    path: ProbePath | None = None
    """Path, perhaps with a query, to ask for at the endpoint. Default the target's own."""
    method: Literal["GET", "HEAD"] | None = None
    """Default GET."""
    expected_statuses: (
        Annotated[
            list[Annotated[int, Field(ge=200, le=599)]],
            Field(min_length=1, max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"}),
            AfterValidator(_statuses),
        ]
        | None
    ) = None
    """Statuses that a healthy endpoint answers with. Default 200 to 399."""
    interval: Period | None = None
    """Between two probes. Default 10s."""
    timeout: Period | None = None
    """For a probe, from its connection to the response head. Default 5s."""
    healthy_threshold: Annotated[int, Field(ge=1, le=100)] | None = None
    """So many good probes in a row make an endpoint healthy again. Default 1."""
    unhealthy_threshold: Annotated[int, Field(ge=1, le=100)] | None = None
    """So many bad probes in a row make it unhealthy. Default 3."""

    @model_validator(mode="after")
    def _http_only(self) -> ActiveHealthCheckSpec:
        if self.type == "Stream" and (self.method is not None or self.expected_statuses is not None):
            raise ValueError(STREAM_PROBE_MESSAGE)
        return self


class PassiveHealthCheckSpec(ApiModel):
    """What requests themselves tell: no answer, or one of the statuses 502, 503 and 504, is a failure."""

    consecutive_failures: Annotated[int, Field(ge=1, le=1000)] | None = None
    """So many failures in a row take an endpoint out. Default 5."""
    ejection_time: Period | None = None
    """For so long; then the next request decides. Default 30s."""


class HealthCheckSpec(ApiModel):
    """How the health of endpoints is known. Where none is healthy, requests go to them as if all were."""

    active: ActiveHealthCheckSpec | None = None
    """Probes. Default none."""
    passive: PassiveHealthCheckSpec | None = None
    """What requests tell. Default of no account."""


class FailoverSpec(ApiModel):
    """Another endpoint for a request that got no answer: before the response head only, and only for a request that can
    be made once more. One that was sent already must be idempotent, with no body or one of at most 64 KiB."""

    attempts: Annotated[int, Field(ge=1, le=31)] | None = None
    """How many other endpoints are tried. Default 1."""
