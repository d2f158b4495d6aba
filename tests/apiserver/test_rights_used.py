"""The rights of deploy/rbac.yaml are those that the operator uses, no more and no less. It looks back at what all other
tests of the session had it do, so it runs after them."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from apiserver.control_plane import CHECKOUT, ControlPlane
from apiserver.operator_process import USER

Right = tuple[str, str, str]
"""Group, resource with its subresource, verb."""

NOT_SEEN = {
    # Judged in admission: owner references with blockOwnerDeletion, where the API server checks them.
    ("sse-gateway.dev", "ssegateways/finalizers", "update"),
    # When somebody makes the default gateway at the same moment.
    ("sse-gateway.dev", "ssegateways", "get"),
    # When an operator that ran in the cluster runs outside from now on.
    ("networking.k8s.io", "networkpolicies", "delete"),
    # The Gateway API's CRDs are not installed here: asking is all that can be seen.
    *(("gateway.networking.k8s.io", "httproutes", verb) for verb in ("get", "watch", "create", "patch", "delete")),
}


def granted() -> Iterator[Right]:
    for role in yaml.safe_load_all((CHECKOUT / "deploy" / "rbac.yaml").read_text()):
        for rule in role["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for verb in rule["verbs"]:
                        yield group, resource, verb


def used(events: list[dict[str, Any]]) -> Iterator[Right]:
    for event in events:
        reference = event.get("objectRef", {})
        if event["user"]["username"] != USER or "resource" not in reference:
            continue
        resource = reference["resource"] + (f"/{reference['subresource']}" if "subresource" in reference else "")
        group = reference.get("apiGroup", "")
        yield group, resource, event["verb"]
        if event["verb"] == "patch" and event["responseStatus"]["code"] == 201:  # server-side apply that creates
            yield group, resource, "create"


def test_rights_granted_are_rights_used(control_plane: ControlPlane, request: pytest.FixtureRequest) -> None:
    files = {item.path.name for item in request.session.items}
    if not {"test_operator.py", "test_reliability_convergence.py", "test_reliability_leaders.py"} <= files:
        pytest.skip("looks back at what the other files' tests had the operator do")
    seen = set(used(control_plane.audit_events()))
    assert sorted(seen - set(granted())) == [], "used without a right"
    assert sorted(set(granted()) - seen - NOT_SEEN) == [], "granted and never used"
