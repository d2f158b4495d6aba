"""What the user is told while they wait, and the one kind of error they are told of."""

import contextlib
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kube_assets import say

__all__ = ["ClusterError", "call", "say", "step"]


class ClusterError(Exception):
    """Something that the user can act on, told as one line (after the output of the program that failed)."""


@contextlib.contextmanager
def step(what: str, usually: str) -> Iterator[None]:
    """Say what is being done and how long it usually takes, then how long it took."""
    say(f"{what} ({usually})")
    began = time.monotonic()
    yield
    say(f"{what}: done in {time.monotonic() - began:.0f} s")


def call(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a program and return its standard output. Raises ClusterError with the end of what it said."""
    words = [str(word) for word in command]
    try:
        run = subprocess.run(words, input=stdin, capture_output=True, env=environment, cwd=cwd, check=False)
    except OSError as error:
        raise ClusterError(f"{words[0]}: {error.strerror}") from error
    if run.returncode:
        told = (run.stdout + run.stderr).decode(errors="replace").splitlines()[-25:]
        raise ClusterError("\n".join([*told, f"exit {run.returncode} of: {' '.join(words)[:300]}"]))
    return run.stdout.decode()
