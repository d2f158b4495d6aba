"""Where a message body ends: the three framings of RFC 9112, section 6. Sans-I/O.

A decoder takes what comes from the connection and gives the body's bytes, and beside them what a recipient is sent for
them. Everything that says how the body ended lives here: `ended` (complete; what follows in the same read is not part
of it), `broken` (why it can never be complete), and `at_eof`, which tells what the end of the connection means.

Chunk framing that both sides share passes as it is: chunks in the one canonical form go on in the very bytes that they
came in. What is legal but not canonical (extensions, trailers, bare LF, upper case, leading zeros) is framed anew, a
size line is passed on only when it is whole, and what is not legal ends the body before any byte of it is passed on.
"""

from __future__ import annotations

import re
from typing import Protocol

_MOST_DIGITS = 15  # of a chunk's size: below 2^60 bytes no reader's integer overflows
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,%d})[ \t]*(?:;[^\r\n]*)?\r?" % _MOST_DIGITS)

LAST_CHUNK = b"0\r\n\r\n"
_END_AND_LAST = b"\r\n" + LAST_CHUNK

MAX_LINE = 4096
"""Bytes of a chunk's size line, extensions included."""

MAX_TRAILERS = 16384
"""Bytes of all trailer fields together."""


def chunk(data: bytes) -> bytes:
    """`data` as one chunk; nothing for no data, since an empty chunk is the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


class BodyDecoder(Protocol):
    """One body's framing."""

    ended: bool
    broken: str | None

    @property
    def length(self) -> int | None:
        """The body's whole length in bytes, where it is known beforehand."""

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """The body's bytes in `data`, and the same as they are framed for a recipient: in chunks where the length is
        not known, without the last chunk. Never raises: bytes before a framing error still count."""

    @property
    def between_chunks(self) -> bool:
        """Whether what `feed` has given as framed ends with a whole chunk, so that another one may stand there."""

    @property
    def at_chunk(self) -> bool:
        """Whether the next byte begins a chunk."""

    def framed_part(self, body: bytes) -> bytes:
        """The beginning of the bytes that the last `feed` gave, framed for a recipient that gets no more than that."""

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

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        if len(data) > self._left:
            data = data[: self._left]
            self.broken = "bytes beyond Content-Length"
        self._left -= len(data)
        self.ended = self._left == 0
        return data, data

    @property
    def between_chunks(self) -> bool:
        return False

    @property
    def at_chunk(self) -> bool:
        return False

    def framed_part(self, body: bytes) -> bytes:
        return body

    def at_eof(self) -> str | None:
        return f"{self._left} bytes of Content-Length are missing" if self._left else None


class UntilClose:
    """A body that ends with the connection."""

    __slots__ = ("broken", "ended")

    length = None

    def __init__(self) -> None:
        self.ended = False
        self.broken: str | None = None

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        return data, chunk(data)

    @property
    def between_chunks(self) -> bool:
        return True

    @property
    def at_chunk(self) -> bool:
        return False

    def framed_part(self, body: bytes) -> bytes:
        return chunk(body)

    def at_eof(self) -> str | None:
        return None


class ChunkedBody:
    """A chunked body."""

    __slots__ = ("_begun", "_left", "_line", "_state", "_trailers", "broken", "ended")

    length = None

    _SIZE, _DATA, _DATA_END, _TRAILER = range(4)

    def __init__(self) -> None:
        self._state = self._SIZE
        self._left = 0
        """Bytes of the current chunk's data that are still to come."""
        self._begun: int | None = None
        """Bytes that the last `feed` gave of a chunk that had begun to go on before; None where there was none."""
        self._line = b""
        """The beginning of a line that is not whole yet."""
        self._trailers = 0
        self.ended = False
        self.broken: str | None = None

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        if data == LAST_CHUNK and self.at_chunk:
            self._begun = None
            self._state, self.ended = self._TRAILER, True
            return b"", b""
        if self._state == self._SIZE:
            # Usually a read is one chunk, or the last two. Then the size is known beforehand, and its line is compared,
            # not read.
            start = data.find(b"\r\n", 0, _MOST_DIGITS + 2) + 2
            whole = data[: -len(LAST_CHUNK)] if data.endswith(_END_AND_LAST) else data
            size = len(whole) - start - 2
            if size > 0 and not self._line and whole.startswith(b"%x\r\n" % size) and whole.endswith(b"\r\n"):
                self._begun = None
                if whole is not data:
                    self._state, self.ended = self._TRAILER, True
                return whole[start:-2], whole
        elif self._state == self._DATA and len(data) < self._left:
            self._begun = len(data)
            self._left -= len(data)
            return data, data
        return self._feed_parts(data)

    def _feed_parts(self, data: bytes) -> tuple[bytes, bytes]:
        body: list[bytes] = []
        framed: list[bytes] = []
        self._begun = min(self._left, len(data)) if self._state in (self._DATA, self._DATA_END) else None
        position = 0
        while position < len(data) and self.broken is None:
            if self.ended:
                self.broken = "bytes beyond the last chunk"
            elif self._state == self._DATA:
                part = data[position : position + self._left]
                body.append(part)
                framed.append(part)
                position += len(part)
                self._left -= len(part)
                if not self._left:
                    self._state = self._DATA_END
            else:
                position = self._feed_line(data, position, framed)
        return b"".join(body), b"".join(framed)

    def _feed_line(self, data: bytes, position: int, framed: list[bytes]) -> int:
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
            self._start_chunk(line, framed)
        elif self._state == self._DATA_END:
            if line in (b"\r", b""):
                self._state = self._SIZE
                framed.append(b"\r\n")
            else:
                self.broken = "a chunk is longer than its size"
        elif line in (b"\r", b""):
            self.ended = True
        else:
            self._trailers += len(line)
            if self._trailers > MAX_TRAILERS:
                self.broken = "the trailers are too large"
        return end + 1

    def _start_chunk(self, line: bytes, framed: list[bytes]) -> None:
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            self.broken = "a chunk size that is no hexadecimal number"
            return
        self._left = int(match[1], 16)
        if self._left:
            self._state = self._DATA
            framed.append(b"%x\r\n" % self._left)
        else:
            self._state = self._TRAILER

    @property
    def between_chunks(self) -> bool:
        return self._state in (self._SIZE, self._TRAILER)

    @property
    def at_chunk(self) -> bool:
        return self._state == self._SIZE and not self._line

    def framed_part(self, body: bytes) -> bytes:
        if self._begun is None:
            return chunk(body)
        begun, rest = body[: self._begun], body[self._begun :]
        return begun + b"\r\n" + chunk(rest) if rest else begun

    def at_eof(self) -> str | None:
        return None if self.ended else "the last chunk is missing"
