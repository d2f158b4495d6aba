"""The gateway that the operator makes where an SseApi needs one and none is there."""

from __future__ import annotations

from sse_operator.api import API_VERSION
from sse_operator.api.objects import SseGateway
from sse_operator.api.sse_gateway import KIND
from sse_operator.resources.names import AUTO_CREATED, MANAGED_BY, MANAGER, Object


def default_gateway(namespace: str, name: str) -> Object:
    """An SseGateway of defaults only, labelled as ours to delete."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {MANAGED_BY: MANAGER, AUTO_CREATED: "true"},
        },
        "spec": {},
    }


def auto_created(gateway: SseGateway) -> bool:
    """Whether the gateway is still the operator's: taking the label off makes it the user's."""
    return gateway.metadata.labels.get(AUTO_CREATED) == "true"
