"""Two replicas: one writes, the other takes over, and never both, whatever happens to the one that leads."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from apiserver.control_plane import ControlPlane
from apiserver.faults import FaultProxy, Reset
from apiserver.manifests import sse_api
from apiserver.operator_process import OperatorProcess
from apiserver.truth import Truth


@dataclass
class Replica:
    """An operator with a way of its own to the API server."""

    operator: OperatorProcess
    faults: FaultProxy

    def leads(self) -> bool:
        return self.operator.answers("/readyz") and bool(self.operator.metrics()["sse_gateway_operator_leader"])

    def wrote_at(self) -> list[float]:
        return [request.at for request in self.faults.requests if request.write]


class Churn(threading.Thread):
    """Edits an SseApi ten times a second."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        super().__init__()
        self._control_plane, self._namespace = control_plane, namespace
        self._over = threading.Event()

    def run(self) -> None:
        number = 0
        while not self._over.wait(0.1):
            number += 1
            self._control_plane.apply(sse_api(self._namespace, "prices", version=f"v{number}"))

    @contextmanager
    def running(self) -> Iterator[None]:
        self.start()
        try:
            yield
        finally:
            self._over.set()
            self.join()


def terminated(leader: Replica) -> None:
    assert leader.operator.stop() == 0


def killed(leader: Replica) -> None:
    leader.operator.kill()


def frozen(leader: Replica) -> None:
    leader.operator.send(signal.SIGSTOP)


def cut_off(leader: Replica) -> None:
    leader.faults.decide = lambda _: Reset()
    leader.faults.cut_watches()


def thawed(leader: Replica) -> None:
    """It wakes up, finds that the lease is another's, and ends without a write."""
    leader.operator.send(signal.SIGCONT)
    assert leader.operator.wait(15) == 1


def gave_up(leader: Replica) -> None:
    """It ended by itself, before the other could lead."""
    assert leader.operator.wait(15) == 1


@dataclass(frozen=True)
class Case:
    happens: Callable[[Replica], None]
    after: Callable[[Replica], None]
    handover: float
    """Seconds that it may take."""


SLOW = 5.0
"""Seconds more than promised, for a machine that is busy with other things."""

CASES = {
    "SIGTERM": Case(terminated, lambda _: None, 3 + SLOW),
    "SIGSTOP": Case(frozen, thawed, 20 + SLOW),
    "SIGKILL": Case(killed, lambda _: None, 20 + SLOW),
    "partition": Case(cut_off, gave_up, 20 + SLOW),
}


def hand_over(case: Case, control_plane: ControlPlane, kubeconfig: Path, folder: Path) -> float:
    """Seconds from what happens to the leader until the other leads."""
    folder.mkdir()
    namespace = control_plane.create_namespace(f"leaders-{folder.name.lower()}")
    flags = (f"--namespaces={namespace}", f"--lease-name={namespace}")
    try:
        with ExitStack() as stack:
            replicas = []
            for name in ("a", "b"):
                (folder / name).mkdir()
                faults = stack.enter_context(FaultProxy(control_plane, kubeconfig, folder / name))
                operator = OperatorProcess(faults.kubeconfig, folder / name / "log", flags=flags)
                stack.callback(operator.stop, signal.SIGKILL)
                replicas.append(Replica(operator, faults))
            leader, other = replicas
            leader.operator.start()
            other.operator.spawn()
            wait_until(lambda: other.operator.answers("/readyz"), 30)
            control_plane.apply(sse_api(namespace, "prices"))
            truth = Truth(control_plane, namespace)
            truth.holds_within(20)
            with Churn(control_plane, namespace).running():
                wait_until(lambda: len(leader.wrote_at()) > 20, 20)
                assert not other.wrote_at()
                began = time.monotonic()
                case.happens(leader)
                wait_until(lambda: leads_now(other), case.handover)
                took = time.monotonic() - began
                case.after(leader)
                wait_until(lambda: len(other.wrote_at()) > 5, 15)
            truth.holds_within(20)
            assert max(leader.wrote_at()) < min(other.wrote_at()), "both wrote at the same time"
            return took
    finally:
        control_plane.delete_namespace(namespace)


def leads_now(replica: Replica) -> bool:
    return bool(replica.wrote_at()) or replica.leads()


def wait_until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def check(cases: list[str], control_plane: ControlPlane, kubeconfig: Path, folder: Path) -> None:
    """All at once, since they mostly wait."""
    with ThreadPoolExecutor() as pool:
        took = {name: pool.submit(hand_over, CASES[name], control_plane, kubeconfig, folder / name) for name in cases}
    print()
    for name, result in took.items():
        print(f"  {name}: the other led after {result.result():.1f} s")


def test_a_leader_that_ends_or_freezes(control_plane: ControlPlane, operator_kubeconfig: Path, tmp_path: Path) -> None:
    check(["SIGTERM", "SIGSTOP"], control_plane, operator_kubeconfig, tmp_path)


@pytest.mark.soak
def test_a_leader_that_dies_or_is_cut_off(
    control_plane: ControlPlane, operator_kubeconfig: Path, tmp_path: Path
) -> None:
    check(["SIGKILL", "partition"], control_plane, operator_kubeconfig, tmp_path)
