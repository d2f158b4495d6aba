"""Event boundaries in any bytes, in any cut."""

from __future__ import annotations

from hypothesis import strategies as st

from fuzz.target import cut, fuzz, sizes
from sse_proxy.stream.boundary import EventBoundary
from sse_proxy.stream.framing import ChunkedBody, chunk

PIECES = (b"\n", b"\r\n", b"\r", b":", b": x", b"data: x", b"id", b"\xef\xbb\xbf", b"\0", b"retry: 1")
streams = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=8)), max_size=30).map(b"".join)


@fuzz(streams, sizes)
def test_boundaries_are_the_same_in_any_cut(stream: bytes, sizes: list[int]) -> None:
    whole, parts = EventBoundary(), EventBoundary()
    whole.feed(stream)
    for part in cut(stream, sizes):
        last = parts.last_in(part)
        assert -1 <= last <= len(part)
        parts.feed(part)
        if last == len(part):
            assert parts.here
    assert parts.here == whole.here


@fuzz(st.lists(st.binary(min_size=1, max_size=40), max_size=6), sizes, st.data())
def test_what_ends_within_chunks_is_a_beginning_of_the_body(
    chunks: list[bytes], sizes: list[int], data: st.DataObject
) -> None:
    """As a drain ends a stream: at any place of what has just been received."""
    decoder = ChunkedBody()
    sent = body = b""
    for part in cut(b"".join(map(chunk, chunks)), sizes):
        more, framed = decoder.feed(part)
        if more and data.draw(st.booleans()):
            length = data.draw(st.integers(0, len(more)))
            assert unframed(sent + decoder.framed_part(more[:length])) == body + more[:length]
        sent, body = sent + framed, body + more
    assert unframed(sent) == body == b"".join(chunks)


def unframed(wire: bytes) -> bytes:
    decoder = ChunkedBody()
    body, _ = decoder.feed(wire)
    assert decoder.broken is None
    return body
