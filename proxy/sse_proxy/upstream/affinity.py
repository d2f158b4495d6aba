"""What of a request decides which endpoint it goes to, where that is by ConsistentHash. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from sse_proxy.config import HashOn
from sse_proxy.upstream.target import parameter_name


def key_of(
    hash_on: HashOn | None, fields: Iterable[tuple[bytes, bytes]], query: str | None, client: str | None
) -> bytes | None:
    """The first value of what is hashed on, as it came; None where the request has none, or an empty one."""
    if hash_on is None:
        return None
    if hash_on.header is not None:
        wanted = hash_on.header.lower().encode()
        return next((value for name, value in fields if name.lower() == wanted), b"") or None
    if hash_on.cookie is not None:
        return _cookie(hash_on.cookie.encode(), fields)
    if hash_on.query_parameter is not None:
        wanted = hash_on.query_parameter.encode()
        parts = (query or "").split("&")
        return next((part.partition("=")[2].encode() for part in parts if parameter_name(part) == wanted), b"") or None
    return client.encode() if client else None


def _cookie(wanted: bytes, fields: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    for field, value in fields:
        if field.lower() == b"cookie":
            for pair in value.split(b";"):
                name, _, content = pair.partition(b"=")
                if name.strip() == wanted and content.strip():
                    return content.strip()
    return None
