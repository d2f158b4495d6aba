"""scripts/kube-assets: a folder of one's own is used as it is, and what it lacks is said."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "kube-assets"


def kube_assets(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KUBEBUILDER_ASSETS": str(folder), "SSE_GATEWAY_CACHE": str(folder / "cache")}
    return subprocess.run([SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("etcd", "kube-apiserver"):
        (tmp_path / name).touch(mode=0o755)
    return tmp_path


def test_given_assets_are_used_and_nothing_is_built(folder: Path) -> None:
    done = kube_assets(folder=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{folder}\n", "")
    assert not (folder / "cache").exists()


def test_what_given_assets_lack_is_said_in_one_line(folder: Path) -> None:
    done = kube_assets("etcd", "kubectl", folder=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"kube-assets: KUBEBUILDER_ASSETS={folder} has no kubectl: unset it, or put them there\n"


def test_an_unknown_program_is_refused_with_the_known_ones(folder: Path) -> None:
    done = kube_assets("helm", folder=folder)
    assert done.returncode == 2
    assert "helm: not one of etcd, kube-apiserver" in done.stderr
