"""Which gateway an SseApi belongs to, and whether that gateway lets it in."""

from __future__ import annotations

from collections.abc import Mapping

from sse_operator.api.objects import SseApi
from sse_operator.api.sse_gateway import AllowedNamespaces, LabelSelector, LabelSelectorRequirement
from sse_operator.compiler.model import DefaultGateway

NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"
"""The API server sets it on every namespace; it holds for namespaces whose labels nobody knows, too."""


def gateway_key_of(api: SseApi, default: DefaultGateway) -> str | None:
    """`namespace/name` of the gateway that the SseApi belongs to, whether it exists or not.

    Where its gatewayRef is faulty, that is the gateway where it holds a path, so that requests to it do not fall to
    another API; None where it holds none."""
    if api.gateway_ref is not None:
        namespace, name = api.gateway_ref
        return f"{namespace or api.metadata.namespace}/{name}"
    if any(fault.path[:2] == ("spec", "gatewayRef") for fault in api.faults):
        return api.status.claim.gateway if api.status.claim else None
    return f"{default.namespace or api.metadata.namespace}/{default.name}"


def may_attach(
    namespace: str, gateway_namespace: str, allowed: AllowedNamespaces | None, labels: Mapping[str, str]
) -> bool:
    """Whether SseApis of `namespace`, which has `labels`, may attach to a gateway in `gateway_namespace`."""
    if namespace == gateway_namespace:
        return True
    match (allowed or AllowedNamespaces()).from_:
        case "Same":
            return False
        case "All":
            return True
        case "Selector":
            selector = allowed.selector if allowed else None
            return selector is not None and selects(selector, {NAMESPACE_NAME_LABEL: namespace, **labels})


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether a Kubernetes label selector matches: all of it must; an empty one matches everything."""
    return all(labels.get(key) == value for key, value in (selector.match_labels or {}).items()) and all(
        _meets(requirement, labels) for requirement in selector.match_expressions or ()
    )


def _meets(requirement: LabelSelectorRequirement, labels: Mapping[str, str]) -> bool:
    """NotIn holds for an absent label, as in Kubernetes."""
    present = requirement.key in labels
    match requirement.operator:
        case "Exists":
            return present
        case "DoesNotExist":
            return not present
        case "In":
            return present and labels[requirement.key] in (requirement.values or ())
        case "NotIn":
            return not present or labels[requirement.key] not in (requirement.values or ())
