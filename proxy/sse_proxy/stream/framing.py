"""Where a message body ends: the three framings of RFC 9112, section 6. Sans-I/O.

A decoder takes what comes from the connection and gives the body's bytes. Everything that says how the body ended
lives here: `ended` (complete; what follows in the same read is not part of it), `broken` (why it can never be
complete), and `at_eof`, which tells what the end of the connection means.
Chunk sizes are hexadecimal digits and nothing else; extensions and trailers are dropped, bare LF is taken for CRLF.
"""

from __future__ import annotations

import re
from typing import Protocol

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?")

MAX_LINE = 4096
"""Bytes of a chunk's size line, extensions included."""

MAX_TRAILERS = 16384
"""Bytes of all trailer fields together."""


class BodyDecoder(Protocol):
    """One body's framing."""

    ended: bool
    broken: str | None

    @property
    def length(self) -> int | None:
        """The body's whole length in bytes, where it is known beforehand."""

    def feed(self, data: bytes) -> bytes:
        """The body's bytes in `data`. Never raises: bytes before a framing error still count."""

    def at_eof(self) -> str | None:
        """What the end of the connection means now: None for a complete body, else what is missing."""


class LengthBody:
    """A body of a known length."""

    __slots__ = ("_left", "_length", "broken", "ended")

    def __init__(self, length: int) -> None:
        self._length = self._left = length
        self.ended = length == 0
        self.broken: str | None = None

    @property
    def length(self) -> int | None:
        return self._length

    def feed(self, data: bytes) -> bytes:
        if len(data) > self._left:
            data = data[: self._left]
            self.broken = "bytes beyond Content-Length"
        self._left -= len(data)
        self.ended = self._left == 0
        return data

    def at_eof(self) -> str | None:
        return f"{self._left} bytes of Content-Length are missing" if self._left else None


class UntilClose:
    """A body that ends with the connection."""

    __slots__ = ("broken", "ended")

    length = None

    def __init__(self) -> None:
        self.ended = False
        self.broken: str | None = None

    def feed(self, data: bytes) -> bytes:
        return data

    def at_eof(self) -> str | None:
        return None


class ChunkedBody:
    """A chunked body."""

    __slots__ = ("_left", "_line", "_state", "_trailers", "broken", "ended")

    length = None

    _SIZE, _DATA, _DATA_END, _TRAILER = range(4)

    def __init__(self) -> None:
        self._state = self._SIZE
        self._left = 0
        self._line = b""
        self._trailers = 0
        self.ended = False
        self.broken: str | None = None

    def feed(self, data: bytes) -> bytes:
        parts: list[bytes] = []
        position, size = 0, len(data)
        while position < size and self.broken is None:
            if self.ended:
                self.broken = "bytes beyond the last chunk"
            elif self._state == self._DATA:
                part = data[position : position + self._left]
                parts.append(part)
                position += len(part)
                self._left -= len(part)
                if not self._left:
                    self._state = self._DATA_END
            else:
                position = self._feed_line(data, position)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _feed_line(self, data: bytes, position: int) -> int:
        end = data.find(b"\n", position)
        if end < 0:
            self._line += data[position:]
            if self._state == self._DATA_END and self._line != b"\r":
                self.broken = "a chunk is longer than its size"
            elif len(self._line) > MAX_LINE:
                self.broken = "a chunk's line is too long"
            return len(data)
        line, self._line = self._line + data[position:end], b""
        if len(line) > MAX_LINE:
            self.broken = "a chunk's line is too long"
        elif self._state == self._SIZE:
            self._start_chunk(line)
        elif self._state == self._DATA_END:
            self._state = self._SIZE
            if line not in (b"\r", b""):
                self.broken = "a chunk is longer than its size"
        elif line in (b"\r", b""):
            self.ended = True
        else:
            self._trailers += len(line)
            if self._trailers > MAX_TRAILERS:
                self.broken = "the trailers are too large"
        return end + 1

    def _start_chunk(self, line: bytes) -> None:
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            self.broken = "a chunk size that is no hexadecimal number"
            return
        self._left = int(match[1], 16)
        self._state = self._DATA if self._left else self._TRAILER

    def at_eof(self) -> str | None:
        return None if self.ended else "the last chunk is missing"
