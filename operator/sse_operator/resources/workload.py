"""What a gateway's pods need around them, and all of a gateway's objects but the config."""

from __future__ import annotations

from dataclasses import dataclass

from sse_operator.api import GROUP
from sse_operator.api.objects import SseGateway
from sse_operator.api.sse_gateway import SseGatewaySpec
from sse_operator.resources.autoscaler import autoscaler
from sse_operator.resources.deployment import (
    ADMIN_PORT,
    DATA_PORT,
    TLS_PORT,
    ProxyPods,
    deployment,
)
from sse_operator.resources.exposure import http_route, ingress, service
from sse_operator.resources.names import COMPONENT, Object, child_metadata, selector_labels

SCRAPES = f"{GROUP}/scrapes"
"""Label of namespaces whose pods may read the admin port's metrics: `"true"`."""


@dataclass(frozen=True)
class Workload:
    """The operator's settings that the objects depend on."""

    pods: ProxyPods
    operator_namespace: str | None = None
    """Where the operator's pods run; None where it runs outside the cluster, which no NetworkPolicy can name."""


def workload(gateway: SseGateway, spec: SseGatewaySpec, settings: Workload) -> list[Object]:
    """The objects of the gateway in the order to write them; its config and the admin token are not among them."""
    objects = [service_account(gateway), service(gateway, spec), disruption_budget(gateway)]
    if settings.operator_namespace:
        objects.append(network_policy(gateway, settings.operator_namespace))
    objects.append(deployment(gateway, spec, settings.pods))
    if spec.autoscaling:
        objects.append(autoscaler(gateway, spec.autoscaling))
    if spec.ingress:
        objects.append(ingress(gateway, spec, spec.ingress))
    if spec.http_route:
        objects.append(http_route(gateway, spec, spec.http_route))
    return objects


def service_account(gateway: SseGateway) -> Object:
    """The ServiceAccount of the pods: without rights and without a token."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": child_metadata(gateway),
        "automountServiceAccountToken": False,
    }


def disruption_budget(gateway: SseGateway) -> Object:
    """Nodes are drained one proxy at a time; a single proxy does not block it."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": child_metadata(gateway),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector_labels(gateway.metadata.name)}},
    }


def network_policy(gateway: SseGateway, operator_namespace: str) -> Object:
    """The data ports are open to all; the admin port to the operator and to namespaces that scrape metrics."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": child_metadata(gateway),
        "spec": {
            "podSelector": {"matchLabels": selector_labels(gateway.metadata.name)},
            "policyTypes": ["Ingress"],
            "ingress": [
                {"ports": [{"port": port, "protocol": "TCP"} for port in (DATA_PORT, TLS_PORT)]},
                {
                    "ports": [{"port": ADMIN_PORT, "protocol": "TCP"}],
                    "from": [
                        {
                            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": operator_namespace}},
                            "podSelector": {
                                "matchLabels": {"app.kubernetes.io/name": "sse-gateway", COMPONENT: "operator"}
                            },
                        },
                        {"namespaceSelector": {"matchLabels": {SCRAPES: "true"}}},
                    ],
                },
            ],
        },
    }
