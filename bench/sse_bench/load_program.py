"""The load program: built from bench/load with Go, once for each state of its sources."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from kube_assets import AssetsError, go_program
from sse_bench.process import BenchError

SOURCES = Path(__file__).resolve().parents[1] / "load"


def build(cache: Path) -> Path:
    """The program's file in the cache folder. Raises BenchError when it cannot be built."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    program = cache / "bench" / f"load-{digest.hexdigest()[:10]}"
    if program.exists():
        return program
    program.parent.mkdir(parents=True, exist_ok=True)
    for outdated in program.parent.glob("load-*"):
        outdated.unlink()
    try:
        go = go_program(cache)
    except AssetsError as error:
        raise BenchError(str(error)) from None
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "local"}
    command = [go, "build", "-trimpath", "-buildvcs=false", "-o", str(program), "."]
    told = subprocess.run(command, cwd=SOURCES, env=environment, capture_output=True, text=True, check=False)
    if told.returncode:
        raise BenchError(f"bench/load does not build: {told.stderr.strip()}")
    return program
