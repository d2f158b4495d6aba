"""What an SseApi says of requests and responses, for its config entry."""

from __future__ import annotations

from collections.abc import Iterable

from sse_operator.api.cors import CorsSpec
from sse_operator.api.fields import seconds_of
from sse_operator.api.http import HeaderSpec, HeadersSpec
from sse_proxy.config import Cors, Header, HeaderChanges

DEFAULT_METHODS = ("GET", "HEAD", "POST")
DEFAULT_HEADERS = ("Cache-Control", "Content-Type", "Last-Event-ID")


def cors_of(spec: CorsSpec | None) -> Cors | None:
    """The CORS settings, defaults filled in."""
    if spec is None:
        return None
    return Cors(
        allow_origins=tuple(spec.allow_origins),
        allow_methods=DEFAULT_METHODS if spec.allow_methods is None else tuple(spec.allow_methods),
        allow_headers=DEFAULT_HEADERS if spec.allow_headers is None else tuple(spec.allow_headers),
        expose_headers=tuple(spec.expose_headers or ()),
        allow_credentials=bool(spec.allow_credentials),
        max_age=None if spec.max_age is None else int(seconds_of(spec.max_age)),
        allow_private_network=bool(spec.allow_private_network),
        preflight=spec.preflight or "Gateway",
    )


def header_changes(spec: HeadersSpec | None) -> HeaderChanges | None:
    """The changes of header fields; None where there are none."""
    if spec is None or not spec.names():
        return None
    return HeaderChanges(set=_headers(spec.set or ()), add=_headers(spec.add or ()), remove=tuple(spec.remove or ()))


def _headers(specs: Iterable[HeaderSpec]) -> tuple[Header, ...]:
    return tuple(Header(name=spec.name, value=spec.value) for spec in specs)
