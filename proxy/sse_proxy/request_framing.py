"""A client's bytes, read strictly before anything else reads them, and handed on in their one canonical form. Sans-I/O.

aiohttp's parser forgives what others read differently (HTTP/0.9, chunks in HTTP/1.0, unknown transfer codings,
extensions of any size), and an error of its loses the whole requests before it in the same read. So this stands in
front of it. Everything that decides where a request begins and ends lives here:

- Lines end with CRLF. A bare CR or LF, a NUL or another control character, and a folded line are faults.
- A body has one Content-Length or the one transfer coding `chunked` (HTTP/1.1 only), never both, nor one of them twice.
- Chunk sizes are hexadecimal digits. Extensions and trailers are dropped, within limits.
- What follows a fault, or the last request of a connection, is never read as a request.

What comes out has the fields as they came, but the framing fields rewritten and the chunks re-framed.
Sources: RFC 9112, sections 2.2, 3, 5, 6, 7 and 9.6.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sse_proxy.problem import Problem

UNREADABLE = b"\x00"
"""A byte that no HTTP parser takes at any place where a fault can be: it ends the reading behind this in order."""

MAX_CHUNK_LINE = 4096
"""Bytes of a chunk's size line, extensions included."""

MAX_TRAILERS = 16 * 1024
"""Bytes of all trailer fields together."""

_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\x7e]+ HTTP/([0-9])\.([0-9])")
_FIELDS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*")
_FRAMING = re.compile(
    rb"^(content-length|transfer-encoding|connection|host):[ \t]*([^\r]*?)[ \t]*\r\n", re.IGNORECASE | re.MULTILINE
)
_STRAY = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")


@dataclass(frozen=True, slots=True)
class HeadLimits:
    """How large a request head may be."""

    request_line: int = 16 * 1024
    """Bytes of the request line; beyond: 414."""
    header_field: int = 32 * 1024
    """Bytes of one header field; beyond: 431."""
    header_fields: int = 128
    """Number of header fields; beyond: 431."""
    head: int = 64 * 1024
    """Bytes of the whole head; beyond: 431."""


class _FaultError(Exception):
    """The bytes so far cannot be the beginning of a request. Its argument is what to answer."""


class RequestFraming:
    """One connection's requests."""

    __slots__ = ("_buffer", "_last", "_left", "_limits", "_scanned", "_state", "_trailers", "fault")

    _HEAD, _LENGTH, _SIZE, _DATA, _DATA_END, _TRAILER, _OVER = range(7)

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._state = self._HEAD
        self._buffer = bytearray()
        self._scanned = 0
        self._left = 0
        self._trailers = 0
        self._last = False
        self.fault: Problem | None = None
        """Why nothing more is read; None while all is well."""

    @property
    def in_head(self) -> bool:
        """Whether part of a request head is waiting for the rest of it."""
        return self._state == self._HEAD and bool(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take what the client sent; what of it can be read now, in canonical form, each head at the start of a part.

        Never raises: where `fault` is set afterwards, what came before the fault still counts.
        """
        if self._state == self._LENGTH and len(data) < self._left:
            self._left -= len(data)
            return [data]
        if self._state == self._OVER:
            return []
        self._buffer += data
        out: list[bytes] = []
        try:
            while self._buffer and self._step(out):
                pass
        except _FaultError as fault:
            (self.fault,) = fault.args
            self._state = self._OVER
        if self._state == self._OVER:
            self._buffer.clear()
        return out

    def _step(self, out: list[bytes]) -> bool:
        """Take one part of a message off the buffer; False where more of it must come first."""
        match self._state:
            case self._HEAD:
                return self._read_head(out)
            case self._LENGTH:
                data = self._take(self._left)
                self._left -= len(data)
                out.append(data)
                if not self._left:
                    self._begin_head()
            case self._DATA:
                data = self._take(self._left)
                self._left -= len(data)
                out.append(b"%x\r\n%b\r\n" % (len(data), data))
                if not self._left:
                    self._state = self._DATA_END
            case self._DATA_END:
                if len(self._buffer) < 2 and self._buffer == b"\r":
                    return False
                if self._take(2) != b"\r\n":
                    raise _bad("A chunk is not as long as its size says.")
                self._state = self._SIZE
            case self._SIZE | self._TRAILER:
                return self._read_chunk_line(out)
            case _:
                return False
        return True

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _begin_head(self) -> None:
        self._state = self._OVER if self._last else self._HEAD
        self._scanned = 0

    # Heads.

    def _read_head(self, out: list[bytes]) -> bool:
        buffer, limits = self._buffer, self._limits
        # Blank lines before a request are forgiven (RFC 9112, section 2.2).
        while buffer.startswith(b"\r\n"):
            del buffer[:2]
        end = buffer.find(b"\r\n\r\n", max(self._scanned - 3, 0))
        size = len(buffer) if end < 0 else end
        if size > limits.request_line and buffer.find(b"\r\n", 0, limits.request_line + 2) < 0:
            raise _FaultError(Problem(414, "UriTooLong"))
        if size > limits.head:
            raise _FaultError(Problem(431, "HeaderTooLarge"))
        if end < 0:
            if _STRAY.search(buffer, max(self._scanned - 1, 0)):
                raise _bad("The request head has a bare CR, a bare LF or a control character.")
            self._scanned = len(buffer)
            return False
        head = bytes(buffer[: end + 2])
        del buffer[: end + 4]
        out.append(self._judge(head))
        return True

    def _judge(self, head: bytes) -> bytes:
        """The canonical form of a head, which comes without its blank line."""
        line, _, fields = head.partition(b"\r\n")
        match = _REQUEST_LINE.fullmatch(line)
        if match is None:
            raise _bad("The request line is not of the form METHOD TARGET HTTP/1.1.")
        if (match[1], match[2]) not in ((b"1", b"1"), (b"1", b"0")):
            raise _FaultError(Problem(505, "VersionNotSupported"))
        self._judge_size(fields)
        if not _FIELDS.fullmatch(fields):
            raise _bad("A line of the head is no header field, or has a control character.")
        one_zero = match[2] == b"0"
        framing: dict[bytes, list[bytes]] = {}
        for found in _FRAMING.finditer(fields):
            framing.setdefault(found[1].lower(), []).append(found[2])
        hosts = framing.get(b"host", ())
        if len(hosts) > 1 or (not hosts and not one_zero):
            raise _bad("There must be exactly one Host field.")
        options = [
            option.strip(b" \t").lower() for value in framing.get(b"connection", ()) for option in value.split(b",")
        ]
        self._last = b"close" in options or (one_zero and b"keep-alive" not in options)
        canonical = self._begin_body(
            framing.get(b"content-length", []), framing.get(b"transfer-encoding", []), one_zero
        )
        if canonical is None:
            return head + b"\r\n"
        rest = _FRAMING.sub(_without_framing, fields)
        return line + b"\r\n" + rest + canonical + b"\r\n\r\n"

    def _judge_size(self, fields: bytes) -> None:
        limits = self._limits
        if fields.count(b"\n") > limits.header_fields or (
            len(fields) > limits.header_field and max(map(len, fields.split(b"\r\n"))) > limits.header_field
        ):
            raise _FaultError(Problem(431, "HeaderTooLarge"))

    def _begin_body(self, lengths: list[bytes], codings: list[bytes], one_zero: bool) -> bytes | None:
        """Decide how the body ends. The one field that says so; None for a request without a body."""
        if codings:
            if lengths:
                raise _bad("A request has either a Content-Length or a Transfer-Encoding.")
            if one_zero or len(codings) > 1 or codings[0].lower() != b"chunked":
                raise _bad("The only Transfer-Encoding is chunked, in HTTP/1.1, once.")
            self._state, self._trailers = self._SIZE, 0
            return b"Transfer-Encoding: chunked"
        if not lengths:
            self._begin_head()
            return None
        if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 18:
            raise _bad("The Content-Length is not a single number.")
        self._left = int(lengths[0])
        if self._left:
            self._state = self._LENGTH
        else:
            self._begin_head()
        return b"Content-Length: %d" % self._left

    # Chunks.

    def _read_chunk_line(self, out: list[bytes]) -> bool:
        buffer = self._buffer
        end = buffer.find(b"\n")
        if (end if end >= 0 else len(buffer)) > MAX_CHUNK_LINE:
            raise _bad("A line between chunks is too long.")
        if end < 0:
            return False
        line = self._take(end + 1)
        if not line.endswith(b"\r\n"):
            raise _bad("A line between chunks ends with a bare LF.")
        line = line[:-2]
        if self._state == self._SIZE:
            self._read_size(line)
        elif line:
            self._trailers += len(line)
            if self._trailers > MAX_TRAILERS or not _TRAILER.fullmatch(line):
                raise _bad("A trailer is no field, or the trailers are too large.")
        else:
            out.append(b"0\r\n\r\n")
            self._begin_head()
        return True

    def _read_size(self, line: bytes) -> None:
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise _bad("A chunk's size is not a hexadecimal number.")
        self._left = int(match[1], 16)
        self._state = self._DATA if self._left else self._TRAILER


def _without_framing(field: re.Match[bytes]) -> bytes:
    return b"" if field[1].lower() in (b"content-length", b"transfer-encoding") else field[0]


def _bad(detail: str) -> _FaultError:
    return _FaultError(Problem(400, "BadRequest", detail))
