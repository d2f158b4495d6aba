"""How clients outside the cluster reach a gateway: its Service, an Ingress, an HTTPRoute."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from sse_operator.api.fields import CEL_RULES, Hostname, LabelName, ObjectName
from sse_operator.api.model import ApiModel

Annotations = Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=64)]
"""Annotations of a Kubernetes object. Their keys are for the API server to judge: a structural schema cannot."""

Port = Annotated[int, Field(ge=1, le=65535)]

OUTSIDE_MESSAGE = "externalTrafficPolicy and nodePort go with type NodePort and LoadBalancer"
BALANCED_MESSAGE = "loadBalancerClass and loadBalancerSourceRanges go with type LoadBalancer"


class ServiceSpec(ApiModel):
    """The gateway's Service."""

    model_config = ConfigDict(
        json_schema_extra={
            CEL_RULES: [
                {
                    "rule": "!(has(self.externalTrafficPolicy) || has(self.nodePort))"
                    " || (has(self.type) && self.type != 'ClusterIP')",
                    "message": OUTSIDE_MESSAGE,
                },
                {
                    "rule": "!(has(self.loadBalancerClass) || has(self.loadBalancerSourceRanges))"
                    " || (has(self.type) && self.type == 'LoadBalancer')",
                    "message": BALANCED_MESSAGE,
                },
            ]
        }
    )

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] | None = None
    """From where it is reached. Default ClusterIP."""
    annotations: Annotations | None = None
    """Annotations, such as those of a cloud's load balancer."""
    port: Port | None = None
    """Port of the Service. Default 80."""
    node_port: Port | None = None
    """Port on each node. Default: the cluster's choice."""
    load_balancer_class: Annotated[str, Field(min_length=1, max_length=317)] | None = None
    """Which load balancer implementation serves it. Default: the cluster's."""
    load_balancer_source_ranges: (
        Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(max_length=64)] | None
    ) = None
    """Networks that may connect, in CIDR notation. Default: any."""
    external_traffic_policy: Literal["Cluster", "Local"] | None = None
    """Local keeps the client's address and only uses nodes that have a proxy. Default Cluster."""

    @model_validator(mode="after")
    def _where_used(self) -> ServiceSpec:
        if (self.external_traffic_policy or self.node_port) and self.type not in ("NodePort", "LoadBalancer"):
            raise ValueError(OUTSIDE_MESSAGE)
        if (self.load_balancer_class or self.load_balancer_source_ranges is not None) and self.type != "LoadBalancer":
            raise ValueError(BALANCED_MESSAGE)
        return self


Controller = Literal["nginx", "traefik", "haproxy", "contour", "kong"]
"""Ingress controllers whose annotations for streams are known: see `resources.ingress`."""


class IngressTls(ApiModel):
    """TLS at the Ingress."""

    secret_name: ObjectName
    """Secret of type kubernetes.io/tls in the gateway's namespace, for all hosts."""


class IngressSpec(ApiModel):
    """An Ingress in front of the gateway."""

    class_name: ObjectName | None = None
    """IngressClass. Default: the cluster's."""
    controller: Controller | None = None
    """The controller behind the class: adds the annotations that it needs so that streams are neither buffered nor
    cut."""
    hosts: Annotated[
        list[Hostname], Field(min_length=1, max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"})
    ]
    """Host names that are led to the gateway."""
    tls: IngressTls | None = None
    """TLS at the Ingress. Default: none."""
    annotations: Annotations | None = None
    """Further annotations; they win over the controller's."""


class ParentRef(ApiModel):
    """A Gateway (gateway.networking.k8s.io) that serves the route."""

    name: ObjectName
    """Name of the Gateway."""
    namespace: LabelName | None = None
    """Namespace of the Gateway. Default: the SseGateway's own."""
    section_name: ObjectName | None = None
    """Listener of the Gateway. Default: all that fit."""
    port: Port | None = None
    """Port of the listener. Default: any."""


class HttpRouteSpec(ApiModel):
    """An HTTPRoute of the Gateway API to the gateway, without time limits of its own."""

    parent_refs: Annotated[list[ParentRef], Field(min_length=1, max_length=32)]
    """The Gateways that serve it."""
    hostnames: (
        Annotated[list[Hostname], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"})] | None
    ) = None
    """Host names that are led to the gateway. Default: those of the listeners."""
    annotations: Annotations | None = None
    """Annotations of the route."""
