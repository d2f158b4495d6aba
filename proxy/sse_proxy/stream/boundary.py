"""Where a stream of events may be ended or interrupted: at an event boundary. Sans-I/O.

A boundary is the place behind a blank line, and the start of the stream (WHATWG HTML, section 9.2.5). Lines end with
LF, CRLF or CR. Behind a CR that ends a blank line there is no boundary yet when its line before ended with LF: its
own LF may follow. Comments are lines like others here: after one, a blank line must come first.
"""

from __future__ import annotations

import re

_BLANK_LINE = re.compile(rb"\n\n|\n\r\n|\r\r\n?")
_AT_END = (b"\n\n", b"\n\r\n", b"\r\r", b"\r\r\n")


class EventBoundary:
    """Follows a stream's bytes."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b"\n\n"

    @property
    def here(self) -> bool:
        """Whether the bytes so far end at an event boundary."""
        return self._tail.endswith(_AT_END)

    def feed(self, data: bytes) -> None:
        """Follow `data`."""
        self._tail = data[-3:] if len(data) > 2 else (self._tail + data)[-3:]

    def last_in(self, data: bytes) -> int:
        """How many bytes of `data`, which is not fed yet, come before the last boundary in it; -1: it has none."""
        known = len(self._tail)
        ends = [match.end() for match in _BLANK_LINE.finditer(self._tail + data) if match.end() > known]
        return ends[-1] - known if ends else -1
