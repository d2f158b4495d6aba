"""What `scripts/generate.py` and `scripts/chart.py` have in common: files that are made, and held to be current."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]


def write_or_check(script: str, arguments: list[str], files: Mapping[Path, str]) -> int:
    """Write those that are not current; with `--check` name them, on standard error. The exit code."""
    if arguments not in ([], ["--check"]):
        print(f"usage: scripts/{script} [--check]", file=sys.stderr)
        return 2
    stale = {path: text for path, text in files.items() if not path.exists() or path.read_text() != text}
    if arguments:
        if stale:
            names = ", ".join(str(path.relative_to(CHECKOUT)) for path in stale)
            print(f"not current, run `make generate`: {names}", file=sys.stderr)
        return 1 if stale else 0
    for path, text in stale.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(f"wrote {path.relative_to(CHECKOUT)}")
    return 0
