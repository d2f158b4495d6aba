"""What a user writes."""

from typing import Any

from sse_operator.api import API_VERSION

Document = dict[str, Any]


def sse_api(namespace: str, name: str, **spec: Any) -> Document:
    """An SseApi at the context-path of its name."""
    spec = {"contextPath": f"/{name}", "target": "https://origin.example/sse", **spec}
    return _document("SseApi", namespace, name, spec)


def sse_gateway(namespace: str, name: str, **spec: Any) -> Document:
    """An SseGateway."""
    return _document("SseGateway", namespace, name, spec)


def _document(kind: str, namespace: str, name: str, spec: Document) -> Document:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
