"""The load program's own tests, in Go."""

import subprocess

from kube_assets import cache_folder, go_program
from sse_bench.load_program import SOURCES


def test_go_tests() -> None:
    go = go_program(cache_folder())
    for command in ("vet", "test"):
        told = subprocess.run([go, command, "./..."], cwd=SOURCES, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stdout + told.stderr
