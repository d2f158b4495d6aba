"""Body framing, event boundaries and response heads, byte by byte and in any cut."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_proxy.errors import FramingError
from sse_proxy.stream.boundary import EventBoundary
from sse_proxy.stream.framing import LAST_CHUNK, BodyDecoder, ChunkedBody, LengthBody, UntilClose, chunk
from sse_proxy.upstream.response import head_end, parse_head


def cuts(data: bytes, sizes: list[int]) -> list[bytes]:
    parts = []
    for size in sizes:
        parts.append(data[:size])
        data = data[size:]
    return [*parts, data]


def feed(decoder: BodyDecoder, parts: list[bytes]) -> bytes:
    return b"".join(decoder.feed(part)[0] for part in parts if part and not decoder.broken)


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
        body, _ = short.feed(wire[:cut])
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
    assert decoder.feed(b"3\r\nabc\r\nzz\r\n") == (b"abc", chunk(b"abc"))
    assert decoder.broken


def test_bytes_beyond_the_end() -> None:
    decoders: list[tuple[BodyDecoder, bytes]] = [(ChunkedBody(), b"2\r\nok\r\n0\r\n\r\n"), (LengthBody(2), b"ok")]
    for decoder, wire in decoders:
        assert decoder.feed(wire + b"more")[0] == b"ok"
        assert decoder.ended
        assert decoder.broken


def test_length_and_until_close() -> None:
    length = LengthBody(5)
    assert (length.feed(b"abc"), length.at_eof()) == ((b"abc", b"abc"), "2 bytes of Content-Length are missing")
    assert (length.feed(b"de"), length.ended, length.at_eof()) == ((b"de", b"de"), True, None)
    assert LengthBody(0).ended
    close = UntilClose()
    assert (close.feed(b"x"), close.ended, close.at_eof()) == ((b"x", chunk(b"x")), False, None)
    assert close.framed_part(b"xyz") == chunk(b"xyz")


def dechunked(wire: bytes) -> bytes:
    """The body of canonical chunks up to the last one, which must be there."""
    body = b""
    while True:
        line, _, wire = wire.partition(b"\r\n")
        size = int(line, 16)
        assert line == b"%x" % size
        if not size:
            assert wire == b"\r\n"
            return body
        assert wire[size : size + 2] == b"\r\n"
        body, wire = body + wire[:size], wire[size + 2 :]


@given(
    st.lists(st.binary(min_size=1, max_size=20), max_size=8),
    sizes,
    st.lists(st.sampled_from([b"%x\r\n", b"%X\r\n", b"0%x\r\n", b"%x;a=b\r\n", b"%x \n"]), min_size=8, max_size=8),
)
def test_chunks_go_on_canonically_in_any_cut(chunks: list[bytes], sizes: list[int], forms: list[bytes]) -> None:
    wire = b"".join(form % len(data) + data + b"\r\n" for form, data in zip(forms, chunks, strict=False)) + LAST_CHUNK
    decoder = ChunkedBody()
    sent = received = b""
    for part in cuts(wire, sizes):
        if part:
            body, framed = decoder.feed(part)
            # Wherever the relay ends it within this read, the chunks before are whole and the last is begun at least.
            for end in range(1, len(body) + 1):
                cut = sent + decoder.framed_part(body[:end])
                rest = ChunkedBody()
                assert rest.feed(cut)[0] == received + body[:end]
                assert rest.broken is None
            sent, received = sent + framed, received + body
    assert decoder.ended
    assert dechunked(sent + LAST_CHUNK) == received == b"".join(chunks)


def test_the_last_two_chunks_in_one_read() -> None:
    decoder = ChunkedBody()
    body = b"data: 1\r\n0\r\n\r\n"
    assert decoder.feed(chunk(body)) == (body, chunk(body))
    assert not decoder.ended
    assert decoder.feed(chunk(body) + LAST_CHUNK) == (body, chunk(body))
    assert (decoder.ended, decoder.at_chunk, decoder.at_eof()) == (True, False, None)
    decoder.feed(LAST_CHUNK)
    assert decoder.broken


def test_whole_chunks_pass_as_they_are() -> None:
    decoder = ChunkedBody()
    for wire in (chunk(b"data: 1\n\n"), chunk(b"x" * 300)):
        assert decoder.feed(wire)[1] is wire
    decoder.feed(b"1000\r\n")
    part = b"x" * 0x800
    assert decoder.feed(part)[1] is part


def boundaries(stream: bytes) -> set[int]:
    """Offsets where a line may begin and no event is open, found by reading lines as the WHATWG standard does."""
    found, line_start, position, field_open = {0}, 0, 0, False
    while position < len(stream):
        if stream[position : position + 1] in (b"\r", b"\n"):
            if position == line_start:
                field_open = False
            elif stream[line_start : line_start + 1] != b":":
                field_open = True
            position = line_start = position + (2 if stream[position : position + 2] == b"\r\n" else 1)
            if not field_open:
                found.add(position)
        else:
            position += 1
    return found


@given(st.lists(st.sampled_from([b"\n", b"\r\n", b"\r", b"data: x", b":", b"a"]), max_size=25).map(b"".join), sizes)
def test_boundaries_in_any_cut(stream: bytes, sizes: list[int]) -> None:
    boundary = EventBoundary()
    seen = b""
    for part in cuts(stream, sizes):
        # What has come so far is judged as if it were all; a lone CR at its end may be half of a line end.
        whole = boundaries(seen + part)
        half = (seen + part).endswith(b"\r")
        within = {place - len(seen) for place in whole if place > len(seen)}
        last = boundary.last_in(part)
        assert last == max(within, default=-1) or (half and last == max(within - {len(part)}, default=-1))
        boundary.feed(part)
        seen += part
        assert boundary.here == (len(seen) in whole) or (half and not boundary.here)


def test_a_comment_opens_no_event() -> None:
    boundary = EventBoundary()
    boundary.feed(b"data: 1\n\n:keepalive\n")
    assert boundary.here
    assert boundary.last_in(b": more\ndata: 2\n:") == 7
    boundary.feed(b"data: 2\n: within the event\n")
    assert not boundary.here


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


lines = st.sampled_from(
    [b"A: b", b"Content-Length: 5", b"X:", b"X :y", b" folded", b"D: \t q \t", b": x", b"T\x00: x", b"V: \x01", b"none",
     b"E: a\rb", b"F: \xe9", b"\xe9: f", b"Transfer-Encoding: chunked", b"Connection: close"]
)  # fmt: skip


@given(st.lists(lines, max_size=4))
def test_a_bare_lf_ends_a_line_like_crlf(fields: list[bytes]) -> None:
    def read(end: bytes) -> object:
        wire = b"HTTP/1.1 200 OK\r\n" + b"\r\n".join((*fields, b"Last: 1")) + end + b"\r\n"
        try:
            head = parse_head(wire, to_head_request=False)
        except FramingError as error:
            return str(error)
        return head.status, head.fields, head.persistent, head.decoder and head.decoder.length

    assert read(b"\r\n") == read(b"\n")


@given(st.binary(max_size=60))
def test_any_bytes_are_a_head_or_a_framing_error(noise: bytes) -> None:
    for wire in (noise + b"\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + noise + b"\r\n\r\n"):
        with contextlib.suppress(FramingError):
            parse_head(wire[: head_end(wire)], to_head_request=False)
