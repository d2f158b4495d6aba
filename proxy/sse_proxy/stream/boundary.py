"""Where a stream of events may be ended or interrupted: at an event boundary. Sans-I/O.

The rules (WHATWG HTML, 9.2.5 and 9.2.6): a line ends with LF, CR or CRLF. A line that begins with a colon is a
comment, any other that is not empty a field, and a blank line ends the event. So a boundary is where a line has ended,
or none has begun, and no field has come since the last blank line. A comment opens no event.

Whether a CR at the very end is the whole line end shows only with the next byte. Until then it is taken for one in a
stream whose lines end with CR, and for the half of one where the line before ended with LF.
"""

from __future__ import annotations

import copy
import re

_LINE = re.compile(rb"([^\r\n]*)(\r\n|\r|\n|\Z)")


class EventBoundary:
    """Follows one stream's payload. Nearly every read of a real stream ends with a blank line in LFs, and then only
    its last two bytes are looked at."""

    __slots__ = ("_after_cr", "_field_open", "_in_comment", "_in_line", "_lf")

    def __init__(self) -> None:
        self._in_line = False
        """Whether a line has begun and not ended."""
        self._in_comment = False
        """Whether that line began with a colon."""
        self._field_open = False
        """Whether a whole field line has come since the last blank line."""
        self._after_cr = False
        """Whether the last byte was a CR, which an LF may still complete."""
        self._lf = False
        """Whether the line before ended with LF, alone or behind a CR."""

    @property
    def here(self) -> bool:
        """Whether the bytes so far end at an event boundary. The start of a stream is one."""
        return not (self._in_line or self._field_open or (self._after_cr and self._lf))

    @property
    def open(self) -> bool:
        """Whether a comment may be put in here: at an event boundary that no byte to come can move. A CR may."""
        return self.here and not self._after_cr

    @property
    def after_event(self) -> bool:
        """Whether the last bytes were those of a blank line, in LFs. More that ends so changes nothing."""
        return self._lf and not (self._in_line or self._field_open or self._after_cr)

    def feed(self, data: bytes) -> None:
        """Follow `data`."""
        if data.endswith(b"\n\n"):
            self._in_line = self._field_open = self._after_cr = False
            self._lf = True
        elif data:
            self._follow(data)

    def last_in(self, data: bytes) -> int:
        """How many bytes of `data`, which is not fed yet, come before the last boundary in it; -1: it has none."""
        boundaries = self.all_in(data)
        return boundaries[-1] if boundaries else -1

    def all_in(self, data: bytes) -> list[int]:
        """How many bytes of `data`, which is not fed yet, come before each boundary in it."""
        return copy.copy(self)._follow(data)

    def _follow(self, data: bytes) -> list[int]:
        """Follow `data`; how many bytes of it come before each boundary in it."""
        boundaries = []
        start = 0
        if self._after_cr:
            self._after_cr, self._lf = False, data.startswith(b"\n")
            start = int(self._lf)
            if start and self.here:
                boundaries.append(start)
        for line in _LINE.finditer(data, start):
            if line[1] and not self._in_line:
                self._in_line, self._in_comment = True, line[1].startswith(b":")
            if line[2]:
                self._end_line()
                self._after_cr = line[2] == b"\r" and line.end() == len(data)
                if not self._after_cr:
                    self._lf = line[2] != b"\r"
                if self.here:
                    boundaries.append(line.end())
        return boundaries

    def _end_line(self) -> None:
        if not self._in_line:
            self._field_open = False
        elif not self._in_comment:
            self._field_open = True
        self._in_line = False
