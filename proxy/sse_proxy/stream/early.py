"""A response that begins before upstream's does: `stream.heartbeatBeforeResponse`.

Upstream thinks, and something between the client and the gateway gives up on silence: so the client is sent the head of
an event stream, and a comment from time to time. The price is that upstream's status and header fields come too late:
an error, and an answer that is no event stream, can only be told by an event and a break. And upstream's byte order
mark is left out, since one in the middle of a stream is none.

It is for requests alone that want events and nothing else, and it begins when all of the request has gone out.
"""

from __future__ import annotations

from sse_proxy.config import Stream
from sse_proxy.headers import Fields, is_encoded, is_event_stream
from sse_proxy.request import Request
from sse_proxy.stream.framing import chunk
from sse_proxy.upstream.connection import Receiver
from sse_proxy.upstream.response import ResponseHead

EARLY_FIELDS: Fields = [(b"Content-Type", b"text/event-stream"), (b"Cache-Control", b"no-store")]
"""The header fields of such a response."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Opening:
    """When one request's client is sent something before upstream answers. Pure; times are seconds of one clock."""

    __slots__ = ("_after", "_interval", "at", "begun")

    def __init__(self, after: float, interval: float) -> None:
        """The first time is `after` seconds of waiting, further ones every `interval` seconds."""
        self._after = after
        self._interval = interval
        self.at: float | None = None
        """When it is time; None: nothing is waited for."""
        self.begun = False
        """Whether the client has its response head."""

    def wait(self, now: float) -> None:
        """From now on upstream has to answer."""
        self.at = now + (self._interval if self.begun else self._after)

    def spoken(self, now: float) -> None:
        """The client was sent something."""
        self.begun, self.at = True, now + self._interval


def opening_for(request: Request, settings: Stream) -> Opening | None:
    """What a request's client may be sent before upstream answers; None: nothing."""
    after = settings.heartbeat_before_response
    if after is None or request.head.method not in (b"GET", b"POST") or request.head.one_zero:
        return None
    if not _wants_events_alone(request.fields):
        return None
    return Opening(after, settings.heartbeat or after)


def _wants_events_alone(fields: Fields) -> bool:
    """Whether Accept names text/event-stream and, but for `*/*`, nothing else: with another type, as in MCP's POST, the
    answer may be of that type."""
    ranges = {
        each.partition(b";")[0].strip().lower()
        for name, value in fields
        if name.lower() == b"accept"
        for each in value.split(b",")
    }
    return ranges - {b"*/*"} == {b"text/event-stream"}


def fits_early(head: ResponseHead) -> bool:
    """Whether upstream's response is one that goes with a head of ours."""
    return (
        head.status == 200
        and head.decoder is not None
        and is_event_stream(head.get(b"content-type"))
        and not is_encoded(head.get(b"content-encoding"))
    )


class Reframed:
    """Receives a body in place of a relay whose client has a head that upstream's framing does not go with."""

    __slots__ = ("_begun", "_receiver")

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._begun: bytes | None = b""
        """What may be the beginning of a byte order mark; None once that is known."""

    def head_received(self, head: ResponseHead) -> None:
        """The relay itself has got the head."""

    def body_received(self, body: bytes, framed: bytes) -> None:
        """Part of `Receiver`."""
        if self._begun is not None:
            body = self._begun + body
            if len(body) < len(_BYTE_ORDER_MARK) and _BYTE_ORDER_MARK.startswith(body):
                self._begun = body
                return
            self._begun = None
            body = body.removeprefix(_BYTE_ORDER_MARK)
        if body:
            self._receiver.body_received(body, chunk(body))

    def response_ended(self, failure: str | None) -> None:
        """Part of `Receiver`."""
        begun, self._begun = self._begun, None
        if begun:
            self._receiver.body_received(begun, chunk(begun))
        self._receiver.response_ended(failure)
