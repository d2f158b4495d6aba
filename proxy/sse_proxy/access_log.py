"""The access log: JSON lines. Event streams get one line when they open and one when they close, other exchanges one.

No credential is ever in it: no field of the request is logged, and of the query only parameter names.

A line is put together from members that are text already, since every request pays for it: what many lines have in
common is made once, and only what may need it is escaped.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quoted
from typing import TextIO

_PARAMETER = re.compile(r"(?:\A|&)([^&=]+)(=?)")

Sink = Callable[[str], None]
"""Takes one line, without its end."""

WITHIN = 0.1
"""Seconds that a line waits at most."""

MOST_WAITING = 256
"""Lines."""


class Output:
    """Writes lines to a stream, those of a moment in one go. Lives in one event loop, and is flushed before its end. A
    reader that is gone costs the lines, never a request."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: list[str] = []

    def take(self, line: str) -> None:
        """Take one line, without its end: a `Sink`."""
        waiting = self._waiting
        waiting.append(line)
        if len(waiting) == 1:
            asyncio.get_running_loop().call_later(WITHIN, self.flush)
        elif len(waiting) >= MOST_WAITING:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            with contextlib.suppress(OSError):
                self._stream.write("\n".join(waiting) + "\n")
                self._stream.flush()


def member(name: str, value: str | None) -> str:
    """The text of a member; none without a value, since such a member is left out."""
    return f',"{name}":{_quoted(value)}' if value else ""


def seconds(name: str, value: float | None) -> str:
    """The text of a member that is a time, exact to a tenth of a millisecond."""
    return "" if value is None else f',"{name}":{value:.4f}'


def query_names(query: str | None) -> str:
    """The text of the member with the parameter names of a query. What has no `=` may be a value, so it is not told."""
    if not query:
        return ""
    names = [_quoted(name) if equals else '"*"' for name, equals in _PARAMETER.findall(query)]
    return f',"query":[{",".join(names)}]' if names else ""


@lru_cache(maxsize=1)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def line(event: str, *members: str) -> str:
    """One log line: time (RFC 3339, UTC), event, and the members."""
    milliseconds = int(time.time() * 1000)
    now = _to_the_second(milliseconds // 1000)
    return f'{{"time":"{now}.{milliseconds % 1000:03d}Z","event":"{event}"{"".join(members)}}}'
