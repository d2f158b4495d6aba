"""Renders of the chart by helm itself."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[3] / "deploy" / "helm" / "sse-gateway"
VALUES = Path(__file__).parent / "values"
CASES = sorted(path.stem for path in VALUES.glob("*.yaml"))
NAMESPACE = "sse-gateway"
KUBERNETES = "1.36.0"


def helm_program() -> str:
    """The helm of the PyPI wheel beside this Python, else the one in PATH."""
    beside = Path(sys.executable).with_name("helm")
    program = str(beside) if beside.exists() else shutil.which("helm")
    assert program, "no helm: the test extra brings it on x86_64, elsewhere it has to be in PATH"
    return program


def helm(*arguments: str | Path) -> str:
    """What helm printed. Raises CalledProcessError."""
    return subprocess.run([helm_program(), *arguments], check=True, capture_output=True, text=True).stdout


def render(*arguments: str | Path) -> str:
    """The manifests that `helm install` would apply, those of `helm test` included."""
    return helm(
        *("template", "sse-gateway", CHART, f"--namespace={NAMESPACE}", f"--kube-version={KUBERNETES}"), *arguments
    )


def objects(manifests: str) -> list[dict[str, Any]]:
    """The objects of a render, ordered by kind, namespace and name."""
    found = [document for document in yaml.safe_load_all(manifests) if document]
    return sorted(
        found, key=lambda each: (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"])
    )
