"""Where things are: what is slow to make in the cache, what runs in a folder that does not outlive the machine."""

import os
import tempfile
from pathlib import Path

from kube_assets import cache_folder

CLUSTER = "sse-gateway"
CHECKOUT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


def _run_folder() -> Path:
    """Short, because a Unix socket's path has at most 107 bytes."""
    if os.geteuid() == 0:
        return Path("/run/sse-gateway-kind")
    base = os.environ.get("XDG_RUNTIME_DIR")
    return Path(base) / "sse-gateway-kind" if base else Path(tempfile.gettempdir()) / f"sse-gateway-kind-{os.getuid()}"


RUN = _run_folder()
KUBECONFIG = RUN / "kubeconfig"
PROGRAMS = RUN / "bin"  # docker, kind and kubectl as the cluster wants them, for PATH
CACHE = cache_folder()
ENGINE_DATA = CACHE / "docker"
