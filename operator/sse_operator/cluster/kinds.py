"""The kinds of objects that the operator reads and writes, where the API server serves them, and which of them it
looks at."""

from __future__ import annotations

from dataclasses import dataclass

from sse_operator.api import GROUP, VERSION
from sse_operator.api.references import USABLE, USE
from sse_operator.resources.names import COMPONENT, MANAGED_BY, MANAGER, OWN, PROXY


@dataclass(frozen=True)
class Kind:
    """One kind of object as the API server serves it."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str
    name: str
    namespaced: bool = True
    selector: str = ""
    """Label selector of the objects that concern us."""
    comes_with: str = ""
    """What has to be installed for the API server to serve the kind; empty where it always does."""

    @property
    def api_version(self) -> str:
        """As in an object's `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection, of an object, or of its subresource."""
        path = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if self.namespaced and namespace:
            path += f"/namespaces/{namespace}"
        path += f"/{self.plural}"
        if name:
            path += f"/{name}"
        return f"{path}/{subresource}" if subresource else path


OURS = f"{MANAGED_BY}={MANAGER},{COMPONENT}={PROXY}"
OURS_AND_USABLE = f"{USE} in ({USABLE},{OWN})"
"""kopf has one selector per kind: the gateways' own objects, and those that SseApis may use."""

SSE_APIS = Kind(GROUP, VERSION, "sseapis", "SseApi")
SSE_GATEWAYS = Kind(GROUP, VERSION, "ssegateways", "SseGateway")
NAMESPACES = Kind("", "v1", "namespaces", "Namespace", namespaced=False)
CONFIG_MAPS = Kind("", "v1", "configmaps", "ConfigMap", selector=OURS_AND_USABLE)
SECRETS = Kind("", "v1", "secrets", "Secret", selector=OURS_AND_USABLE)
SERVICES = Kind("", "v1", "services", "Service", selector=OURS)
SERVICE_ACCOUNTS = Kind("", "v1", "serviceaccounts", "ServiceAccount", selector=OURS)
DEPLOYMENTS = Kind("apps", "v1", "deployments", "Deployment", selector=OURS)
DISRUPTION_BUDGETS = Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", selector=OURS)
NETWORK_POLICIES = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", selector=OURS)
AUTOSCALERS = Kind("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", selector=OURS)
INGRESSES = Kind("networking.k8s.io", "v1", "ingresses", "Ingress", selector=OURS)
HTTP_ROUTES = Kind(
    "gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute", selector=OURS, comes_with="the Gateway API's CRDs"
)
PODS = Kind("", "v1", "pods", "Pod", selector=OURS)
EVENTS = Kind("", "v1", "events", "Event")
LEASES = Kind("coordination.k8s.io", "v1", "leases", "Lease")
ENDPOINT_SLICES = Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")

CHILDREN = (
    CONFIG_MAPS,
    SECRETS,
    SERVICES,
    SERVICE_ACCOUNTS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    NETWORK_POLICIES,
    AUTOSCALERS,
    INGRESSES,
    HTTP_ROUTES,
)
"""What a gateway owns."""

DISPENSABLE = (NETWORK_POLICIES, AUTOSCALERS, INGRESSES, HTTP_ROUTES)
"""Beside its config, what a gateway may no longer need. The operator has no right to delete other kinds."""

WATCHED = (NAMESPACES, SSE_GATEWAYS, SSE_APIS, *CHILDREN, PODS)
"""In the order in which a sweep lists them: what decides comes before what follows from it."""


def kind_of(document: dict[str, object]) -> Kind:
    """The kind of an object that we render. KeyError for any other."""
    return _BY_NAME[str(document["kind"])]


_BY_NAME = {kind.name: kind for kind in WATCHED}
