"""The cluster ends as the manifests say: without a write where nothing changed, after drift, after an absence, after
any edits in any order, and after a death at any write."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apiserver.control_plane import ControlPlane
from apiserver.faults import FaultProxy
from apiserver.manifests import Document, sse_api, sse_gateway
from apiserver.operator_process import OperatorProcess
from apiserver.truth import Truth
from sse_operator.cluster.kinds import CHILDREN, CONFIG_MAPS, DEPLOYMENTS, HTTP_ROUTES, SECRETS, SSE_APIS, SSE_GATEWAYS
from sse_operator.resources.config_maps import written_config

MERGE = "application/merge-patch+json"
Begin = Callable[..., OperatorProcess]


def delete(control_plane: ControlPlane, document: Document) -> None:
    control_plane.request("DELETE", control_plane.resource_path(document))


def test_idle_objects_cost_no_write(
    control_plane: ControlPlane, namespace: str, truth: Truth, faults: FaultProxy, begin: Begin
) -> None:
    begin(f"--namespaces={namespace}", "--lease-name=", "--sweep-interval=1s")
    control_plane.apply(sse_gateway(namespace, "edge", autoscaling={"maxReplicas": 3, "activeStreams": 5000}))
    for number in range(40):
        gateway = {"name": "edge"} if number % 2 else {}
        control_plane.apply(sse_api(namespace, f"api{number}", gatewayRef=gateway))
    truth.holds_within(20)
    faults.clear()
    path = SSE_APIS.path(namespace)
    deadline = time.monotonic() + 20
    while sum(each.path == path and not each.watch for each in faults.requests) < 3:  # two whole sweeps between
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert faults.written() == []


def test_what_is_changed_or_deleted_comes_back_and_what_is_others_stays(
    control_plane: ControlPlane, namespace: str, truth: Truth, begin: Begin
) -> None:
    begin(f"--namespaces={namespace}", "--lease-name=", "--sweep-interval=1h")
    control_plane.apply(sse_gateway(namespace, "edge", autoscaling={"maxReplicas": 9}))
    control_plane.apply(sse_api(namespace, "prices", gatewayRef={"name": "edge"}))
    truth.holds_within(15)
    kinds = [kind for kind in CHILDREN if kind is not HTTP_ROUTES]
    note = {"metadata": {"annotations": {"admins": "note"}}}
    for kind in kinds:
        for child in truth.listed(kind):
            path = kind.path(namespace, child["metadata"]["name"])
            control_plane.request("PATCH", path, note, content_type=MERGE)
    scale = DEPLOYMENTS.path(namespace, "sse-edge", "scale")
    control_plane.request("PATCH", scale, {"spec": {"replicas": 7}}, content_type=MERGE)

    drift: dict[str, Document] = {
        "Deployment": {"spec": {"template": {"spec": {"enableServiceLinks": True}}}},
        "Service": {"spec": {"selector": {"sse-gateway.dev/gateway": "another"}}},
        "NetworkPolicy": {"spec": {"policyTypes": ["Ingress", "Egress"]}},
        "PodDisruptionBudget": {"spec": {"maxUnavailable": 5}},
        "ServiceAccount": {"automountServiceAccountToken": True},
        "HorizontalPodAutoscaler": {"spec": {"maxReplicas": 1}},
        "ConfigMap": {"data": {"index.json": "{}"}},
    }
    before = {kind.name: truth.listed(kind) for kind in kinds}
    for kind in kinds:
        for child in truth.listed(kind):
            if kind.name in drift:
                path = kind.path(namespace, child["metadata"]["name"])
                control_plane.request("PATCH", path, drift[kind.name], content_type=MERGE)

    def repaired() -> list[str]:
        different = []
        for kind in kinds:
            after = {each["metadata"]["name"]: each for each in truth.listed(kind)}
            for child in before[kind.name]:
                now = after.get(child["metadata"]["name"], {})
                if kind is not CONFIG_MAPS and now.get("spec") != child.get("spec"):
                    different.append(f"{kind.name} {child['metadata']['name']} is still changed")
                if now.get("automountServiceAccountToken") != child.get("automountServiceAccountToken"):
                    different.append("the ServiceAccount is still changed")
                if now.get("metadata", {}).get("annotations", {}).get("admins") != "note":
                    different.append(f"{kind.name} {child['metadata']['name']} lost somebody's annotation")
        return different

    changed = truth.holds_within(15, repaired)
    (deployment,) = truth.listed(DEPLOYMENTS)
    assert deployment["spec"]["replicas"] == 7

    for kind in kinds:
        for child in truth.listed(kind):
            delete(control_plane, child)
    deleted = truth.holds_within(15)
    print(f"\n  every child changed: as it was after {changed:.1f} s; every child deleted: back after {deleted:.1f} s")


def test_deletions_while_the_operator_is_down(
    control_plane: ControlPlane, namespace: str, truth: Truth, begin: Begin, faults: FaultProxy
) -> None:
    gone = control_plane.create_namespace(f"{namespace}-gone")
    flags = ("--lease-name=", "--sweep-interval=1h")
    first = begin(*flags)
    control_plane.apply(sse_gateway(namespace, "edge", allowedNamespaces={"from": "All"}))
    ref = {"name": "edge", "namespace": namespace}
    control_plane.apply(sse_api(gone, "guest", gatewayRef=ref), sse_api(gone, "own"))
    control_plane.apply(sse_api(namespace, "stays", gatewayRef={"name": "edge"}), sse_api(namespace, "goes"))
    both = Truth(control_plane, namespace, gone)
    both.holds_within(15)
    for kind in (SSE_APIS, SSE_GATEWAYS, *CHILDREN):
        if kind is not HTTP_ROUTES:
            assert not [each for each in both.listed(kind) if each["metadata"].get("finalizers")]
    assert first.stop() == 0

    delete(control_plane, sse_api(namespace, "goes"))
    control_plane.delete_namespace(gone)
    faults.clear()
    second = begin(*flags)
    took = truth.holds_within(15)
    assert not [write for write in faults.written() if f"/{gone}/" in write]
    assert not [line for line in second.lines() if line["level"] == "error"]
    print(f"\n  an SseApi and a namespace deleted without an operator: converged {took:.1f} s after its start")


# Differential: history must not show.

NAMES = ("alpha", "beta", "gamma")
changes = st.one_of(
    st.tuples(st.just("delete"), st.sampled_from(NAMES), st.none()),
    st.tuples(
        st.just("apply"),
        st.sampled_from(NAMES),
        st.fixed_dictionaries(
            {},
            optional={
                "suspend": st.booleans(),
                "version": st.sampled_from(["1", "2"]),
                "hostnames": st.sampled_from([["a.example"], ["*.b.example"]]),
                "timeouts": st.sampled_from([{"idle": "70s"}, {"response": "0s"}]),
                "gatewayRef": st.sampled_from([{"name": "edge"}, {"name": "missing"}]),
                "target": st.sampled_from(["http://other.example:81/a?b=c"]),
            },
        ),
    ),
    st.tuples(
        st.just("gateway"),
        st.just("edge"),
        st.sampled_from([{}, {"replicas": 2}, {"drain": {"period": "5s"}}, {"defaults": {"timeouts": {"idle": "9s"}}}]),
    ),
    st.tuples(st.just("wait"), st.just(""), st.none()),
)


def outcome(truth: Truth, namespace: str) -> Any:
    """Everything that the operator wrote, without what is allowed to differ: names of places, versions, moments."""
    config_maps = truth.listed(CONFIG_MAPS)
    found: dict[str, Any] = {}
    for gateway in truth.listed(SSE_GATEWAYS):
        _, shards = written_config(gateway["metadata"]["name"], config_maps)
        entries = [entry for shard in shards.values() for entry in shard.apis]
        found[gateway["metadata"]["name"]] = sorted(
            (entry.model_copy(update={"revision": 0, "generation": 0, "namespace": ""}) for entry in entries),
            key=lambda it: it.name,
        )
    for kind in CHILDREN:
        if kind not in (CONFIG_MAPS, SECRETS, HTTP_ROUTES):
            for child in truth.listed(kind):
                spec = {key: value for key, value in (child.get("spec") or {}).items() if "cluster" not in key}
                found[f"{kind.name} {child['metadata']['name']}"] = spec
    for api in truth.listed(SSE_APIS):
        told = [(each["type"], each["status"], each["reason"]) for each in api["status"]["conditions"]]
        found[f"SseApi {api['metadata']['name']}"] = (told, str(api["status"].get("urls")).replace(namespace, ""))
    return found


class Walk:
    """Edits in one namespace of an operator that watches all."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self.control_plane, self.namespace = control_plane, namespace
        self.truth = Truth(control_plane, namespace)
        self.specs: dict[str, Document] = {}
        self.gateway: Document = {}

    def take(self, change: tuple[str, str, Any]) -> None:
        what, name, spec = change
        if what == "wait":
            self.truth.holds_within(20)
        elif what == "gateway":
            self.gateway = spec
            # An applied spec that owns nothing any more would become null.
            self.control_plane.apply(sse_gateway(self.namespace, "edge", allowNestedContextPaths=False, **spec))
        elif what == "apply":
            self.specs[name] = spec
            self.control_plane.apply(sse_api(self.namespace, name, **{"gatewayRef": {"name": "edge"}, **spec}))
        elif self.specs.pop(name, None) is not None:
            delete(self.control_plane, sse_api(self.namespace, name))

    def outcome(self) -> Any:
        self.truth.holds_within(20)
        return outcome(self.truth, self.namespace)


@contextlib.contextmanager
def place(control_plane: ControlPlane) -> Iterator[Walk]:
    walk = Walk(control_plane, control_plane.create_namespace(f"walk-{os.urandom(4).hex()}"))
    try:
        walk.take(("gateway", "edge", {}))
        yield walk
    finally:
        control_plane.delete_namespace(walk.namespace)


def compare(control_plane: ControlPlane, walk: list[tuple[str, str, Any]]) -> None:
    with place(control_plane) as walked, place(control_plane) as fresh:
        for change in walk:
            walked.take(change)
        fresh.take(("gateway", "edge", walked.gateway))
        for name, spec in walked.specs.items():
            fresh.take(("apply", name, spec))
        assert walked.outcome() == fresh.outcome()


def test_edits_end_in_what_a_fresh_create_gives(control_plane: ControlPlane, faults: FaultProxy, begin: Begin) -> None:
    begin("--lease-name=", "--sweep-interval=1h")

    @settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.lists(changes, min_size=3, max_size=8))
    def walks(walk: list[tuple[str, str, Any]]) -> None:
        compare(control_plane, walk)

    walks()


@pytest.mark.soak
def test_many_edits_end_in_what_a_fresh_create_gives(control_plane: ControlPlane, begin: Begin) -> None:
    begin("--lease-name=", "--sweep-interval=1h")

    @settings(max_examples=60, deadline=None, derandomize=False, suppress_health_check=list(HealthCheck))
    @given(st.lists(changes, min_size=3, max_size=12))
    def walks(walk: list[tuple[str, str, Any]]) -> None:
        compare(control_plane, walk)

    walks()


def test_a_rollback_restores_exactly(control_plane: ControlPlane, begin: Begin) -> None:
    begin("--lease-name=", "--sweep-interval=1h")
    with place(control_plane) as walk:
        walk.take(("apply", "alpha", {"version": "1", "timeouts": {"idle": "70s"}}))
        before = walk.outcome()
        walk.take(("apply", "alpha", {"suspend": True, "target": "http://other.example:81/a?b=c"}))
        walk.take(("gateway", "edge", {"replicas": 2, "drain": {"period": "5s"}}))
        assert walk.outcome() != before
        walk.take(("gateway", "edge", {}))
        walk.take(("apply", "alpha", {"version": "1", "timeouts": {"idle": "70s"}}))
        assert walk.outcome() == before


# Death at every write


def crash_after(k: int, control_plane: ControlPlane, namespace: str, faults: FaultProxy, begin: Begin) -> bool:
    """Whether the operator came to its k-th write in the scenario, was killed there, and the next one mended all."""
    truth = Truth(control_plane, namespace)
    flags = (f"--namespaces={namespace}", "--lease-name=", "--sweep-interval=1h")
    operator = begin(*flags)
    faults.clear()
    faults.wrote = lambda count: operator.kill() if count == k else None

    def settle() -> None:
        deadline = time.monotonic() + 15
        while operator.running and truth.deviations():
            assert time.monotonic() < deadline, truth.deviations()
            time.sleep(0.05)

    control_plane.apply(sse_api(namespace, "first"), sse_api(namespace, "second"))
    settle()
    control_plane.apply(sse_api(namespace, "first", version="2"))
    delete(control_plane, sse_api(namespace, "second"))
    settle()
    crashed = not operator.running
    operator.stop()
    faults.clear()
    if crashed:
        begin(*flags)
    truth.holds_within(20)
    return crashed


@pytest.mark.parametrize("k", [4, 11])
def test_a_death_after_a_write(
    k: int, control_plane: ControlPlane, namespace: str, faults: FaultProxy, begin: Begin
) -> None:
    assert crash_after(k, control_plane, namespace, faults, begin)


@pytest.mark.soak
def test_a_death_after_every_write(control_plane: ControlPlane, faults: FaultProxy, begin: Begin) -> None:
    k = 0
    while True:
        k += 1
        namespace = control_plane.create_namespace(f"crash-{os.urandom(4).hex()}")
        try:
            if not crash_after(k, control_plane, namespace, faults, begin):
                break
        finally:
            control_plane.delete_namespace(namespace)
    print(f"\n  killed after each of {k - 1} writes: every restart converged without orphans")
    assert k > 15
