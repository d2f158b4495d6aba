"""What upstream is asked for a client's request, at whichever endpoint it is.

An inquiry can be made again, at the same endpoint or at another one, only while nothing that the client sent has been
consumed, or all of it is kept. And once it has been sent, only where its method is idempotent: upstream may have acted
on it (RFC 9110, section 9.2.2).
"""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from urllib.parse import quote_from_bytes

from sse_proxy import headers
from sse_proxy.config import KeySource
from sse_proxy.errors import UpstreamError
from sse_proxy.field_changes import UNCHANGED, FieldChanges
from sse_proxy.forwarded import Via
from sse_proxy.plans import sources
from sse_proxy.plans.plan import RawFields
from sse_proxy.request import Request
from sse_proxy.route import Route
from sse_proxy.stream.framing import LAST_CHUNK, chunk
from sse_proxy.upstream.affinity import key_of
from sse_proxy.upstream.redirects import Place, harmless, next_place
from sse_proxy.upstream.response import ResponseHead
from sse_proxy.upstream.session import marking, unmarked
from sse_proxy.upstream.target import Target

REPLAYABLE_BODY = 64 * 1024
"""Bytes of a body that are kept, so that it can be sent once more."""

LAST_EVENT_ID = b"Last-Event-ID"

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
"""What may not stand in a field."""

_MOST_CLIENTS = 1024
"""Of whom it is remembered what upstream is told of them."""

_REMEMBERED_SIZE = 512
"""Bytes of who they are and of the host that they asked."""

_IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))


class Inquiry:
    """One request, on its way to an endpoint of its route."""

    __slots__ = (
        "_fields",
        "_query",
        "_refusal",
        "_rest",
        "_sent",
        "_via",
        "kept",
        "place",
        "request",
        "route",
        "session",
    )

    def __init__(
        self, request: Request, via: Via, route: Route, rest: str, query: str | None, fields: RawFields
    ) -> None:
        """`rest` is what of the client's path follows the context-path, undecoded; `query` and `fields` are what of the
        client's goes on."""
        self.request = request
        self._via = via
        self.route = route
        self._rest = rest
        self._query = query
        self._fields = fields
        self.session: bytes | None = None
        """The mark of the endpoint that has its session."""
        if route.session_header is not None:
            self.session, self._fields = unmarked(route.session_header, fields)
        self._sent = False
        self._refusal: UpstreamError | None = None
        self.place: Place | None = None
        """Where it is made now; None until it is made anywhere."""
        self.kept: bytes | None = b"" if request.body is None else None
        """The whole body; None where it is sent on as it comes."""

    @property
    def identity(self) -> tuple[object, ...]:
        """All that upstream can tell it from others by, but for header fields."""
        connection = self.request.connection
        scheme = self._via.scheme or connection.secure
        return self.route, self._rest, self._query, scheme, self.request.get(b"host"), self._via.host, self.affinity()

    @property
    def fields(self) -> RawFields:
        """The header fields that go on, as they came."""
        return self._fields

    def after(self, last_event_id: bytes) -> Inquiry:
        """The same, for what comes after an event; empty: for what comes next."""
        fields = [field for field in self._fields if field[0].lower() != LAST_EVENT_ID.lower()]
        if last_event_id:
            fields.append((LAST_EVENT_ID, last_event_id))
        return Inquiry(self.request, self._via, self.route, self._rest, self._query, fields)

    @property
    def last_event_id(self) -> bytes:
        """Of the event that the client had last; empty: it says nothing."""
        return next((value for name, value in self._fields if name.lower() == LAST_EVENT_ID.lower()), b"")

    def with_last_event_id_of(self, parameter: str) -> Inquiry:
        """The same, with what a query parameter says in the field Last-Event-ID; what that says itself counts more."""
        source = KeySource(query_parameter=parameter)
        found = sources.find(source, self._fields, self._query)
        fields, query = sources.without((source,), self._fields, self._query)
        if found is not None and not self.last_event_id:
            fields = [*fields, (LAST_EVENT_ID, quote_from_bytes(found).encode() if _CONTROL.search(found) else found)]
        return Inquiry(self.request, self._via, self.route, self._rest, query or None, fields)

    async def keep_body(self) -> None:
        """Wait for a body that is small enough to be kept. Raises RequestBrokenError."""
        body, length = self.request.body, self.request.head.length
        if body is None or self._sent or length is None or int(length) > REPLAYABLE_BODY:
            return
        self.expect_body()
        parts = []
        while part := await body.read():
            parts.append(part)
        self.kept = b"".join(parts)

    def expect_body(self) -> None:
        """Tell a client that waits for it to send the body."""
        request = self.request
        if request.get(b"expect") is not None and not request.head.one_zero and not request.complete:
            request.connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def whole_body(self) -> bytes | None:
        """The body as upstream is sent it, where all of it has come; it counts as sent."""
        self._sent = True
        body = self.request.body
        if self.kept is None and body is not None and body.complete:
            self.kept = body.take()
        if self.kept is None:
            return None
        if self.place is not None and not self.place.with_body:
            return b""
        return chunk(self.kept) + LAST_CHUNK if self.request.head.chunked else self.kept

    def repeatable(self) -> bool:
        """Whether it can be made once more."""
        return not self._sent or (self.kept is not None and self.request.head.method in _IDEMPOTENT)

    def affinity(self) -> bytes | None:
        """What decides its endpoint where that is by ConsistentHash."""
        balancing = self.route.api.load_balancing
        return key_of(balancing.consistent_hash, self.request.fields, self._query, self._via.client)

    def response_changes(self, endpoint: str) -> FieldChanges:
        """Those of a response's fields, where the endpoint of this name answers."""
        changes, header = self.route.response_changes, self.route.session_header
        return changes if header is None else replace(changes, extended=(header, marking(endpoint)))

    def begin_at(self, target: Target) -> Place:
        """Make it at an endpoint."""
        place = Place(target, target.request_target(self._rest, self._query), self.request.head.method)
        self.place, self._refusal = place, None
        return place

    def redirected(self, head: ResponseHead) -> bool:
        """Whether a response is not the client's: either `place` is another one then, or `moved` raises."""
        here = self.place
        if here is None:
            return False
        try:
            there = next_place(head, here, body_kept=self.kept is not None)
        except UpstreamError as error:
            self._refusal = error
            return True
        if there is not None:
            self.place = there
        return there is not None

    def moved(self, since: Place) -> bool:
        """Whether a redirect has led away from where it was. Raises RedirectRefusedError, TooManyRedirectsError."""
        if self._refusal is not None:
            raise self._refusal
        return self.place is not since

    def head(self, place: Place) -> bytes:
        """The request head where it is made."""
        request, upstream = self.request, self.route.upstream
        named = request.get(b"host") if upstream.host_header == "Client" and not place.hops else None
        return headers.request_head(
            place.method,
            place.asked,
            named or place.target.authority,
            harmless(self._fields) if place.foreign else self._fields,
            _client_of(request, self._via),
            length=request.head.length if place.with_body else None,
            chunked=request.head.chunked and place.with_body,
            keep_alive=upstream.keep_alive,
            compression=upstream.compression and not place.foreign,
            changes=UNCHANGED if place.foreign else self.route.request_changes,
        )


def _client_of(request: Request, via: Via) -> headers.Client:
    connection = request.connection
    host = via.host or request.get(b"host", b"")
    make = _client if len(via.chain) + len(host) <= _REMEMBERED_SIZE else _client.__wrapped__
    return make(via.chain, via.scheme, connection.secure, host, via.port, connection.port)


@functools.lru_cache(_MOST_CLIENTS)
def _client(
    address: bytes, told_scheme: bytes | None, secure: bool, host: bytes, told_port: bytes | None, own_port: int
) -> headers.Client:
    scheme = told_scheme or (b"https" if secure else b"http")
    _, colon, port = host.rpartition(b":")
    if told_port is not None:
        port = told_port
    elif not (colon and port.isdigit()):
        # A proxy that says how the client asked it knows the port that the gateway does not.
        port = (b"443" if scheme == b"https" else b"80") if told_scheme else b"%d" % own_port
    return headers.Client(address, scheme, host, port)
