"""Who asks for the same. Pure.

Two requests share an upstream connection only where upstream could not tell them apart, but for fields that say nothing
of what is asked for (`IGNORED`, and those that the API's owner adds). Credentials that go upstream are part of the key.
A Last-Event-ID is not: the one connection cannot be rewound for one client.
"""

from __future__ import annotations

from collections.abc import Hashable

from sse_proxy.headers import connection_options, is_encoded, is_event_stream
from sse_proxy.inquiry import Inquiry
from sse_proxy.upstream.response import ResponseHead

IGNORED = frozenset(
    (
        b"accept-encoding",
        b"cache-control",
        b"connection",
        b"dnt",
        b"host",
        b"keep-alive",
        b"last-event-id",
        b"pragma",
        b"priority",
        b"referer",
        b"sec-ch-ua",
        b"sec-ch-ua-mobile",
        b"sec-ch-ua-platform",
        b"sec-fetch-dest",
        b"sec-fetch-mode",
        b"sec-fetch-site",
        b"sec-fetch-storage-access",
        b"sec-gpc",
        b"traceparent",
        b"tracestate",
        b"user-agent",
        b"x-forwarded-for",
        b"x-forwarded-port",
        b"x-request-id",
    )
)
"""Fields in which requests may differ and yet share. docs/streams.md lists them."""

_PERSISTENCE = frozenset((b"close", b"keep-alive"))


def as_shared(inquiry: Inquiry) -> tuple[Inquiry, Hashable] | None:
    """The request without what is only this client's place in the stream, which is left in its Last-Event-ID; and what
    requests that share have in common. None for one that never shares."""
    request, settings = inquiry.request, inquiry.route.api.stream
    if settings.mode != "Shared":
        return None
    if request.head.method != b"GET" or request.body is not None or request.head.one_zero:
        return None
    if settings.replay is not None and settings.replay.query_parameter is not None:
        inquiry = inquiry.with_last_event_id_of(settings.replay.query_parameter)
    return inquiry, _key(inquiry)


def _key(inquiry: Inquiry) -> Hashable:
    ignored = IGNORED.union(name.encode() for name in inquiry.route.api.stream.shared.ignored_headers)
    fields = tuple(
        sorted((lowered, value) for name, value in inquiry.fields if (lowered := name.lower()) not in ignored)
    )
    # What a client lists in Connection does not go upstream.
    held_back = connection_options(inquiry.fields) - ignored - _PERSISTENCE
    return *inquiry.identity, fields, held_back


def shareable(head: ResponseHead) -> bool:
    """Whether a response may go to others than who asked."""
    return (
        head.status == 200
        and head.decoder is not None
        and head.decoder.length is None
        and is_event_stream(head.get(b"content-type"))
        and not is_encoded(head.get(b"content-encoding"))
        and head.get(b"set-cookie") is None
    )
