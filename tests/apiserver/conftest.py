"""What every test against the real API server gets: one control plane for all, one namespace for each."""

import contextlib
import re
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `from apiserver.control_plane import …` in the tests

from apiserver import control_plane as harness
from apiserver.faults import FaultProxy
from apiserver.operator_process import OperatorProcess, grant
from apiserver.truth import Truth

CRDS = Path(__file__).parents[2] / "deploy" / "crds"


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> Iterator[harness.ControlPlane]:
    """A running API server that serves the project's CRDs. Tests share it: keep to the `namespace` fixture."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    visible = capture.global_and_fixture_disabled() if capture else contextlib.nullcontext()
    with visible:  # building it for the first time takes minutes, which must not look like a hanging test
        harness.assets()
    with harness.ControlPlane() as running:
        running.install_crds(CRDS)
        yield running


@pytest.fixture(scope="session")
def operator_kubeconfig(control_plane: harness.ControlPlane) -> Path:
    """Of the operator's ServiceAccount, with the rights of deploy/rbac.yaml and no others."""
    return grant(control_plane)


@pytest.fixture(scope="module")
def faults(
    control_plane: harness.ControlPlane, operator_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FaultProxy]:
    """Stands between the operators of a file and the API server."""
    with FaultProxy(control_plane, operator_kubeconfig, tmp_path_factory.mktemp("faults")) as proxy:
        yield proxy


@pytest.fixture
def begin(faults: FaultProxy, tmp_path: Path) -> Iterator[Callable[..., OperatorProcess]]:
    """Starts an operator that reaches the API server through `faults`, for this test."""
    begun: list[OperatorProcess] = []

    def start(*flags: str, kubeconfig: Path | None = None, **more: Any) -> OperatorProcess:
        log = tmp_path / f"operator-{len(begun)}.log"
        process = OperatorProcess(kubeconfig or faults.kubeconfig, log, flags=flags, **more)
        begun.append(process)
        process.start()
        return process

    faults.clear()
    yield start
    faults.clear()
    for process in begun:
        process.stop()


@pytest.fixture
def namespace(control_plane: harness.ControlPlane, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, emptied and deleted after it."""
    word = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40].strip("-")
    name = control_plane.create_namespace(f"{word}-{secrets.token_hex(3)}")
    yield name
    control_plane.delete_namespace(name)


@pytest.fixture
def truth(control_plane: harness.ControlPlane, namespace: str) -> Truth:
    """What the test's namespace has to be."""
    return Truth(control_plane, namespace)
