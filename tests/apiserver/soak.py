"""`make soak`: churn and faults together for some minutes, then what was violated; nothing, if all is well.

All the while SseApis and gateways are made, edited and deleted at random, requests meet faults, watches are cut and
fall silent, the API server restarts, and the operator is killed or stopped. Every half minute the faults pause: then
the cluster must become what the manifests say, and an idle operator must write nothing.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from apiserver.control_plane import ApiError, ControlPlane
from apiserver.faults import FaultProxy
from apiserver.manifests import sse_api, sse_gateway
from apiserver.operator_process import OperatorProcess, grant
from apiserver.test_reliability_faults import faulty, stalled
from apiserver.truth import Truth
from sse_operator.cluster.kinds import SSE_APIS, SSE_GATEWAYS

CRDS = Path(__file__).parents[2] / "deploy" / "crds"
CONVERGES = 60.0  # seconds that it may take after the faults
FAULTS_FOR, FAULTY = 20.0, 0.3
SERVED = 30.0  # seconds that an API server may take, after it is ready, to serve our kinds again


class Soak:
    """One cluster, one operator, three namespaces."""

    def __init__(self, control_plane: ControlPlane, faults: FaultProxy, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.violations: list[str] = []
        self.edits = self.deaths = self.rounds = self.requests = 0
        self.slowest = 0.0
        self._control_plane, self._faults = control_plane, faults
        self._namespaces = [control_plane.create_namespace(f"soak-{number}") for number in range(3)]
        self._truth = Truth(control_plane, *self._namespaces)
        flags = ("--lease-name=", "--sweep-interval=10s", "--watch-timeout=10s", "--default-gateway-grace=1h")
        self.operator = OperatorProcess(faults.kubeconfig, folder / "log", flags=flags)

    def edit(self) -> None:
        """Change something, as a user does."""
        namespace, name = self.chance.choice(self._namespaces), f"api{self.chance.randrange(30)}"
        manifest = sse_api(namespace, name, version=str(self.edits))
        gateway = self.chance.choice([None, {"name": "edge"}, {"name": "edge", "namespace": self._namespaces[0]}])
        if gateway:
            manifest["spec"]["gatewayRef"] = gateway
        self.edits += 1
        try:
            if self.chance.random() < 0.25:
                self._control_plane.request("DELETE", self._control_plane.resource_path(manifest))
            elif self.chance.random() < 0.1:
                replicas = self.chance.randrange(4)
                allowed = {"from": self.chance.choice(["Same", "All"])}
                self._control_plane.apply(sse_gateway(namespace, "edge", replicas=replicas, allowedNamespaces=allowed))
            else:
                self._control_plane.apply(manifest)
        except ApiError as error:
            if error.status != 404:
                raise

    def disturb(self) -> None:
        """Something larger goes wrong."""
        happens: list[Callable[[], object]] = [
            self._faults.cut_watches,
            self._faults.mute_watches,
            self._restart_api_server,
            self._kill,
            self.operator.stop,
        ]
        self.chance.choice(happens)()
        if not self.operator.running:
            self.deaths += 1
            self.operator.stop()
            self.operator.spawn()

    def _kill(self) -> None:
        self.operator.kill()

    def _restart_api_server(self) -> None:
        self._control_plane.stop_api_server()
        self._control_plane.start_api_server()
        until = time.monotonic() + SERVED
        for kind in (SSE_APIS, SSE_GATEWAYS):  # ready is not the same as serving each kind
            while True:
                try:
                    self._control_plane.request("GET", kind.path())
                    break
                except ApiError as error:
                    if error.status != 429 or time.monotonic() > until:
                        raise
                    time.sleep(0.05)

    def round(self) -> None:
        """Churn and faults, then quiet."""
        self.rounds += 1
        self._faults.decide = faulty(FAULTY, self.rounds)
        until = time.monotonic() + FAULTS_FOR
        disturbed = time.monotonic() + FAULTS_FOR / 2
        while time.monotonic() < until:
            self.edit()
            if time.monotonic() > disturbed:
                disturbed = until
                self.disturb()
            if found := stalled(self._truth):
                self.violations.append(f"round {self.rounds}: Stalled for a passing fault: {found}")
            time.sleep(0.05)
        self._faults.decide = lambda _: None
        if not self.operator.running:
            self.violations.append(f"round {self.rounds}: the operator ended by itself")
            self.operator.stop()
            self.operator.spawn()
        try:
            self.slowest = max(self.slowest, self._truth.holds_within(CONVERGES))
        except AssertionError as error:
            self.violations.append(f"round {self.rounds}: after {CONVERGES:.0f} s still: {error}")
            return
        time.sleep(2)
        self.requests += len(self._faults.requests)
        self._faults.clear()
        time.sleep(3)
        if writes := self._faults.written():
            self.violations.append(f"round {self.rounds}: written while idle: {writes[:5]}")


def main() -> int:
    """Exit code 1 where something was violated."""
    parser = argparse.ArgumentParser(prog="soak", description="Churn and faults together, and what they violated.")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"), help="to repeat a run")
    arguments = parser.parse_args()
    print(f"soak: {arguments.minutes:g} minutes, --seed={arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory() as name, ControlPlane(audit=False) as control_plane:
        control_plane.install_crds(CRDS)
        with FaultProxy(control_plane, grant(control_plane), Path(name)) as faults:
            soak = Soak(control_plane, faults, Path(name), arguments.seed)
            with soak.operator:
                until = time.monotonic() + arguments.minutes * 60
                while time.monotonic() < until:
                    soak.round()
                    told = f"{soak.edits} edits, {len(soak.violations)} violations"
                    print(f"soak: round {soak.rounds}, {told}", flush=True)
    print(
        f"soak: {soak.rounds} rounds, {soak.edits} edits, {soak.deaths} deaths of the operator,"
        f" {soak.requests} requests, converged within {soak.slowest:.1f} s"
    )
    for violation in soak.violations:
        print(f"violated: {violation}")
    print("violated: nothing" if not soak.violations else f"violated: {len(soak.violations)}")
    return 1 if soak.violations else 0


if __name__ == "__main__":
    sys.exit(main())
