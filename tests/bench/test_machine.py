"""What the bench asks of the machine, where the machine says no."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sse_bench.machine import raise_priority

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.mark.parametrize(
    ("refusal", "done"),
    [
        pytest.param(None, True, id="granted"),
        pytest.param(FileNotFoundError(errno.ENOENT, "no such file"), True, id="no-autogroups"),
        pytest.param(OSError(errno.EINVAL, "invalid argument"), False, id="autogroup-takes-none"),
        pytest.param(PermissionError(errno.EPERM, "not permitted"), False, id="no-right"),
    ],
)
def test_a_priority_that_the_autogroup_refuses_stops_nothing(
    refusal: OSError | None, done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_text(_path: Path, _text: str) -> int:
        if refusal is not None:
            raise refusal
        return 0

    monkeypatch.setattr(os, "setpriority", lambda *_: None)
    monkeypatch.setattr(Path, "write_text", write_text)

    assert raise_priority() is done


def test_a_network_that_cannot_be_set_up_is_not_kept() -> None:
    """In a process of its own, which would otherwise be left without loopback."""
    code = (
        "import fcntl, socket\n"
        "from sse_bench import machine\n"
        "def refused(*_): raise PermissionError(1, 'not permitted')\n"
        "fcntl.ioctl = refused\n"
        "assert not machine.own_network()\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(server.getsockname())\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(BENCH)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
