"""An upgrade: what the first release wrote is adopted where it stands, and a new image rolls one gateway at a time.

That old and new proxies read each other's neighbour config version is in tests/proxy/test_loader.py.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from apiserver.control_plane import ControlPlane
from apiserver.faults import FaultProxy
from apiserver.manifests import sse_api, sse_gateway
from apiserver.operator_process import OperatorProcess
from apiserver.truth import Truth
from sse_operator.cluster.kinds import CHILDREN, DEPLOYMENTS, HTTP_ROUTES, SECRETS, SSE_GATEWAYS
from sse_operator.resources.config_maps import written_config

WRITTEN = Path(__file__).with_name("first-release.yaml")
NAMESPACE = "first-release"  # the shards' names depend on it
MERGE = "application/merge-patch+json"
Begin = Callable[..., OperatorProcess]


@pytest.fixture
def released(control_plane: ControlPlane) -> Iterator[dict[str, Any]]:
    """The uids of what the first release left, by kind and name."""
    control_plane.create_namespace(NAMESPACE)
    for name in ("prices", "orders"):
        control_plane.apply(sse_api(NAMESPACE, name, timeouts={"idle": "70s"}))
    gateway = sse_gateway(NAMESPACE, "default")
    gateway["metadata"]["labels"] = {
        "app.kubernetes.io/managed-by": "sse-gateway",
        "sse-gateway.dev/auto-created": "true",
    }
    (made,) = control_plane.apply(gateway, manager="sse-gateway")
    status = {"status": {"revision": 7, "observedGeneration": 1}}
    path = SSE_GATEWAYS.path(NAMESPACE, "default", "status")
    control_plane.request("PATCH", path, status, content_type=MERGE)
    documents = list(yaml.safe_load_all(WRITTEN.read_text().replace("UID", made["metadata"]["uid"])))
    applied = control_plane.apply(*documents, manager="sse-gateway")
    yield {f"{each['kind']} {each['metadata']['name']}": each["metadata"]["uid"] for each in applied}
    control_plane.delete_namespace(NAMESPACE)


def test_what_the_first_release_wrote_is_adopted(
    control_plane: ControlPlane, released: dict[str, Any], faults: FaultProxy, begin: Begin
) -> None:
    truth = Truth(control_plane, NAMESPACE)
    (token,) = truth.listed(SECRETS)
    begin(f"--namespaces={NAMESPACE}", "--lease-name=", "--sweep-interval=1h")
    took = truth.holds_within(20)
    children = [each for kind in CHILDREN if kind is not HTTP_ROUTES for each in truth.listed(kind)]
    now = {f"{each['kind']} {each['metadata']['name']}": each["metadata"]["uid"] for each in children}
    assert released.items() <= now.items()
    assert [each["data"] for each in truth.listed(SECRETS) if each["data"] == token["data"]]
    assert not [write for write in faults.written() if write.startswith("DELETE")]
    index, _ = written_config("default", [each for each in children if each["kind"] == "ConfigMap"])
    assert index
    assert index.revision > 7  # it only grows, over releases too
    print(f"\n  objects of the first release: adopted after {took:.1f} s")


def complete(control_plane: ControlPlane, deployment: dict[str, Any]) -> None:
    """Say that all its pods are new and available, as the Deployment controller does."""
    metadata = deployment["metadata"]
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), 1)
    status = {"observedGeneration": metadata["generation"], **counts}
    path = DEPLOYMENTS.path(metadata["namespace"], metadata["name"], "status")
    control_plane.request("PATCH", path, {"status": status}, content_type=MERGE)


def test_a_new_image_rolls_one_gateway_at_a_time(
    control_plane: ControlPlane, namespace: str, truth: Truth, begin: Begin
) -> None:
    flags = (f"--namespaces={namespace}", "--lease-name=", "--sweep-interval=1h")
    first = begin(*flags)
    for name in ("one", "two", "three"):
        control_plane.apply(sse_gateway(namespace, name))
    truth.holds_within(15)
    for deployment in truth.listed(DEPLOYMENTS):
        complete(control_plane, deployment)
    first.stop()

    begin(*flags, "--image=sse-gateway:next")

    def rolled() -> list[dict[str, Any]]:
        images = {each["metadata"]["name"]: each for each in truth.listed(DEPLOYMENTS)}
        return [
            each
            for each in images.values()
            if each["spec"]["template"]["spec"]["containers"][0]["image"] == "sse-gateway:next"
        ]

    for count in (1, 2, 3):
        deadline = time.monotonic() + 15
        while len(rolled()) < count:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        if count == 1:
            time.sleep(3)  # longer than a gateway waits before it asks for its turn again
        assert len(rolled()) == count
        if count == 2:  # what its owner asks for waits for nobody
            waiting = {each["metadata"]["name"] for each in truth.listed(DEPLOYMENTS)}
            (name,) = waiting - {each["metadata"]["name"] for each in rolled()}
            path = SSE_GATEWAYS.path(namespace, name.removeprefix("sse-"))
            control_plane.request("PATCH", path, {"spec": {"drain": {"period": "5s"}}}, content_type=MERGE)
            continue
        for deployment in rolled():
            complete(control_plane, deployment)
    truth.image = "sse-gateway:next"
    truth.holds_within(15)
