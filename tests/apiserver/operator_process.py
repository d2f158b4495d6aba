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
from ports import free_port

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
    """`sse-gateway operator`, from `start` to `stop`, again and again. Its log goes to `log`.

    `program` is what Python is to run instead of the command itself."""

    def __init__(
        self,
        kubeconfig: Path,
        log: Path,
        *,
        flags: Sequence[str] = (),
        program: Sequence[str] = ("-m", "sse_operator.command"),
    ) -> None:
        self.log = log
        self._kubeconfig = kubeconfig
        self._program = program
        health = f"127.0.0.1:{free_port()}"
        self._health = f"http://{health}"
        self._flags = [
            f"--health-address={health}",
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
        """Start it, and return when it is ready and leads."""
        self.spawn()
        deadline = time.monotonic() + START_TIMEOUT
        while not (self.answers("/readyz") and self.metrics()["sse_gateway_operator_leader"]):
            if not self.running or time.monotonic() > deadline:
                raise AssertionError(f"the operator did not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.02)

    def spawn(self) -> None:
        """Start it, and return at once."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SSE_GATEWAY_")}
        environment |= {"KUBECONFIG": str(self._kubeconfig)}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._program, "operator", *self._flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id, as long as it has one."""
        return self._process.pid if self._process else None

    def send(self, number: int) -> None:
        """Send it a signal."""
        assert self._process
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, by SIGKILL."""
        self.send(signal.SIGKILL)
        assert self._process
        self._process.wait(10)

    def wait(self, timeout: float) -> int:
        """Its exit code, once it has ended by itself."""
        assert self._process
        code = self._process.wait(timeout)
        self._process = None
        return code

    def stop(self, number: int = signal.SIGTERM) -> int | None:
        """End it with a signal: its exit code; None where it does not run."""
        if self._process is None:
            return None
        if self._process.poll() is None:
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

    def answers(self, path: str) -> bool:
        """Whether the health port has good news at `/livez` or `/readyz`."""
        with contextlib.suppress(OSError), urllib.request.urlopen(self._health + path, timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    def metrics(self) -> dict[str, float]:
        """What it counts, by name and labels."""
        with urllib.request.urlopen(f"{self._health}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}
