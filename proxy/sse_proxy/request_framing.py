"""A client's bytes, read strictly into requests: heads, their bodies, and where each ends. Sans-I/O.

Whatever another reader might read differently is refused (HTTP/0.9, chunks in HTTP/1.0, unknown transfer codings,
bare line ends, extensions of any size). Everything that decides where a request begins and ends lives here:

- Lines end with CRLF. A bare CR or LF, a NUL or another control character, and a folded line are faults.
- A body has one Content-Length or the one transfer coding `chunked` (HTTP/1.1 only), never both, nor one of them twice.
- Chunk sizes are hexadecimal digits. Extensions and trailers are dropped, within limits.
- What follows a fault, or the last request of a connection, is never read as a request.

What comes out has the fields as they came, and the bodies without their framing.
Sources: RFC 9112, sections 2.2, 3, 5, 6, 7 and 9.6.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sse_proxy.problem import Problem

MAX_CHUNK_LINE = 4096
"""Bytes of a chunk's size line, extensions included."""

MAX_TRAILERS = 16 * 1024
"""Bytes of all trailer fields together."""

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])")
_FIELDS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*")
_FIELD = re.compile(rb"([^:\r]+):[\t ]*((?:[^\r]*[^\r\t ])?)[\t ]*\r\n")
"""Of lines that `_FIELDS` has let pass: a name, and its value without the blanks around it."""
_STRAY = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")

_METHODS = frozenset(
    # Of RFC 9110, PATCH and QUERY; then those of WebDAV and its kin (RFC 3253, 3744, 4791, 4918, 5323, 5842).
    b"GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH QUERY "
    b"COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE "
    b"MKCALENDAR LINK UNLINK PURGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE SOURCE".split()
)
"""What may be a method: a word beyond these is more often no HTTP at all."""


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


@dataclass(slots=True)  # frozen, one would take three times as long to make
class RequestHead:
    """One request's head."""

    method: bytes
    target: bytes
    one_zero: bool
    """Whether it is HTTP/1.0; otherwise it is 1.1."""
    fields: list[tuple[bytes, bytes]]
    """Names and values as they came, without the blanks around the values."""
    first: dict[bytes, bytes]
    """The first value of each field, by its name in lower case."""
    last: bool
    """Whether no other request follows on the connection."""
    length: int | None
    """The body's Content-Length; None where there is none."""
    chunked: bool

    @property
    def has_body(self) -> bool:
        """Whether parts of a body follow."""
        return self.chunked or bool(self.length)


Parts = list[RequestHead | bytes]
"""What has been read: heads, and bytes of the bodies that follow them; an empty part ends a body."""


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

    def feed(self, data: bytes) -> Parts:
        """Take what the client sent, and give what of it can be read now.

        Never raises: where `fault` is set afterwards, what came before the fault still counts.
        """
        out: Parts = []
        try:
            if not self._buffer:
                # Most clients send a head in one piece, and the body in as few as possible: no need to copy them.
                if self._state == self._HEAD:
                    data = self._read_whole_head(data, out)
                if self._state == self._LENGTH:
                    data = self._read_of_length(data, out)
            if data and self._state != self._OVER:
                self._buffer += data
                while self._buffer and self._step(out):
                    pass
        except _FaultError as fault:
            (self.fault,) = fault.args
            self._state = self._OVER
        if self._state == self._OVER:
            self._buffer.clear()
        return out

    def _step(self, out: Parts) -> bool:
        """Take one part of a message off the buffer; False where more of it must come first."""
        match self._state:
            case self._HEAD:
                return self._read_head(out)
            case self._LENGTH:
                self._read_of_length(self._take(self._left), out)
            case self._DATA:
                data = self._take(self._left)
                self._left -= len(data)
                out.append(data)
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

    def _read_whole_head(self, data: bytes, out: Parts) -> bytes:
        """Read a head that is all of `data` or begins it, and is too small to be too large; what comes behind it. Where
        there is none, all of `data` is left."""
        end = data.find(b"\r\n\r\n", 0, min(self._limits.request_line, self._limits.head))
        if end <= 0 or data.startswith(b"\r\n"):
            return data
        out.append(self._judge(data[: end + 2]))
        return data[end + 4 :]

    def _read_head(self, out: Parts) -> bool:
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

    def _judge(self, head: bytes) -> RequestHead:
        """Read a head, which comes without its blank line."""
        line, _, lines = head.partition(b"\r\n")
        match = _REQUEST_LINE.fullmatch(line)
        if match is None:
            raise _bad("The request line is not of the form METHOD TARGET HTTP/1.1.")
        method, target, major, minor = match.groups()
        if major != b"1" or minor not in (b"0", b"1"):
            raise _FaultError(Problem(505, "VersionNotSupported"))
        if method not in _METHODS:
            raise _FaultError(Problem(501, "MethodUnknown"))
        self._judge_size(lines)
        if not _FIELDS.fullmatch(lines):
            raise _bad("A line of the head is no header field, or has a control character.")
        one_zero = minor == b"0"
        fields = _FIELD.findall(lines)
        first = {name.lower(): value for name, value in reversed(fields)}
        hosts = _values(b"host", fields, first)
        if len(hosts) > 1 or (not hosts and not one_zero):
            raise _bad("There must be exactly one Host field.")
        if one_zero or b"connection" in first:
            connections = _values(b"connection", fields, first)
            options = [option.strip(b" \t").lower() for value in connections for option in value.split(b",")]
            self._last = b"close" in options or (one_zero and b"keep-alive" not in options)
        else:
            self._last = False
        length, chunked = self._begin_body(
            _values(b"content-length", fields, first), _values(b"transfer-encoding", fields, first), one_zero
        )
        return RequestHead(method, target, one_zero, fields, first, self._last, length, chunked)

    def _read_of_length(self, data: bytes, out: Parts) -> bytes:
        """Read of a body whose length is known; what comes behind it."""
        left = self._left
        if len(data) < left:
            self._left = left - len(data)
            if data:
                out.append(data)
            return b""
        out += (data[:left], b"")
        self._left = 0
        self._begin_head()
        return data[left:]

    def _judge_size(self, fields: bytes) -> None:
        limits = self._limits
        if fields.count(b"\n") > limits.header_fields or (
            len(fields) > limits.header_field and max(map(len, fields.split(b"\r\n"))) > limits.header_field
        ):
            raise _FaultError(Problem(431, "HeaderTooLarge"))

    def _begin_body(self, lengths: list[bytes], codings: list[bytes], one_zero: bool) -> tuple[int | None, bool]:
        """Decide how the body ends: its length, where it is given, and whether it comes in chunks."""
        if codings:
            if lengths:
                raise _bad("A request has either a Content-Length or a Transfer-Encoding.")
            if one_zero or len(codings) > 1 or codings[0].lower() != b"chunked":
                raise _bad("The only Transfer-Encoding is chunked, in HTTP/1.1, once.")
            self._state, self._trailers = self._SIZE, 0
            return None, True
        if not lengths:
            self._begin_head()
            return None, False
        if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 18:
            raise _bad("The Content-Length is not a single number.")
        self._left = int(lengths[0])
        if self._left:
            self._state = self._LENGTH
        else:
            self._begin_head()
        return self._left, False

    # Chunks.

    def _read_chunk_line(self, out: Parts) -> bool:
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
            out.append(b"")
            self._begin_head()
        return True

    def _read_size(self, line: bytes) -> None:
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise _bad("A chunk's size is not a hexadecimal number.")
        self._left = int(match[1], 16)
        self._state = self._DATA if self._left else self._TRAILER


def _values(name: bytes, fields: list[tuple[bytes, bytes]], first: dict[bytes, bytes]) -> list[bytes]:
    """All values of a field; `name` in lower case."""
    if name not in first:
        return []
    if len(first) == len(fields):
        return [first[name]]
    return [value for each, value in fields if each.lower() == name]


def _bad(detail: str) -> _FaultError:
    return _FaultError(Problem(400, "BadRequest", detail))
