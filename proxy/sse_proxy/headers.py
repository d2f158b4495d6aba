"""Which header fields go on, in both directions. Pure; names and values are raw bytes, as they came.

Hop-by-hop fields stay behind (RFC 9110, section 7.6.1): the known ones and those that Connection lists. What the
gateway itself says (Host, framing, X-Forwarded-*) is added after that, so that no client can list it away.
"""

from __future__ import annotations

from collections.abc import Iterable

from sse_proxy.field_changes import UNCHANGED, FieldChanges

Fields = list[tuple[bytes, bytes]]

_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_SET_BY_GATEWAY = frozenset(
    (
        b"host",
        b"content-length",
        b"expect",
        b"accept-encoding",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-forwarded-host",
        b"x-forwarded-port",
    )
)
_NOT_FORWARDED = _HOP_BY_HOP | _SET_BY_GATEWAY

_NONE: frozenset[bytes] = frozenset()

PSEUDONYM = b"sse-gateway"
MAX_HOPS = 8
"""How many gateways of this kind may stand in a row before it is taken for a loop."""


class Client:
    """What upstream is told of the client's connection."""

    __slots__ = ("lines",)

    def __init__(self, address: bytes, scheme: bytes, host: bytes, port: bytes) -> None:
        """`address` is for X-Forwarded-For: its address, and those of trusted proxies behind it. `host` is the Host
        field as it came; empty where there was none."""
        lines = [b"X-Forwarded-For: " + address, b"X-Forwarded-Proto: " + scheme]
        if host:
            lines.append(b"X-Forwarded-Host: " + host)
        lines.append(b"X-Forwarded-Port: " + port)
        self.lines = b"\r\n".join(lines)
        """The fields that tell it."""


def connection_options(fields: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """The names that Connection fields list, in lower case."""
    listed = [value for name, value in fields if name.lower() == b"connection"]
    return (
        frozenset(option.strip(b" \t").lower() for value in listed for option in value.split(b",")) if listed else _NONE
    )


def hops(fields: Iterable[tuple[bytes, bytes]]) -> int:
    """Through how many gateways of this kind a request has come, by its Via fields."""
    return sum([value.count(b" " + PSEUDONYM) for name, value in fields if name.lower() == b"via"])


def request_head(
    method: bytes,
    target: bytes,
    authority: bytes,
    fields: Iterable[tuple[bytes, bytes]],
    client: Client,
    *,
    length: int | None,
    chunked: bool,
    keep_alive: bool,
    compression: bool = False,
    changes: FieldChanges = UNCHANGED,
) -> bytes:
    """The head of the request to upstream.

    `changes` are the API's: they come after what a Connection field lists, which cannot undo them. `length` is the
    body's Content-Length, `chunked` a body without one. Without `compression` upstream is asked
    for identity: a compressor holds events back until its window is full.
    """
    fields = list(fields)
    left_behind = _NOT_FORWARDED
    if options := connection_options(fields):
        left_behind |= options
    if changes.dropped:
        left_behind |= changes.dropped
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: " + authority]
    via = b""
    for name, value in fields:
        lowered = name.lower()
        if lowered not in left_behind:
            lines.append(name + b": " + value)
        elif lowered == b"via":
            via += value + b", "
        elif lowered == b"accept-encoding" and compression:
            lines.append(name + b": " + value)
    for name, value in changes.added:
        lines.append(name + b": " + value)
    if not compression:
        lines.append(b"Accept-Encoding: identity")
    lines.append(b"Via: " + via + b"1.1 " + PSEUDONYM)
    lines.append(client.lines)
    if length is not None:
        lines.append(b"Content-Length: %d" % length)
    elif chunked:
        lines.append(b"Transfer-Encoding: chunked")
    if not keep_alive:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def response_head(
    status: int,
    phrase: bytes,
    fields: Fields,
    *,
    bodiless: bool,
    chunked: bool,
    close: bool,
    changes: FieldChanges = UNCHANGED,
) -> bytes:
    """The head of the response to the client: upstream's fields as they came, without what was between it and us, and
    with the `changes` that the API asks for.

    A `bodiless` answer keeps the Content-Length that it speaks of (HEAD, 304), except 204, which must not have one.
    """
    left_behind = _HOP_BY_HOP
    for name, _ in fields:
        if name.lower() == b"connection":
            left_behind = _HOP_BY_HOP | connection_options(fields)
            break
    if changes.dropped:
        left_behind |= changes.dropped
    extended, extension = changes.extended or (None, b"")
    lines = [b"HTTP/1.1 %d %b" % (status, phrase)]
    length_wanted = not chunked and not (bodiless and status == 204)
    for name, value in fields:
        lowered = name.lower()
        if lowered == b"content-length":
            # Upstream may say its length twice, as 05, or list it as hop-by-hop; the client must not have to wonder.
            length = value.partition(b",")[0].strip()
            if length_wanted and length.isdigit():
                length_wanted = False
                lines.append(name + b": " + (length.lstrip(b"0") or b"0"))
        elif lowered not in left_behind:
            lines.append(name + b": " + (value + extension if value and lowered == extended else value))
    for name, value in changes.added:
        lines.append(name + b": " + value)
    if chunked:
        lines.append(b"Transfer-Encoding: chunked")
    if close:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def is_event_stream(content_type: bytes | None) -> bool:
    """Whether a Content-Type says text/event-stream."""
    return content_type is not None and content_type.partition(b";")[0].strip().lower() == b"text/event-stream"


def is_encoded(content_encoding: bytes | None) -> bool:
    """Whether a Content-Encoding says that the body is no plain text."""
    return content_encoding is not None and content_encoding.strip().lower() not in (b"", b"identity")
