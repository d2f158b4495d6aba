"""A reader of HTTP/1.1 that knows one reading only: what it accepts, no other reader can read otherwise.

It is the judge of what the proxy sends, in both directions, and shares no code with the proxy. So it is stricter than
RFC 9112 lets a reader be: CRLF only, one blank behind a colon, no chunk extensions, no trailers, one framing field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_REQUEST_LINE = re.compile(rb"([A-Za-z]+) (/[\x21-\x7e]*) HTTP/1\.1")
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-9][0-9]{2}) [\t\x20-\x7e\x80-\xff]*")
_FIELD = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)"
)
_SIZE = re.compile(rb"0|[1-9a-f][0-9a-f]{0,15}")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,18}")

HOP_BY_HOP = frozenset(
    (b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade", b"proxy-authenticate", b"proxy-authorization")
)


class NotCanonicalError(Exception):
    """Bytes that two readers could read differently. Says which."""


class IncompleteError(Exception):
    """The bytes end within a message. `body` is what there is of its body."""

    def __init__(self, body: bytes = b"") -> None:
        super().__init__(body)
        self.body = body


@dataclass
class Message:
    """One message with its body. `start` is the method and target of a request, or the status of a response."""

    start: tuple[bytes, bytes] | int
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    until_close: bool = False

    def all(self, name: bytes) -> list[bytes]:
        """The values of a field; `name` in lower case."""
        return [value for key, value in self.fields if key.lower() == name]


def request(data: bytes) -> tuple[Message, bytes]:
    """The request that `data` begins with, and what follows it. Raises NotCanonicalError and IncompleteError."""
    line, fields, rest = _head(data)
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise NotCanonicalError(f"request line {line!r}")
    message = Message((match[1], match[2]), fields)
    if len(message.all(b"host")) != 1 or not message.all(b"host")[0]:
        raise NotCanonicalError(f"Host fields {message.all(b'host')!r}")
    framing = _framing(message)
    if framing is not None:
        message.body, rest = _body(rest, framing)
    return message, rest


def responses(data: bytes, methods: list[bytes], *, closed: bool) -> list[Message]:
    """Every response in `data`, to requests with these methods. `closed` says that the connection has ended, without a
    reset. Raises NotCanonicalError, and IncompleteError where the last one is cut short."""
    found: list[Message] = []
    waiting = list(methods)
    while data:
        line, fields, rest = _head(data)
        match = _STATUS_LINE.fullmatch(line)
        if match is None:
            raise NotCanonicalError(f"status line {line!r}")
        message = Message(int(match[1]), fields)
        status = int(match[1])
        framing = _framing(message)
        if status < 200:
            if framing is not None:
                raise NotCanonicalError(f"a {status} with a framing field")
            data = rest
            continue
        if not waiting:
            raise NotCanonicalError(f"a response that nobody asked for: {line!r}")
        method = waiting.pop(0)
        if method == b"HEAD" or status in (204, 304):
            if (status == 204 and framing is not None) or framing == b"chunked":
                raise NotCanonicalError(f"framing {framing!r} of a message without a body")
            data = rest
        elif framing is None:
            if b"close" not in message.all(b"connection"):
                raise NotCanonicalError("a body until the end of a connection that does not close")
            message.body, message.until_close, data = rest, True, b""
            if not closed:
                raise IncompleteError(message.body)
        else:
            message.body, data = _body(rest, framing)
        found.append(message)
    return found


def _head(data: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        raise IncompleteError
    line, *lines = head.split(b"\r\n")
    fields = []
    for raw in lines:
        match = _FIELD.fullmatch(raw)
        if match is None:
            raise NotCanonicalError(f"field {raw!r}")
        if match[1].lower() in HOP_BY_HOP:
            raise NotCanonicalError(f"hop-by-hop field {raw!r}")
        fields.append((match[1], match[2]))
    return line, fields, rest


def _framing(message: Message) -> bytes | None:
    """`chunked`, a Content-Length, or None."""
    codings, lengths = message.all(b"transfer-encoding"), message.all(b"content-length")
    if len(codings) + len(lengths) > 1:
        raise NotCanonicalError(f"framing fields {codings + lengths!r}")
    if codings:
        if codings != [b"chunked"]:
            raise NotCanonicalError(f"Transfer-Encoding {codings!r}")
        return b"chunked"
    if lengths and not _LENGTH.fullmatch(lengths[0]):
        raise NotCanonicalError(f"Content-Length {lengths!r}")
    return lengths[0] if lengths else None


def _body(data: bytes, framing: bytes) -> tuple[bytes, bytes]:
    if framing != b"chunked":
        length = int(framing)
        if len(data) < length:
            raise IncompleteError(data)
        return data[:length], data[length:]
    body = b""
    while True:
        line, end, rest = data.partition(b"\r\n")
        if not end:
            raise IncompleteError(body)
        if not _SIZE.fullmatch(line):
            raise NotCanonicalError(f"chunk size {line!r}")
        size = int(line, 16)
        if len(rest) < size + 2:
            raise IncompleteError(body + rest[:size])
        if rest[size : size + 2] != b"\r\n":
            raise NotCanonicalError(f"no CRLF behind a chunk: {rest[size : size + 2]!r}")
        body, data = body + rest[:size], rest[size + 2 :]
        if not size:
            return body, data
