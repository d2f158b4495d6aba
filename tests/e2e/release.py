"""The chart as it is installed in the cluster of the tests."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import yaml

from e2e.kube import Namespace, call, kubectl, until
from unit.chart.chart_render import CHART, helm_program

NAMESPACE = "sse-gateway"
NAME = "sse-gateway"
SETTINGS = (
    "--set=replicas=2",
    "--set=podDisruptionBudget.enabled=true",
    "--set=resources.requests.cpu=10m",
    "--set=defaultGatewayGrace=5s",
)
"""What the tests ask for: two replicas, so that there is a leader to lose; default gateways that soon go."""


class Release:
    """The operator in a namespace `restricted`."""

    def __init__(self) -> None:
        self.namespace = Namespace(NAMESPACE)
        self.account = f"system:serviceaccount:{NAMESPACE}:{NAME}"
        registry = os.environ.get("SSE_GATEWAY_E2E_REGISTRY", "")
        self._settings = [*SETTINGS, *([f"--set=image.registry={registry}"] if registry else [])]
        version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
        self.installed_at = ""
        """When it was installed first, as the audit log writes times."""
        self.image = f"{registry}/" * bool(registry) + f"sse-gateway-operator:{version}"

    def install(self) -> None:
        self.installed_at = self.installed_at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        self._helm("install", "--wait", "--timeout=3m", chart=CHART)

    def upgrade(self, *settings: str, chart: Path = CHART) -> None:
        """Also back to what `install` made."""
        self._helm("upgrade", "--wait", "--timeout=3m", *settings, chart=chart)

    def uninstall(self) -> None:
        call(helm_program(), "uninstall", NAME, f"--namespace={NAMESPACE}", "--wait", "--ignore-not-found")

    def test(self) -> str:
        """`helm test`: what the client of it printed."""
        told = call(helm_program(), "test", NAME, f"--namespace={NAMESPACE}", "--logs", "--timeout=3m", timeout=200)
        return told.partition("POD LOGS")[2]

    def remove_all(self) -> None:
        """Whatever an earlier run left."""
        self.uninstall()
        kubectl("delete", "crd", "sseapis.sse-gateway.dev", "ssegateways.sse-gateway.dev", "--ignore-not-found")
        kubectl("delete", "namespace", "--selector=sse-gateway.dev/e2e=true", "--wait=true")

    def pods(self) -> list[str]:
        """Names of the operator pods."""
        return [pod["metadata"]["name"] for pod in self.namespace.list("pods", "app.kubernetes.io/component=operator")]

    def holder(self) -> str:
        """Identity of the process that holds the lease; empty where none does."""
        return str(self.namespace.get("lease", NAME).get("spec", {}).get("holderIdentity", ""))

    def leader(self) -> str:
        """Name of the pod of that process."""
        return self.holder().partition("_")[0]

    def scale(self, replicas: int) -> None:
        """Run so many operators, and return when they do."""
        self.namespace.kubectl("scale", f"deployment/{NAME}", f"--replicas={replicas}")
        until(f"{replicas} operator pods", lambda: len(self.pods()) == replicas)
        if replicas:
            self.namespace.kubectl("rollout", "status", f"deployment/{NAME}", "--timeout=60s")
            until("a leader that runs", lambda: self.leader() in self.pods())

    def _helm(self, verb: str, *arguments: str, chart: Path) -> None:
        call(
            helm_program(), verb, NAME, str(chart), f"--namespace={NAMESPACE}", *self._settings, *arguments, timeout=200
        )


def previous_chart(folder: Path) -> Path:
    """The chart as it could have been one revision ago: SseApis knew no `suspend`."""
    copy = Path(shutil.copytree(CHART, folder / "chart"))
    chart = yaml.safe_load((copy / "Chart.yaml").read_text())
    (copy / "Chart.yaml").write_text(yaml.safe_dump({**chart, "version": "0.0.1"}))
    path = copy / "files" / "crds" / "sse-gateway.dev_sseapis.yaml"
    crd = yaml.safe_load(path.read_text())
    del crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["suspend"]
    path.write_text(yaml.safe_dump(crd, sort_keys=False))
    return copy
