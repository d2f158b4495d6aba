"""What a client's request target must look like before it is routed, and how its path is matched. Pure.

The rules, and why they are so:

- The path is judged and matched in one reading, and forwarded as it came. So whatever two parsers might read
  differently is refused: dot segments (raw, encoded, or with a `;parameter` that some servers cut off), `%2F`, `%5C`,
  backslashes, empty segments, malformed percent-encoding, control characters.
- For matching, every other percent-encoded octet is decoded, so that `/%73seconsumer` is `/sseconsumer` and cannot
  slip past the plan of the longer path. `%25` stays as it is: decoding it would be decoding twice.
- Since neither `%2F` nor `//` gets through, segments of the raw path and of the decoded one correspond one to one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from sse_proxy.access_log import member, query_names
from sse_proxy.errors import BadTargetError

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=-]*)(?::([0-9]*))?", re.ASCII)
_ABSOLUTE = re.compile(r"(https?)://([^/?#]*)([^#]*)", re.ASCII | re.IGNORECASE)
_VISIBLE = re.compile(r"[\x21-\x7e]+", re.ASCII)
_MALFORMED_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_ESCAPED_SEPARATOR = re.compile(r"%(?:2f|5c)", re.ASCII | re.IGNORECASE)
_ESCAPED_CONTROL = re.compile(r"%(?:[01][0-9a-f]|7f)", re.ASCII | re.IGNORECASE)
_MOST_REMEMBERED = 1024
_REMEMBERED_SIZE = 512
"""Characters of a target and its host: what is longer comes seldom twice."""
_DOT_SEGMENT = re.compile(r"/\.\.?(?:;[^/]*)?(?:/|$)", re.ASCII)


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """A request target that passed: everything as it came, except `host` and `segments`, which are for matching."""

    host: str
    """Lower case, without port and trailing dot; `""` where the client named none (HTTP/1.0)."""
    path: str
    """From the leading `/`, undecoded."""
    query: str | None
    """Behind the `?`, undecoded; None without `?`."""
    segments: tuple[str, ...]
    """The path's segments, decoded for matching; `("",)` is the root, a trailing `/` gives a last `""`."""
    log_members: str
    """What the access log says of it."""


def parse_target(target: str, host: str | None) -> RequestTarget:
    """Judge a request line's target together with the Host field.

    `target` is in origin form, or in absolute form with the authority that Host names (RFC 9112, section 3.2).
    Raises BadTargetError with the rule that is broken.
    """
    if len(target) + len(host or "") <= _REMEMBERED_SIZE:
        return _known(target, host)
    return _parse(target, host)


def _parse(target: str, host: str | None) -> RequestTarget:
    if not _VISIBLE.fullmatch(target):
        raise BadTargetError("The request target holds a blank, a control character or a character beyond ASCII.")
    if "#" in target:
        raise BadTargetError("The request target has a fragment (#).")
    if not target.startswith("/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            raise BadTargetError("The request target must be a path that starts with /, or an absolute http(s) URL.")
        authority = absolute[2]
        if host is not None and authority.lower() != host.lower():
            raise BadTargetError("The request target and the Host field name different hosts.")
        host = authority
        if not authority:
            raise BadTargetError("The request target names no host.")
        target = absolute[3] if absolute[3].startswith("/") else "/" + absolute[3]
    path, mark, query = target.partition("?")
    name = parse_host(host)
    return RequestTarget(
        host=name,
        path=path,
        query=query if mark else None,
        segments=_segments(path),
        log_members=member("host", name) + member("path", path) + query_names(query),
    )


_known = lru_cache(_MOST_REMEMBERED)(_parse)
"""Clients ask for the same again and again."""


def parse_host(host: str | None) -> str:
    """A Host field for matching: lower case, no port, no trailing dot. Raises BadTargetError where it is none."""
    if host is None:
        return ""
    match = _HOST.fullmatch(host)
    name = match[1].lower().removesuffix(".") if match is not None else ""
    if match is None or not name or (match[2] and int(match[2]) > 65535):
        raise BadTargetError("The Host field is not a host name with an optional port.")
    return name


def _segments(path: str) -> tuple[str, ...]:
    if "//" in path:
        raise BadTargetError("The path has an empty segment (//).")
    if "\\" in path:
        raise BadTargetError("The path has a backslash.")
    if "%" in path:
        if _MALFORMED_ESCAPE.search(path):
            raise BadTargetError("The path has a % that is not followed by two hexadecimal digits.")
        if _ESCAPED_SEPARATOR.search(path):
            raise BadTargetError("The path has an encoded slash or backslash (%2F, %5C).")
        if _ESCAPED_CONTROL.search(path):
            raise BadTargetError("The path has an encoded control character.")
        path = unquote_to_bytes(path.replace("%25", "%2525")).decode("utf-8", "surrogateescape")
    if "/." in path and _DOT_SEGMENT.search(path):
        raise BadTargetError("The path has a . or .. segment.")
    return tuple(path[1:].split("/"))


def rest_of_path(path: str, consumed: int) -> str:
    """What of a raw `path` follows its first `consumed` segments: `""`, or it starts with `/`."""
    if consumed == 0:
        return "" if path == "/" else path
    position = 0
    for _ in range(consumed):
        position = path.find("/", position + 1)
        if position < 0:
            return ""
    return path[position:]
