"""The real SSE clients of tests/clients, built into the cache from pinned versions.

    python scripts/sse_clients.py

builds what this machine has the tools for (2 minutes when nothing is there yet), and says what it leaves out.

| folder below tests/clients/drivers | needs                     | pinned by                     |
| ---------------------------------- | ------------------------- | ----------------------------- |
| python                             | this Python               | requirements.txt              |
| node                               | node 20 or newer, npm     | package-lock.json             |
| go                                 | go 1.24 or newer          | go.sum                        |
| java                               | java and javac 17, mvn    | pom.xml                       |

They are kept below ${SSE_GATEWAY_CACHE:-${XDG_CACHE_HOME:-~/.cache}/sse-gateway}/clients, by what they are built from.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

DRIVERS = Path(__file__).resolve().parents[1] / "tests/clients/drivers"


class ToolMissingError(Exception):
    """A tool is not in PATH. The text says which, and what to do."""


class BuildError(Exception):
    """A tool failed. The text is what it said."""


def build(kind: str) -> Path:
    """The folder with one kind's clients, built now if it is not there. Raises ToolMissingError and BuildError."""
    tools, steps = _KINDS[kind]
    for tool in tools:
        if shutil.which(tool) is None:
            raise ToolMissingError(f"{tool} is not in PATH: install it to test the {kind} clients")
    source = DRIVERS / kind
    folder = _cache() / f"{kind}-{_digest(source)}"
    done = folder / ".built"
    if done.exists():
        return folder
    with _alone(folder):
        if not done.exists():
            print(f"clients: building those for {kind}", file=sys.stderr, flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(source, folder)
            steps(folder)
            done.touch()
    return folder


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("SSE_GATEWAY_CACHE") or Path(base) / "sse-gateway") / "clients"


def _digest(source: Path) -> str:
    """Of what a folder is built from. The Python drivers are run where they are: only what they import is built."""
    paths = [source / "requirements.txt"] if source.name == "python" else sorted(source.iterdir())
    digest = hashlib.sha256(sys.version.encode() if source.name == "python" else b"")
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(folder: Path, *command: str | Path) -> None:
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise BuildError(f"failed ({done.returncode}): {' '.join(map(str, command))}\n{done.stdout}")


def _python(folder: Path) -> None:
    _run(folder, sys.executable, "-m", "venv", "venv")
    _run(folder, "venv/bin/pip", "install", "--quiet", "--require-hashes", "--requirement", "requirements.txt")


def _node(folder: Path) -> None:
    _run(folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")


def _go(folder: Path) -> None:
    _run(folder, "go", "build", "-mod=readonly", "-o", "events", ".")


def _java(folder: Path) -> None:
    _run(folder, "mvn", "--batch-mode", "--quiet", "dependency:copy-dependencies", "-DoutputDirectory=jars")
    _run(folder, "javac", "-cp", "jars/*", "-d", "classes", *sorted(folder.glob("*.java")))


_KINDS: dict[str, tuple[tuple[str, ...], Callable[[Path], None]]] = {
    "python": ((), _python),
    "node": (("node", "npm"), _node),
    "go": (("go",), _go),
    "java": (("java", "javac", "mvn"), _java),
}


def main() -> int:
    status = 0
    for kind in _KINDS:
        try:
            print(f"clients: {kind}: {build(kind)}")
        except ToolMissingError as error:
            print(f"clients: {error}")
        except BuildError as error:
            print(f"clients: {kind}: {error}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
