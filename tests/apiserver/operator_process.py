"""The operator as a process of its own, as the ServiceAccount that it has in a cluster."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from apiserver.control_plane import CHECKOUT, ControlPlane

NAMESPACE = "sse-gateway"
ACCOUNT = "sse-gateway-operator"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
START_TIMEOUT = 30.0  # seconds


def grant(control_plane: ControlPlane) -> Path:
    """Make the operator's namespace and ServiceAccount with exactly the rights of deploy/rbac.yaml: its kubeconfig."""
    control_plane.create_namespace(NAMESPACE)
    roles = list(yaml.safe_load_all((CHECKOUT / "deploy" / "rbac.yaml").read_text()))
    account = {"name": ACCOUNT, "namespace": NAMESPACE}
    control_plane.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}, *roles)
    for role in roles:
        metadata = role["metadata"]
        control_plane.apply(
            {
                "apiVersion": role["apiVersion"],
                "kind": f"{role['kind']}Binding",
                "metadata": metadata,
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": role["kind"],
                    "name": metadata["name"],
                },
                "subjects": [{"kind": "ServiceAccount", **account}],
            }
        )
    return control_plane.service_account_kubeconfig(NAMESPACE, ACCOUNT)


class OperatorProcess:
    """`sse-gateway operator`, from `start` to `stop`, again and again. Its log goes to `log`."""

    def __init__(self, kubeconfig: Path, log: Path, *, health_port: int, flags: Sequence[str] = ()) -> None:
        self.log = log
        self._kubeconfig = kubeconfig
        self._health = f"http://127.0.0.1:{health_port}/livez"
        self._flags = [
            f"--health-address=127.0.0.1:{health_port}",
            f"--operator-namespace={NAMESPACE}",
            "--allow-target-networks=127.0.0.0/8",
            "--image=sse-gateway:test",
            *flags,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and return when it answers that it is alive and leads."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SSE_GATEWAY_")}
        environment |= {"KUBECONFIG": str(self._kubeconfig)}
        with self.log.open("ab") as log:
            offset = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sse_operator.command", "operator", *self._flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not (any(line.get("message") == "leading" for line in self.lines(offset)) and self._alive()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the operator did not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM) -> int | None:
        """End it with a signal: its exit code; None where it does not run."""
        if self._process is None:
            return None
        self._process.send_signal(number)
        code = self._process.wait(20)
        self._process = None
        return code

    def lines(self, offset: int = 0) -> list[dict[str, Any]]:
        """What it logged after the first `offset` bytes."""
        lines = []
        for line in self.log.read_bytes()[offset:].decode().splitlines():
            with contextlib.suppress(ValueError):
                lines.append(json.loads(line))
        return lines

    def _alive(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(self._health, timeout=5) as answer:
            return bool(answer.status == 200)
        return False
