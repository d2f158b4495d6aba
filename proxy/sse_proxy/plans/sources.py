"""Where API keys stand in a request, and the request without them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from sse_proxy.config import KeySource
from sse_proxy.plans.plan import RawFields
from sse_proxy.upstream.target import parameter_name


def find(source: KeySource, fields: RawFields, query: str | None) -> bytes | None:
    """The first key at this place; None where there is none."""
    if source.header is not None:
        found = _in_header(source.header.lower().encode(), source.scheme, fields)
    elif source.cookie is not None:
        found = _in_cookies(source.cookie.encode(), fields)
    else:
        found = _in_query((source.query_parameter or "").encode(), query)
    return found or None


def without(sources: Iterable[KeySource], fields: RawFields, query: str | None) -> tuple[RawFields, str | None]:
    """The fields and the query without whatever stands at these places; all else byte for byte."""
    for source in sources:
        if source.header is not None:
            name = source.header.lower().encode()
            fields = [each for each in fields if each[0].lower() != name or _key_of(each[1], source.scheme) is None]
        elif source.cookie is not None:
            fields = _without_cookie(source.cookie.encode(), fields)
        elif query:
            name = (source.query_parameter or "").encode()
            query = "&".join(part for part in query.split("&") if parameter_name(part) != name)
    return fields, query


def _in_header(name: bytes, scheme: str | None, fields: RawFields) -> bytes | None:
    keys = (_key_of(value, scheme) for each, value in fields if each.lower() == name)
    return next((key for key in keys if key is not None), None)


def _key_of(value: bytes, scheme: str | None) -> bytes | None:
    """The key in a field's value; None where another scheme stands before it. Schemes know no case."""
    value = value.strip(b" \t")
    if scheme is None:
        return value
    word, _, key = value.partition(b" ")
    return key.strip(b" \t") if word.lower() == scheme.lower().encode() else None


def _in_query(name: bytes, query: str | None) -> bytes | None:
    for part in (query or "").split("&"):
        if parameter_name(part) == name:
            return unquote_to_bytes(part.partition("=")[2].replace("+", " "))
    return None


def _in_cookies(name: bytes, fields: RawFields) -> bytes | None:
    for field, value in fields:
        if field.lower() == b"cookie":
            for pair in value.split(b";"):
                key, _, content = pair.partition(b"=")
                if key.strip(b" \t") == name:
                    return content.strip(b' \t"')
    return None


def _without_cookie(name: bytes, fields: RawFields) -> RawFields:
    kept: list[tuple[bytes, bytes]] = []
    for field, value in fields:
        if field.lower() == b"cookie":
            pairs = value.split(b";")
            others = [pair for pair in pairs if pair.partition(b"=")[0].strip(b" \t") != name]
            if len(others) != len(pairs):
                value = b";".join(others).strip(b" \t")
                if not value:
                    continue
        kept.append((field, value))
    return kept
