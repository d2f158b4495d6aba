"""What a gateway's objects are called, how they are labelled, and who owns them.

Every object is `sse-<gateway>` with a suffix of at most 12 characters. A Service name and a label value hold 63
characters and no dots (RFC 1035, Kubernetes "Object Names and IDs"), a gateway's name 253 with dots; a name that does
not fit is cut and told apart by a hash. The full name is in the annotation `sse-gateway.dev/gateway`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sse_operator.api import API_VERSION, GROUP
from sse_operator.api.objects import SseGateway
from sse_operator.api.references import USE
from sse_operator.api.sse_gateway import KIND

Object = dict[str, Any]
"""A Kubernetes object as JSON has it."""

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "sse-gateway"
"""Value of the managed-by label, and the field manager of everything the operator writes."""

COMPONENT = "app.kubernetes.io/component"
PROXY = "proxy"

GATEWAY = f"{GROUP}/gateway"
"""Label (short name, for selectors) and annotation (full name) that say whose an object is."""

OWN = "gateway"
"""Value of the label `sse-gateway.dev/use` on a gateway's own objects: one watch per kind finds them, and the Secrets
and ConfigMaps that SseApis may use."""

AUTO_CREATED = f"{GROUP}/auto-created"
"""Label of an SseGateway that the operator made and may delete."""

SHORT_NAME_LENGTH = 47
"""`sse-` and `-admin-token` around it make 63."""

_FITS = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@lru_cache(maxsize=1024)
def short_name(gateway_name: str) -> str:
    """The gateway's name as a label value and part of a Service name: itself where it fits, else cut and hashed."""
    if len(gateway_name) <= SHORT_NAME_LENGTH and _FITS.fullmatch(gateway_name):
        return gateway_name
    digest = hashlib.sha256(gateway_name.encode()).hexdigest()[:8]
    stem = re.sub(r"[^a-z0-9]+", "-", gateway_name)[: SHORT_NAME_LENGTH - len(digest) - 1].strip("-")
    return f"{stem}-{digest}"


def child_name(gateway_name: str, suffix: str = "") -> str:
    """The name of a gateway's object: `sse-default`, `sse-default-config`."""
    return f"sse-{short_name(gateway_name)}" + (f"-{suffix}" if suffix else "")


def service_host(namespace: str, gateway_name: str) -> str:
    """The DNS name of the gateway's Service, as it resolves in every namespace of the cluster."""
    return f"{child_name(gateway_name)}.{namespace}.svc"


def selector_labels(gateway_name: str) -> dict[str, str]:
    """The labels that select a gateway's proxy pods; a Deployment's selector is immutable, so these never change."""
    return {COMPONENT: PROXY, GATEWAY: short_name(gateway_name)}


def labels(gateway_name: str) -> dict[str, str]:
    """The labels of every object of a gateway."""
    return {
        "app.kubernetes.io/name": "sse-gateway",
        "app.kubernetes.io/instance": short_name(gateway_name),
        "app.kubernetes.io/part-of": "sse-gateway",
        MANAGED_BY: MANAGER,
        **selector_labels(gateway_name),
    }


def child_metadata(gateway: SseGateway, suffix: str = "") -> Object:
    """Metadata of an object that the gateway owns: it goes when the gateway goes, without finalizers."""
    metadata = gateway.metadata
    return {
        "name": child_name(metadata.name, suffix),
        "namespace": metadata.namespace,
        "labels": {**labels(metadata.name), USE: OWN},
        "annotations": {GATEWAY: metadata.name},
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": metadata.name,
                "uid": metadata.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }


def gateway_key_of_child(metadata: Mapping[str, Any]) -> str | None:
    """namespace/name of the gateway that an object or pod belongs to; None where it carries no such annotation."""
    name = (metadata.get("annotations") or {}).get(GATEWAY)
    return f"{metadata.get('namespace', '')}/{name}" if name else None


def owned_by(document: Mapping[str, Any], gateway: SseGateway) -> bool:
    """Whether the object's controller is this gateway, or one of the same name that was there before it."""
    return any(
        reference.get("controller")
        and reference.get("kind") == KIND
        and str(reference.get("apiVersion", "")).startswith(f"{GROUP}/")
        and reference.get("name") == gateway.metadata.name
        for reference in document["metadata"].get("ownerReferences") or ()
    )
