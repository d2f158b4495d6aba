"""The gateway's Service, and the Ingress or HTTPRoute in front of it.

What stands before a stream must not buffer it, and must not take its silence, or its length, for a fault. An HTTPRoute
says so in its own words (`timeouts: 0s`); an Ingress does in the annotations of its controller, which follow those
controllers' documentation:

- nginx (ingress-nginx): buffering is on, and 60 s between two reads cut a stream.
- traefik: buffers nothing and has no such limit, unless its own static configuration sets one.
- haproxy (haproxytech): does not buffer; `timeout server` cuts a silent stream. Its `timeout client` is set in the
  controller's ConfigMap only.
- contour: an Envoy route ends after 15 s. Its stream idle timeout, 5 minutes, is set in Contour's configuration only.
- kong: buffers responses; its timeouts are annotations of the Service, in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sse_operator.api.exposure import HttpRouteSpec, IngressSpec, ServiceSpec
from sse_operator.api.objects import SseGateway
from sse_operator.api.sse_gateway import SseGatewaySpec
from sse_operator.resources.deployment import HTTP_PORT_NAME, HTTPS_PORT_NAME
from sse_operator.resources.names import Object, child_metadata, child_name, selector_labels, service_host

SERVICE_PORT = 80
SERVICE_TLS_PORT = 443
DAY = 24 * 60 * 60
"""Seconds of silence that a controller without "never" is told to bear: the gateway's own timeouts end streams."""


@dataclass(frozen=True)
class ForStreams:
    """The annotations by which a controller lets streams be."""

    ingress: Mapping[str, str] = field(default_factory=dict)
    service: Mapping[str, str] = field(default_factory=dict)


CONTROLLERS: Mapping[str, ForStreams] = {
    "nginx": ForStreams(
        {
            "nginx.ingress.kubernetes.io/proxy-buffering": "off",
            "nginx.ingress.kubernetes.io/proxy-request-buffering": "off",
            "nginx.ingress.kubernetes.io/proxy-http-version": "1.1",
            "nginx.ingress.kubernetes.io/proxy-read-timeout": str(DAY),
            "nginx.ingress.kubernetes.io/proxy-send-timeout": str(DAY),
        }
    ),
    "traefik": ForStreams(),
    "haproxy": ForStreams({"haproxy.org/timeout-server": f"{DAY}s"}),
    "contour": ForStreams({"projectcontour.io/response-timeout": "infinity"}),
    "kong": ForStreams(
        {"konghq.com/request-buffering": "false", "konghq.com/response-buffering": "false"},
        {"konghq.com/read-timeout": str(DAY * 1000), "konghq.com/write-timeout": str(DAY * 1000)},
    ),
}


def service(gateway: SseGateway, spec: SseGatewaySpec) -> Object:
    """Where the gateway is reached. The admin port is not among its ports."""
    asked = spec.service or ServiceSpec()
    controller = spec.ingress.controller if spec.ingress else None
    port: Object = {
        "name": HTTP_PORT_NAME,
        "port": service_port(spec),
        "targetPort": HTTP_PORT_NAME,
        "protocol": "TCP",
    }
    if asked.node_port:
        port["nodePort"] = asked.node_port
    ports = [port]
    if spec.tls:
        ports.append(
            {
                "name": HTTPS_PORT_NAME,
                "port": SERVICE_TLS_PORT,
                "targetPort": HTTPS_PORT_NAME,
                "protocol": "TCP",
            }
        )
    service_spec: Object = {
        "type": asked.type or "ClusterIP",
        "selector": selector_labels(gateway.metadata.name),
        "ports": ports,
    }
    if asked.load_balancer_class:
        service_spec["loadBalancerClass"] = asked.load_balancer_class
    if asked.load_balancer_source_ranges is not None:
        service_spec["loadBalancerSourceRanges"] = asked.load_balancer_source_ranges
    if asked.external_traffic_policy:
        service_spec["externalTrafficPolicy"] = asked.external_traffic_policy
    annotations = {**(CONTROLLERS[controller].service if controller else {}), **(asked.annotations or {})}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(gateway, annotations),
        "spec": service_spec,
    }


def service_port(spec: SseGatewaySpec) -> int:
    """Port of the gateway's Service."""
    return (spec.service.port if spec.service else None) or SERVICE_PORT


def ingress(gateway: SseGateway, spec: SseGatewaySpec, asked: IngressSpec) -> Object:
    """The Ingress: every path of its hosts is the gateway's."""
    backend = {"service": {"name": child_name(gateway.metadata.name), "port": {"number": service_port(spec)}}}
    rule = {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}
    ingress_spec: Object = {"rules": [{"host": host, "http": rule} for host in asked.hosts]}
    if asked.class_name:
        ingress_spec["ingressClassName"] = asked.class_name
    if asked.tls:
        ingress_spec["tls"] = [{"hosts": list(asked.hosts), "secretName": asked.tls.secret_name}]
    annotations = {
        **(CONTROLLERS[asked.controller].ingress if asked.controller else {}),
        **(asked.annotations or {}),
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": _metadata(gateway, annotations),
        "spec": ingress_spec,
    }


def http_route(gateway: SseGateway, spec: SseGatewaySpec, asked: HttpRouteSpec) -> Object:
    """The HTTPRoute: every path is the gateway's, and nothing ends a stream but the gateway (GEP-1742: 0s is no
    limit)."""
    route_spec: Object = {
        "parentRefs": [
            reference.model_dump(mode="json", by_alias=True, exclude_none=True) for reference in asked.parent_refs
        ],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "timeouts": {"request": "0s", "backendRequest": "0s"},
                "backendRefs": [{"name": child_name(gateway.metadata.name), "port": service_port(spec)}],
            }
        ],
    }
    if asked.hostnames:
        route_spec["hostnames"] = list(asked.hostnames)
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": _metadata(gateway, asked.annotations or {}),
        "spec": route_spec,
    }


def base_urls(gateway: SseGateway) -> list[str]:
    """Where the gateway is reached, the cluster's own address last; wildcard host names are left out."""
    spec = gateway.spec or SseGatewaySpec()
    found: list[str] = []
    if spec.ingress:
        scheme = "https" if spec.ingress.tls else "http"
        found += [f"{scheme}://{host}" for host in spec.ingress.hosts if not host.startswith("*")]
    port = service_port(spec)
    inside = service_host(gateway.metadata.namespace, gateway.metadata.name)
    if spec.tls:
        found.append(f"https://{inside}")
    return [*found, f"http://{inside}" + ("" if port == SERVICE_PORT else f":{port}")]


def _metadata(gateway: SseGateway, annotations: Mapping[str, str]) -> Object:
    metadata = child_metadata(gateway)
    return {**metadata, "annotations": {**annotations, **metadata["annotations"]}}
