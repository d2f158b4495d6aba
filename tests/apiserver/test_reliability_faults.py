"""An API server that answers wrongly, slowly or not at all, and an object that cannot be compiled."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apiserver import poisoned
from apiserver.control_plane import ControlPlane
from apiserver.faults import Answer, Fault, FaultProxy, Request, Reset, Slow
from apiserver.manifests import sse_api, sse_gateway
from apiserver.operator_process import OperatorProcess
from apiserver.truth import Truth
from sse_operator.cluster.kinds import SSE_APIS, SSE_GATEWAYS

READS = (Answer(429, "TooManyRequests", {"Retry-After": "1"}), Answer(500), Answer(503), Reset(), Slow(0.5))
WRITES = (*READS, Answer(409, "Conflict"), Answer(403, "Forbidden"), Reset(after=True))


def condition(document: dict[str, Any], kind: str) -> dict[str, Any]:
    found = document.get("status", {}).get("conditions", [])
    return next((dict(each) for each in found if each["type"] == kind), {})


def stalled(truth: Truth) -> list[str]:
    """The objects that are Stalled."""
    documents = [*truth.listed(SSE_APIS), *truth.listed(SSE_GATEWAYS)]
    return [each["metadata"]["name"] for each in documents if condition(each, "Stalled")]


def faulty(share: float, seed: int) -> Callable[[Request], Fault]:
    """A share of all requests meets a fault; the lease's, which have tests of their own, none."""
    chance = random.Random(seed)

    def decide(request: Request) -> Fault:
        if "/leases" in request.path or chance.random() > share:
            return None
        return chance.choice(WRITES if request.write else READS)

    return decide


def test_faults_pass_and_leave_nothing_behind(
    control_plane: ControlPlane, namespace: str, truth: Truth, faults: FaultProxy, begin: Callable[..., OperatorProcess]
) -> None:
    operator = begin(f"--namespaces={namespace}", "--lease-name=", "--sweep-interval=5s")
    control_plane.apply(sse_gateway(namespace, "edge"))
    faults.decide = faulty(0.5, 1)
    until, number = time.monotonic() + 6, 0
    while time.monotonic() < until:
        number += 1
        name = f"api{number % 4}"
        control_plane.apply(sse_api(namespace, name, version=f"v{number}", gatewayRef={"name": "edge"}))
        assert not stalled(truth)
        time.sleep(0.1)
    faults.decide = lambda _: None
    took = truth.holds_within(30)
    assert operator.running
    print(f"\n  half of all requests faulty for 6 s: converged {took:.1f} s after that")


def test_an_api_server_that_refuses_everything_meets_no_hot_loop(
    control_plane: ControlPlane, namespace: str, truth: Truth, faults: FaultProxy, begin: Callable[..., OperatorProcess]
) -> None:
    operator = begin(f"--namespaces={namespace}", "--lease-name=", "--sweep-interval=1h")
    control_plane.apply(sse_api(namespace, "before"))
    truth.holds_within(15)
    faults.clear()

    def refuse(request: Request) -> Fault:
        if not request.write:
            return None
        configs = [write for write in faults.written() if "/configmaps/" in write]
        return Answer(409, "Conflict") if len(configs) == 1 and "/configmaps/" in request.path else Answer(500)

    faults.decide = refuse
    control_plane.apply(sse_api(namespace, "meanwhile"))
    time.sleep(5)
    tried = faults.written()
    # 0.2, 0.4, 0.8, 1.6, 3.2 s: six runs in five seconds, with one write each that fails.
    assert 2 <= len(tried) <= 8, tried
    metrics = operator.metrics()
    assert metrics["sse_gateway_operator_apply_conflicts_total"] >= 1
    for result in ("conflict", "error"):
        assert metrics[f'sse_gateway_operator_reconcile_seconds_count{{result="{result}"}}'] >= 1
    faults.decide = lambda _: None
    took = truth.holds_within(15)
    print(f"\n  every write refused for 5 s: {len(tried)} tried, converged {took:.1f} s after that")


def test_a_poison_object_harms_no_other_and_recovers_by_an_edit(
    control_plane: ControlPlane, namespace: str, truth: Truth, begin: Callable[..., OperatorProcess]
) -> None:
    operator = begin(f"--namespaces={namespace}", "--lease-name=", program=[str(Path(poisoned.__file__))])
    control_plane.apply(sse_api(namespace, "first"), sse_api(namespace, "poison", version="poison"))
    truth.uncompiled = {f"{namespace}/poison"}
    truth.holds_within(15)
    control_plane.apply(sse_api(namespace, "second"))
    delay = truth.holds_within(15)

    def poison() -> dict[str, Any]:
        return next(each for each in truth.listed(SSE_APIS) if each["metadata"]["name"] == "poison")

    said = condition(poison(), "Stalled")
    assert (said["status"], said["reason"]) == ("True", "InternalError")
    assert "ZeroDivisionError: a fault that a test injects" in said["message"]
    assert operator.answers("/livez")

    control_plane.apply(sse_api(namespace, "poison", version="1.0"))
    truth.uncompiled = set()
    truth.holds_within(15)
    assert not condition(poison(), "Stalled")
    print(f"\n  beside a poison object another is served after {delay:.1f} s")


@pytest.mark.soak
@pytest.mark.parametrize("fault", WRITES, ids=repr)
def test_each_fault_alone(
    fault: Fault, control_plane: ControlPlane, namespace: str, truth: Truth, faults: FaultProxy,
    begin: Callable[..., OperatorProcess],
) -> None:  # fmt: skip
    begin(f"--namespaces={namespace}", "--lease-name=", "--sweep-interval=5s")
    chance = random.Random(repr(fault))
    reads = fault in READS
    faults.decide = lambda request: (
        fault if "/leases" not in request.path and (request.write or reads) and chance.random() < 0.7 else None
    )
    for number in range(40):
        control_plane.apply(sse_api(namespace, f"api{number % 4}", version=f"v{number}"))
        assert not stalled(truth)
        time.sleep(0.1)
    faults.decide = lambda _: None
    truth.holds_within(60)
