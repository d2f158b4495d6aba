"""How Flux and other tools that use kstatus judge a custom resource.

Written from kstatus's documentation (kubernetes-sigs/cli-utils, pkg/kstatus/README.md, "The ready, reconciling and
stalled conditions" and "Custom resources"): deletion first, then a generation that was not observed, then the abnormal
conditions, then Ready, and what says nothing is Current.
"""

from collections.abc import Mapping
from typing import Any


def kstatus(document: Mapping[str, Any]) -> str:
    """`Terminating`, `InProgress`, `Failed` or `Current`."""
    metadata, status = document["metadata"], document.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    observed = status.get("observedGeneration")
    if observed is not None and observed != metadata.get("generation"):
        return "InProgress"
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    return "Current" if conditions.get("Ready", "True") == "True" else "InProgress"
