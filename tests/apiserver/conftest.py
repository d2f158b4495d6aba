"""What every test against the real API server gets: one control plane for all, one namespace for each."""

import contextlib
import re
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `from apiserver.control_plane import …` in the tests

from apiserver import control_plane as harness
from apiserver.operator_process import grant

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


@pytest.fixture
def namespace(control_plane: harness.ControlPlane, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, emptied and deleted after it."""
    word = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40].strip("-")
    name = control_plane.create_namespace(f"{word}-{secrets.token_hex(3)}")
    yield name
    control_plane.delete_namespace(name)
