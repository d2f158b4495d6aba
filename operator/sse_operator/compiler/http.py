"""What an SseApi says of requests and responses, for its config entry."""

from __future__ import annotations

from collections.abc import Iterable

from sse_operator.api.http import HeaderSpec, HeadersSpec
from sse_proxy.config import Header, HeaderChanges


def header_changes(spec: HeadersSpec | None) -> HeaderChanges | None:
    """The changes of header fields; None where there are none."""
    if spec is None or not spec.names():
        return None
    return HeaderChanges(set=_headers(spec.set or ()), add=_headers(spec.add or ()), remove=tuple(spec.remove or ()))


def _headers(specs: Iterable[HeaderSpec]) -> tuple[Header, ...]:
    return tuple(Header(name=spec.name, value=spec.value) for spec in specs)
