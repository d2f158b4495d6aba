"""What the bench asks of the machine, where the machine says no."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sse_bench.machine import raise_priority


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
