"""Body framing, event boundaries and response heads, byte by byte and in any cut."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_proxy.errors import FramingError
from sse_proxy.stream.boundary import EventBoundary
from sse_proxy.stream.framing import BodyDecoder, ChunkedBody, LengthBody, UntilClose
from sse_proxy.upstream.response import head_end, parse_head


def cuts(data: bytes, sizes: list[int]) -> list[bytes]:
    parts = []
    for size in sizes:
        parts.append(data[:size])
        data = data[size:]
    return [*parts, data]


def feed(decoder: BodyDecoder, parts: list[bytes]) -> bytes:
    return b"".join(decoder.feed(part) for part in parts if part and not decoder.broken)


sizes = st.lists(st.integers(1, 9), max_size=40)


@given(
    st.lists(st.binary(min_size=1, max_size=20), max_size=8), sizes, st.sampled_from([b"\r\n", b"\n"]), st.booleans()
)
def test_chunked_body_in_any_cut(chunks: list[bytes], sizes: list[int], end: bytes, extras: bool) -> None:
    extension = b" ;a=b" if extras else b""
    wire = b"".join(b"%X%b%b%b%b" % (len(chunk), extension, end, chunk, end) for chunk in chunks)
    wire += b"000" + extension + end + (b"Trailer: x" + end if extras else b"") + end
    decoder = ChunkedBody()
    assert feed(decoder, cuts(wire, sizes)) == b"".join(chunks)
    assert (decoder.ended, decoder.broken, decoder.at_eof()) == (True, None, None)
    # Cut short anywhere, it is never taken for complete.
    for cut in range(len(wire)):
        short = ChunkedBody()
        body = short.feed(wire[:cut])
        assert b"".join(chunks).startswith(body)
        assert not short.ended
        assert short.at_eof()


@pytest.mark.parametrize(
    "wire",
    [b"+5\r\n", b"-1\r\n", b"0x5\r\n", b"5_0\r\n", b" 5\r\n", b"\r\n", b"g\r\n", b"5\rx\r\n", b"1" * 16 + b"\r\n",
     b"1\r\nab\r\n", b"1\r\na1\r\n", b"1\r\na\rb", b"1;" + b"x" * 5000, b"0\r\n" + b"A: b\r\n" * 4000],
)  # fmt: skip
def test_wrong_chunks_break_the_body(wire: bytes) -> None:
    whole, bytewise = ChunkedBody(), ChunkedBody()
    whole.feed(wire)
    feed(bytewise, [bytes([byte]) for byte in wire])
    assert (bool(whole.broken), bool(bytewise.broken)) == (True, True)
    assert not whole.ended


def test_bytes_before_a_framing_error_count() -> None:
    decoder = ChunkedBody()
    assert decoder.feed(b"3\r\nabc\r\nzz\r\n") == b"abc"
    assert decoder.broken


def test_bytes_beyond_the_end() -> None:
    decoders: list[tuple[BodyDecoder, bytes]] = [(ChunkedBody(), b"2\r\nok\r\n0\r\n\r\n"), (LengthBody(2), b"ok")]
    for decoder, wire in decoders:
        assert decoder.feed(wire + b"more") == b"ok"
        assert decoder.ended
        assert decoder.broken


def test_length_and_until_close() -> None:
    length = LengthBody(5)
    assert (length.feed(b"abc"), length.at_eof()) == (b"abc", "2 bytes of Content-Length are missing")
    assert (length.feed(b"de"), length.ended, length.at_eof()) == (b"de", True, None)
    assert LengthBody(0).ended
    close = UntilClose()
    assert (close.feed(b"x"), close.ended, close.at_eof()) == (b"x", False, None)


def boundaries(stream: bytes) -> set[int]:
    """Offsets behind a blank line, found by reading lines as the WHATWG standard does."""
    found, line_start, position = {0}, 0, 0
    while position < len(stream):
        if stream[position : position + 1] in (b"\r", b"\n"):
            end = position + (2 if stream[position : position + 2] == b"\r\n" else 1)
            if position == line_start:
                found.add(end)
            position = line_start = end
        else:
            position += 1
    return found


@given(st.lists(st.sampled_from([b"\n", b"\r\n", b"\r", b"data: x", b":", b"a"]), max_size=25).map(b"".join), sizes)
def test_boundaries_in_any_cut(stream: bytes, sizes: list[int]) -> None:
    boundary = EventBoundary()
    position = 0
    known = boundaries(stream)
    for part in cuts(stream, sizes):
        last = boundary.last_in(part)
        boundary.feed(part)
        position += len(part)
        if last >= 0:
            assert position - len(part) + last in known or stream[: position - len(part) + last].endswith(b"\r")
        if boundary.here:
            # Whether a lone CR is the whole end of a line shows only with the byte behind it.
            assert position in known or stream[:position].endswith(b"\r")


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\n\n"])
def test_boundary_after_an_event(end: bytes) -> None:
    boundary = EventBoundary()
    assert boundary.here
    for byte in b"data: x" + end[:-1]:
        boundary.feed(bytes([byte]))
        assert not boundary.here
    assert boundary.last_in(end[-1:] + b"data") == 1
    boundary.feed(end[-1:])
    assert boundary.here
    boundary.feed(b":")
    assert not boundary.here


def test_head() -> None:
    wire = b"HTTP/1.1 200 OK\nA:  b \t\r\nA : c\r\nFolded: x\r\n  y\r\nEmpty:\r\n\r\nbody"
    end = head_end(wire)
    assert wire[end:] == b"body"
    head = parse_head(wire[:end], to_head_request=False)
    assert head.fields == [(b"A", b"b"), (b"A", b"c"), (b"Folded", b"x y"), (b"Empty", b"")]
    assert (head.status, head.phrase, head.persistent) == (200, b"OK", False)
    assert isinstance(head.decoder, UntilClose)


@pytest.mark.parametrize(
    ("head", "persistent"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\nContent-Length: 1\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: x, Close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
def test_persistence(head: bytes, persistent: bool) -> None:
    parsed = parse_head(head, to_head_request=False)
    assert parsed.persistent is persistent
    assert parsed.decoder is not None
    assert parsed.decoder.length == 1


@pytest.mark.parametrize(
    "fields",
    [b"Content-Length: 1\r\nContent-Length: 2", b"Content-Length: -1", b"Content-Length:", b"Content-Length: 0x1",
     b"Content-Length: \xb2", b"Content-Length: " + b"9" * 30, b"Transfer-Encoding: identity",
     b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: xchunked", b": x", b"A B: c", b" folded first"],
)  # fmt: skip
def test_heads_that_two_readers_could_differ_on(fields: bytes) -> None:
    with pytest.raises(FramingError):
        parse_head(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n", to_head_request=False)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_head_or_a_framing_error(noise: bytes) -> None:
    for wire in (noise + b"\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + noise + b"\r\n\r\n"):
        with contextlib.suppress(FramingError):
            parse_head(wire[: head_end(wire)], to_head_request=False)
