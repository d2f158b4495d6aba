"""Any bytes of a client or of upstream: read the same way in any cut, and passed on in one reading or not at all."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from exactness import canonical
from exactness.request_corpus import CASES as REQUESTS
from exactness.response_corpus import CASES as RESPONSES
from fuzz.target import cut, fuzz, mutated, sizes
from sse_proxy.errors import FramingError
from sse_proxy.headers import Client, request_head, response_head
from sse_proxy.request_framing import HeadLimits, RequestFraming, RequestHead
from sse_proxy.stream.framing import LAST_CHUNK, BodyDecoder, chunk
from sse_proxy.upstream.response import ResponseHead, head_end, parse_head

# Without the few that are large to be large.
REQUEST_SEEDS = [case.sent for case in REQUESTS if len(case.sent) < 1000]
RESPONSE_SEEDS = [case.sent for case in RESPONSES if len(case.sent) < 1000]
CLIENT = Client(address=b"192.0.2.1", scheme=b"http", host=b"a", port=b"80")

Read = list[tuple[RequestHead, bytes, bool]]
"""Heads, what came of their bodies, and whether those are complete."""


def read(parts: Sequence[bytes]) -> tuple[Read, bool]:
    """Requests as they are read from these parts, and whether a fault ended that."""
    framing = RequestFraming(HeadLimits())
    found: Read = []
    for data in parts:
        for part in framing.feed(data):
            if isinstance(part, RequestHead):
                found.append((part, b"", not part.has_body))
            else:
                head, body, complete = found.pop()
                assert not complete
                found.append((head, body + part, not part))
    return found, framing.fault is not None


@fuzz(mutated(REQUEST_SEEDS), sizes)
def test_requests_are_read_the_same_in_any_cut(data: bytes, sizes: list[int]) -> None:
    assert read(cut(data, sizes)) == read([data])


@fuzz(mutated(REQUEST_SEEDS))
def test_requests_go_on_in_one_reading(data: bytes) -> None:
    for head, body, complete in read([data])[0]:
        if not head.target.startswith(b"/"):
            continue
        sent = request_head(
            head.method,
            head.target,
            b"origin",
            head.fields,
            CLIENT,
            length=head.length,
            chunked=head.chunked,
            keep_alive=True,
        )
        sent += chunk(body) if head.chunked else body
        if not complete:
            with pytest.raises(canonical.IncompleteError):
                canonical.request(sent)
            continue
        message, rest = canonical.request(sent + (LAST_CHUNK if head.chunked else b""))
        assert (message.start, message.body, rest) == ((head.method, head.target), body, b"")


def response(data: bytes, sizes: Sequence[int]) -> tuple[ResponseHead | None, bytes, bytes, bool, bool]:
    """The first final response in `data`: its head, its body, that as it is framed for a client, and whether it ended
    and whether it is broken."""
    while (end := head_end(data)) >= 0:
        head = parse_head(data[:end], to_head_request=False)
        data = data[end:]
        if head.interim:
            continue
        if head.decoder is None:
            return head, b"", b"", True, False
        body, framed = drained(head.decoder, cut(data, sizes))
        return head, body, framed, head.decoder.ended, head.decoder.broken is not None and not head.decoder.ended
    return None, b"", b"", False, False


def drained(decoder: BodyDecoder, parts: Sequence[bytes]) -> tuple[bytes, bytes]:
    """All that a decoder gives of these parts."""
    body = framed = b""
    for part in parts:
        if decoder.ended or decoder.broken:
            break
        more, more_framed = decoder.feed(part)
        body, framed = body + more, framed + more_framed
    return body, framed


@fuzz(mutated(RESPONSE_SEEDS), sizes)
def test_responses_go_on_in_one_reading_in_any_cut(data: bytes, sizes: list[int]) -> None:
    try:
        head, body, framed, ended, broken = response(data, sizes)
    except FramingError:
        return
    if head is None:
        return
    whole_head, whole_body, _, whole_ended, whole_broken = response(data, [])
    assert whole_head is not None
    assert (head.status, head.fields, ended, broken) == (
        *(whole_head.status, whole_head.fields),
        *(whole_ended, whole_broken),
    )
    assert body == whole_body
    bodiless = head.decoder is None
    chunked = not bodiless and head.decoder is not None and head.decoder.length is None
    sent = response_head(head.status, head.phrase, head.fields, bodiless=bodiless, chunked=chunked, close=False) + (
        framed if chunked else body
    )
    if ended:
        (message,) = canonical.responses(sent + (LAST_CHUNK if chunked else b""), [b"GET"], closed=False)
        assert (message.start, message.body) == (head.status, body)
    else:
        with pytest.raises(canonical.IncompleteError) as cut_short:
            canonical.responses(sent, [b"GET"], closed=False)
        assert cut_short.value.body == body
