"""The heads that upstream sends: from bytes to a status, fields and the body's framing. Sans-I/O.

Read strictly where two readers could differ (RFC 9112): a wrong head becomes 502 rather than a guess. What harms
nobody is mended instead: bare LF, obs-fold and blanks before a colon, as section 5 lets a gateway do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sse_proxy.errors import FramingError
from sse_proxy.stream.framing import BodyDecoder, ChunkedBody, LengthBody, UntilClose

_PLAIN = re.compile(
    rb"HTTP/1\.1 ([1-9][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
)
"""A head in which nothing is to be mended, as nearly all are."""
_FIELD = re.compile(rb"([^:\r]+):[\t ]*((?:[^\r]*[^\r\t ])?)[\t ]*\r\n")
"""Of its fields: a name, and its value without the blanks around it."""
_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: ([^\x00-\x08\x0a-\x1f\x7f]*))?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HEAD_END = re.compile(rb"\n\r?\n")

Fields = list[tuple[bytes, bytes]]


@dataclass(slots=True)  # frozen, one would take three times as long to make
class ResponseHead:
    """One response head. Field names and values are as they came, duplicates and order kept."""

    status: int
    phrase: bytes
    fields: Fields
    persistent: bool
    """Whether the connection can take another request after this response."""
    decoder: BodyDecoder | None
    """How the body ends; None where there is none."""

    @property
    def interim(self) -> bool:
        """Whether a final head follows (1xx). 101 cannot come: nothing is ever upgraded."""
        return self.status < 200

    def get(self, name: bytes) -> bytes | None:
        """The first value of a field; `name` in lower case."""
        for key, value in self.fields:
            if key.lower() == name:
                return value
        return None


def head_end(buffer: bytes | bytearray, start: int = 0) -> int:
    """Where the head in `buffer` ends (the offset behind its blank line), searched from `start`; -1: not yet."""
    match = _HEAD_END.search(buffer, start)
    return match.end() if match else -1


def parse_head(head: bytes, *, to_head_request: bool) -> ResponseHead:
    """Read one head, blank line included. Raises FramingError."""
    plain = _PLAIN.fullmatch(head)
    if plain is not None:
        status, phrase, one_zero = int(plain[1]), plain[2], False
        fields: Fields = _FIELD.findall(plain[3])
    else:
        lines = head.split(b"\n")
        status_line = _STATUS_LINE.fullmatch(lines[0].removesuffix(b"\r"))
        if status_line is None:
            raise FramingError("no HTTP/1 status line")
        status, phrase, one_zero = int(status_line[2]), status_line[3] or b"", status_line[1] == b"0"
        fields = _parse_fields(lines[1:-2])
    if status == 101:
        raise FramingError("switched protocols without being asked")
    options: list[bytes] = []
    codings: list[bytes] = []
    lengths: list[bytes] = []
    for name, value in fields:
        match name.lower():
            case b"connection":
                options += _list(value)
            case b"transfer-encoding":
                codings += _list(value)
            case b"content-length":
                lengths += _list(value)
    persistent = b"close" not in options and (not one_zero or b"keep-alive" in options)
    if to_head_request or status < 200 or status in (204, 304):
        return ResponseHead(status, phrase, fields, persistent, None)
    decoder = _decoder(codings, set(lengths), one_zero)
    if isinstance(decoder, UntilClose):
        persistent = False
    return ResponseHead(status, phrase, fields, persistent, decoder)


def _parse_fields(lines: list[bytes]) -> Fields:
    fields: Fields = []
    for raw in lines:
        line = raw.removesuffix(b"\r")
        if line[:1] in (b" ", b"\t"):
            if not fields:
                raise FramingError("a folded line before the first field")
            name, value = fields[-1]
            fields[-1] = (name, (value + b" " + line.strip(b" \t")).strip(b" "))
            continue
        name, colon, value = line.partition(b":")
        name = name.rstrip(b" \t")
        if not colon or not _NAME.fullmatch(name):
            raise FramingError("a line that is no header field")
        fields.append((name, value.strip(b" \t")))
    if any(_FORBIDDEN.search(value) for _, value in fields):
        raise FramingError("a control character in a header field")
    return fields


def _list(value: bytes) -> list[bytes]:
    return [item.strip(b" \t").lower() for item in value.split(b",")]


def _decoder(codings: list[bytes], lengths: set[bytes], one_zero: bool) -> BodyDecoder:
    """How the body is framed, by what the fields say: RFC 9112, section 6.3."""
    if codings:
        if lengths or one_zero or codings != [b"chunked"]:
            raise FramingError("a Transfer-Encoding other than chunked alone")
        return ChunkedBody()
    if not lengths:
        return UntilClose()
    length = lengths.pop()
    if lengths or not length.isdigit() or len(length) > 18:
        raise FramingError("a Content-Length that is no single number")
    return LengthBody(int(length))
