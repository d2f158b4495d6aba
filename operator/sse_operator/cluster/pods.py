"""What the operator must know of a proxy pod."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sse_operator.api import GROUP
from sse_operator.resources.deployment import ADMIN_PORT, ADMIN_PORT_NAME

REVISION = f"{GROUP}/config-revision"
"""Annotation of a pod: the config revision that it was last nudged to. Any change of it makes the kubelet refresh the
mounted config at once instead of within its sync period (about a minute)."""

MOST_NUDGES = 6
"""How often a pod is nudged to one revision. Whatever it still lacks then, it is no nudge."""


@dataclass(frozen=True, slots=True)
class ProxyPod:
    """One proxy pod."""

    namespace: str
    name: str
    address: str
    """Empty until the pod has one."""
    admin_port: int
    ready: bool
    leaving: bool
    """It is being deleted, or has ended."""
    nudged_to: str
    """Value of the annotation `REVISION`: the revision, and with the second nudge to it a number, as in `12.2`."""

    @property
    def serves(self) -> bool:
        """Whether the gateway's Service sends requests to it."""
        return self.ready and not self.leaving and bool(self.address)

    def next_nudge(self, revision: int, *, again: bool) -> str | None:
        """The value of the annotation that nudges the pod to the revision; None where that has been done. `again`
        nudges a pod once more, since a kubelet whose watch is broken refreshes the mount with what it had."""
        nudged_to, _, times = self.nudged_to.partition(".")
        if nudged_to != str(revision):
            return str(revision)
        count = int(times) if times.isdecimal() else 1
        return f"{revision}.{count + 1}" if again and count < MOST_NUDGES else None


def read_pod(document: Mapping[str, Any]) -> ProxyPod:
    """The part of a Pod that matters here."""
    metadata, status = document["metadata"], document.get("status") or {}
    conditions = status.get("conditions") or ()
    return ProxyPod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        address=status.get("podIP") or "",
        admin_port=_admin_port(document.get("spec") or {}),
        ready=any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions),
        leaving="deletionTimestamp" in metadata or status.get("phase") in ("Succeeded", "Failed"),
        nudged_to=(metadata.get("annotations") or {}).get(REVISION, ""),
    )


def _admin_port(spec: Mapping[str, Any]) -> int:
    for container in spec.get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("name") == ADMIN_PORT_NAME:
                return int(port["containerPort"])
    return ADMIN_PORT
