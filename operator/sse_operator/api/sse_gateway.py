"""SseGateway: one data plane, a Deployment of proxies that serves all SseApis attached to it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from sse_operator.api.conditions import Conditions
from sse_operator.api.exposure import HttpRouteSpec, IngressSpec, ServiceSpec
from sse_operator.api.fields import CEL_RULES, Duration, unique
from sse_operator.api.gateway_tls import GatewayTlsSpec
from sse_operator.api.limits import GatewayLimitsSpec, LimitsSpec
from sse_operator.api.model import ApiModel
from sse_operator.api.networks import Network
from sse_operator.api.proxies import AutoscalingSpec, PodTemplateSpec, ResourcesSpec
from sse_operator.api.sse_api import TimeoutsSpec
from sse_operator.api.stream import StreamDefaults

KIND = "SseGateway"
PLURAL = "ssegateways"


VALUES_MESSAGE = "values go with In and NotIn, and these need some"


class LabelSelectorRequirement(ApiModel):
    """One requirement of a label selector (Kubernetes LabelSelector)."""

    model_config = ConfigDict(
        json_schema_extra={
            CEL_RULES: [
                {
                    "rule": "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                    "message": VALUES_MESSAGE,
                }
            ]
        }
    )

    key: Annotated[str, Field(min_length=1, max_length=317)]
    """Label key."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How the values count."""
    values: Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=64)] | None = None
    """Values for In and NotIn."""

    @model_validator(mode="after")
    def _values_where_used(self) -> LabelSelectorRequirement:
        if (self.operator in ("In", "NotIn")) != bool(self.values):
            raise ValueError(VALUES_MESSAGE)
        return self


class LabelSelector(ApiModel):
    """A Kubernetes label selector; all of it must match."""

    match_labels: Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=64)] | None = None
    """Labels that must be there with these values."""
    match_expressions: Annotated[list[LabelSelectorRequirement], Field(max_length=64)] | None = None
    """Requirements that must hold."""


SELECTOR_MESSAGE = "selector goes with from: Selector, and from: Selector needs one"


class AllowedNamespaces(ApiModel):
    """From which namespaces SseApis may attach."""

    model_config = ConfigDict(
        json_schema_extra={
            CEL_RULES: [
                {
                    "rule": "(has(self.from) && self.from == 'Selector') == has(self.selector)",
                    "message": SELECTOR_MESSAGE,
                }
            ]
        }
    )

    from_: Annotated[Literal["Same", "All", "Selector"], Field(alias="from")] = "Same"
    """Same: the gateway's own; All: any; Selector: those whose labels match the selector."""
    selector: LabelSelector | None = None
    """Selects namespaces by their labels; with Selector only."""

    @model_validator(mode="after")
    def _selector_where_used(self) -> AllowedNamespaces:
        if (self.from_ == "Selector") != (self.selector is not None):
            raise ValueError(SELECTOR_MESSAGE)
        return self


class GatewayDefaults(ApiModel):
    """What the gateway's SseApis get where they say nothing."""

    timeouts: TimeoutsSpec | None = None
    """Default timeouts."""
    limits: LimitsSpec | None = None
    """Default limits, for each SseApi on its own."""
    stream: StreamDefaults | None = None
    """Defaults of event streams."""


class Drain(ApiModel):
    """How proxy pods end."""

    period: Duration | None = None
    """How long a stopping pod may take to end its streams. Default 30s."""


REPLICAS_MESSAGE = "has either replicas or autoscaling"
PREFACE_MESSAGE = "proxyProtocol and tls exclude each other: let the load balancer end TLS, or leave its header out"
TLS_PORT_MESSAGE = "with tls, port 443 of the Service is taken: let service.port be another"


class SseGatewaySpec(ApiModel):
    """How the proxies run, and who may attach."""

    model_config = ConfigDict(
        json_schema_extra={
            CEL_RULES: [
                {"rule": "!(has(self.replicas) && has(self.autoscaling))", "message": REPLICAS_MESSAGE},
                {
                    "rule": "!(has(self.tls) && has(self.proxyProtocol) && self.proxyProtocol)",
                    "message": PREFACE_MESSAGE,
                },
                {
                    "rule": "!(has(self.tls) && has(self.service) && has(self.service.port)"
                    " && self.service.port == 443)",
                    "message": TLS_PORT_MESSAGE,
                },
            ]
        }
    )

    replicas: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Number of proxy pods. Default 1, or what autoscaling sets."""
    autoscaling: AutoscalingSpec | None = None
    """An autoscaler instead of a fixed number. Default: none."""
    resources: ResourcesSpec | None = None
    """Compute resources of the proxy container."""
    pod_template: PodTemplateSpec | None = None
    """What is added to the proxy pods' template."""
    allowed_namespaces: AllowedNamespaces | None = None
    """From which namespaces SseApis may attach. Default: the gateway's own."""
    allow_nested_context_paths: bool | None = None
    """Whether a context-path may lie under or above one of another namespace. Default false."""
    defaults: GatewayDefaults | None = None
    """What the gateway's SseApis get where they say nothing."""
    limits: GatewayLimitsSpec | None = None
    """What clients may ask of all SseApis together, and how large a request's head may be."""
    drain: Drain | None = None
    """How proxy pods end."""
    trusted_proxies: (
        Annotated[
            list[Network],
            Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "set"}),
            AfterValidator(unique("network")),
        ]
        | None
    ) = None
    """Networks of the proxies in front of the gateway, whose X-Forwarded-For, -Proto, -Host and -Port are believed.
    Default none: what a client says of itself there is dropped."""
    proxy_protocol: bool | None = None
    """Whether every connection begins with a PROXY protocol header (version 1 or 2), as a load balancer sends it;
    connections without one, or with trustedProxies from elsewhere, are refused. Default false."""
    tls: GatewayTlsSpec | None = None
    """TLS on port 443 of the Service, besides the port without. Default: none."""
    service: ServiceSpec | None = None
    """The Service in front of the proxies."""
    ingress: IngressSpec | None = None
    """An Ingress in front of the Service. Default: none."""
    http_route: HttpRouteSpec | None = None
    """An HTTPRoute to the Service. Default: none."""

    @model_validator(mode="after")
    def _one_number(self) -> SseGatewaySpec:
        if self.replicas is not None and self.autoscaling is not None:
            raise ValueError(REPLICAS_MESSAGE)
        return self

    @model_validator(mode="after")
    def _room_for_tls(self) -> SseGatewaySpec:
        if self.tls is not None and self.proxy_protocol:
            raise ValueError(PREFACE_MESSAGE)
        if self.tls is not None and self.service is not None and self.service.port == 443:
            raise ValueError(TLS_PORT_MESSAGE)
        return self


class SseGatewayStatus(ApiModel):
    """What became of the SseGateway."""

    observed_generation: int | None = None
    """The metadata.generation that this status is about; -1 before anybody looked."""
    conditions: Conditions = []
    """Accepted, ResolvedRefs, Programmed, Ready; Reconciling and Stalled where they are true."""
    revision: int | None = None
    """The newest revision of its config."""
    attached: int | None = None
    """How many SseApis are attached."""
    ready_replicas: int | None = None
    """How many proxy pods are ready."""
    address: str | None = None
    """Where the gateway is reached."""
