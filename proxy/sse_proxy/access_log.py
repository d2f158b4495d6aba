"""The access log: JSON lines. Event streams get one line when they open and one when they close, other exchanges one.

No credential is ever in it: no field of the request is logged, and of the query only parameter names.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

_encode = json.JSONEncoder(separators=(",", ":")).encode

Sink = Callable[[str], None]
"""Takes one line, without its end."""


def to_stdout(line: str) -> None:
    """Write a line to standard output at once. A reader that is gone costs the line, never the request."""
    with contextlib.suppress(OSError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def query_names(query: str | None) -> list[str]:
    """The parameter names of a query. What has no `=` may be a value, so it is not told."""
    return [
        name if equals else "*"
        for name, equals, _ in (part.partition("=") for part in (query or "").split("&"))
        if name
    ]


@lru_cache(maxsize=1)
def _to_the_second(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def line(event: str, members: dict[str, object]) -> str:
    """One log line: time (RFC 3339, UTC), event, and the members that have a value."""
    seconds, fraction = divmod(time.time(), 1)
    now = f"{_to_the_second(seconds)}.{int(fraction * 1000):03d}Z"
    present = {key: value for key, value in members.items() if value is not None}
    return _encode({"time": now, "event": event, **present})
