"""Watches that break, lie or fall silent: what was missed is mended within a bound, and nothing newer is lost."""

import time
from collections.abc import Callable, Iterator

import pytest

from apiserver.control_plane import ControlPlane
from apiserver.faults import Answer, Fault, FaultProxy, Request
from apiserver.manifests import sse_api
from apiserver.operator_process import OperatorProcess
from apiserver.truth import Truth

SWEEP = 4.0
SLOW = 10.0
"""Seconds until what is known is written, on a machine that is busy with other things."""


def delete(control_plane: ControlPlane, namespace: str, name: str) -> None:
    control_plane.request("DELETE", control_plane.resource_path(sse_api(namespace, name)))


def test_a_deletion_in_a_watch_gap_is_cleaned_within_one_sweep(
    control_plane: ControlPlane, namespace: str, truth: Truth, faults: FaultProxy, begin: Callable[..., OperatorProcess]
) -> None:
    operator = begin(f"--namespaces={namespace}", f"--lease-name={namespace}", f"--sweep-interval={SWEEP:.0f}s")
    control_plane.apply(sse_api(namespace, "stays"), sse_api(namespace, "goes"))
    truth.holds_within(15)

    # What was deleted is compacted when the watch comes back: 410, and a new list that says nothing of it.
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}
    told: list[Request] = []

    def expired(request: Request) -> Fault:
        if request.watch and request.path.endswith("/sseapis") and not told:
            told.append(request)
            delete(control_plane, namespace, "goes")
            return Answer(200, body=gone)
        return None

    faults.decide = expired
    faults.cut_watches()
    deadline = time.monotonic() + 30
    while not told:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    took = truth.holds_within(SWEEP + SLOW)
    print(f"\n  a deletion in a watch gap: cleaned after {took:.1f} s, with a sweep every {SWEEP:.0f} s")
    assert operator.metrics()['sse_gateway_operator_watch_restarts_total{resource="sseapis"}'] >= 1


def test_a_watch_that_falls_silent_recovers_within_its_bound(
    control_plane: ControlPlane, namespace: str, truth: Truth, faults: FaultProxy, begin: Callable[..., OperatorProcess]
) -> None:
    begin(f"--namespaces={namespace}", f"--lease-name={namespace}", "--sweep-interval=1h", "--watch-timeout=3s")
    control_plane.apply(sse_api(namespace, "before"))
    truth.holds_within(15)
    faults.mute_watches()
    control_plane.apply(sse_api(namespace, "meanwhile"))
    delete(control_plane, namespace, "before")
    took = truth.holds_within(3 + SLOW)
    print(f"\n  a silent watch: recovered after {took:.1f} s, with a bound of 3 s")
    assert took > 1  # it was silent


def test_a_restart_that_first_sees_an_older_list_deletes_nothing_newer(
    control_plane: ControlPlane, namespace: str, truth: Truth, faults: FaultProxy, begin: Callable[..., OperatorProcess]
) -> None:
    flags = (f"--namespaces={namespace}", "--lease-name=", "--sweep-interval=1h")
    path = f"/apis/sse-gateway.dev/v1alpha1/namespaces/{namespace}/sseapis"
    control_plane.apply(sse_api(namespace, "old"))
    first = begin(*flags)
    truth.holds_within(15)
    older = control_plane.request("GET", path)
    control_plane.apply(sse_api(namespace, "newer"))
    truth.holds_within(15)
    first.stop()

    faults.clear()
    lists: list[Request] = []

    def older_at_first(request: Request) -> Fault:
        if request.path != path or request.watch or request.method != "GET":
            return None
        lists.append(request)
        return (
            Answer(200, body=older)
            if len(lists) <= 4
            else Answer(503, "ServiceUnavailable")
            if time.monotonic() < until
            else None
        )

    until = time.monotonic() + 6

    faults.decide = older_at_first
    begin(*flags)
    until = time.monotonic() + 3
    while time.monotonic() < until:
        assert "newer" in str(control_plane.request("GET", f"/api/v1/namespaces/{namespace}/configmaps"))
        time.sleep(0.2)
    assert not faults.written()
    assert lists
    faults.decide = lambda _: None
    control_plane.apply(sse_api(namespace, "newest"))
    truth.holds_within(20)
    assert not [write for write in faults.written() if "DELETE" in write]


@pytest.fixture(autouse=True)
def _consistent_lists(faults: FaultProxy) -> Iterator[None]:
    """A list that names no resource version is the newest there is (Kubernetes API concepts); ours never name one."""
    yield
    assert not [each for each in faults.requests if not each.watch and "resourceVersion" in each.query]
