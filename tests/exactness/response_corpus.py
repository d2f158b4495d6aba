"""Responses that some readers of HTTP read differently than others, and what the client gets of each.

A right answer is a 502, a whole canonical response, or one that is visibly cut short. A row: name, bytes, outcome.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What the client gets."""

    status: int
    body: bytes | None = b""
    """None: of no interest."""
    whole: bool = True
    """Whether the response has a proper end."""


@dataclass(frozen=True)
class Case:
    """One row of the corpus."""

    name: str
    sent: bytes
    outcomes: tuple[Outcome, ...]
    method: str = "GET"
    closes: bool = False
    """Whether upstream closes its connection behind these bytes."""


GARBAGE = Outcome(502, None)


def whole(body: bytes = b"", status: int = 200) -> Outcome:
    """The body arrives, with a proper end."""
    return Outcome(status, body)


def cut(body: bytes = b"") -> Outcome:
    """The body arrives as far as upstream sent it, and the end is missing."""
    return Outcome(200, body, whole=False)


def ok(*fields: bytes, body: bytes = b"", line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """A response with these field lines, whatever they are."""
    return b"\r\n".join((line, *fields)) + b"\r\n\r\n" + body


TE = b"Transfer-Encoding: chunked"
LENGTH = b"Content-Length: 5"
IN_CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
STRAY = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n"
HELLO = whole(b"hello")


def _length(value: bytes, *outcomes: Outcome) -> Case:
    return Case(f"length {value!r}", ok(b"Content-Length: " + value, body=b"hello"), outcomes or (GARBAGE,))


def _coding(value: bytes, *outcomes: Outcome) -> Case:
    return Case(f"coding {value!r}", ok(b"Transfer-Encoding: " + value, body=IN_CHUNKS), outcomes or (GARBAGE,))


def _chunks(name: str, body: bytes, *outcomes: Outcome) -> Case:
    return Case(f"chunks: {name}", ok(TE, body=body), outcomes or (cut(),))


def _line(line: bytes, *outcomes: Outcome) -> Case:
    return Case(f"line {line!r}", ok(LENGTH, body=b"hello", line=line), outcomes or (GARBAGE,))


def _field(line: bytes, *outcomes: Outcome) -> Case:
    return Case(f"field {line!r}", ok(LENGTH, line, body=b"hello"), outcomes or (GARBAGE,))


CASES = (
    _length(b"5", HELLO),
    _length(b"05", HELLO, GARBAGE),
    _length(b"5, 5", HELLO, GARBAGE),
    _length(b"5, 6"),
    _length(b"+5"),
    _length(b"-5"),
    _length(b"0x5"),
    _length(b"5_0"),
    _length(b"5 5"),
    _length(b""),
    _length(b"\xef\xbc\x95"),
    _length(b"99999999999999999999"),
    Case("length twice, equal", ok(LENGTH, LENGTH, body=b"hello"), (HELLO, GARBAGE)),
    Case("length twice, different", ok(LENGTH, b"Content-Length: 3", body=b"hello"), (GARBAGE,)),
    Case("length and chunks", ok(LENGTH, TE, body=IN_CHUNKS), (GARBAGE,)),
    Case("blank before the colon of the length", ok(b"Content-Length : 5", body=b"hello"), (HELLO, GARBAGE)),
    Case("more than the length", ok(LENGTH, body=b"hello" + STRAY), (HELLO,)),
    Case("less than the length", ok(b"Content-Length: 9", body=b"hello"), (cut(b"hello"),), closes=True),
    _coding(b"chunked", HELLO),
    _coding(b"Chunked", HELLO),
    _coding(b"\tchunked ", HELLO),
    _coding(b""),
    _coding(b"xchunked"),
    _coding(b"chunked, chunked"),
    _coding(b"identity"),
    _coding(b"identity, chunked"),
    _coding(b"gzip, chunked"),
    _coding(b"chunked, identity"),
    _coding(b"\x0bchunked"),
    _coding(b'"chunked"'),
    Case("coding twice", ok(TE, TE, body=IN_CHUNKS), (GARBAGE,)),
    Case("chunks in HTTP/1.0", ok(TE, body=IN_CHUNKS, line=b"HTTP/1.0 200 OK"), (GARBAGE,)),
    _chunks("size +5", b"+5\r\nhello\r\n0\r\n\r\n"),
    _chunks("size 0x5", b"0x5\r\nhello\r\n0\r\n\r\n"),
    _chunks("size 0_5", b"0_5\r\nhello\r\n0\r\n\r\n"),
    _chunks("size with a blank before", b" 5\r\nhello\r\n0\r\n\r\n"),
    _chunks("size with a blank behind", b"5 \r\nhello\r\n0\r\n\r\n", HELLO, cut()),
    _chunks("size beyond 64 bits", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    _chunks("no size", b"\r\nhello\r\n0\r\n\r\n"),
    _chunks("extensions", b'5;a="b"\r\nhello\r\n0;c\r\n\r\n', HELLO),
    _chunks("a NUL in an extension", b"5;a\x00\r\nhello\r\n0\r\n\r\n", HELLO, cut()),
    _chunks("a bare CR in an extension", b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    _chunks("an extension without end", b"5;" + b"a" * 70_000),
    _chunks("bare LFs", b"5\nhello\n0\n\n", HELLO, cut(), cut(b"hello")),
    _chunks("longer than its size", b"4\r\nhello\r\n0\r\n\r\n", cut(b"hell")),
    _chunks("nothing behind the data", b"5\r\nhello0\r\n\r\n", cut(b"hello")),
    _chunks("trailers", b"5\r\nhello\r\n0\r\nX: y\r\nContent-Length: 9\r\n\r\n", HELLO),
    _chunks("trailers without end", b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 20_000, cut(b"hello")),
    _chunks("bytes behind the end", IN_CHUNKS + STRAY, HELLO),
    Case("chunks without the last", ok(TE, body=b"5\r\nhello\r\n"), (cut(b"hello"),), closes=True),
    Case("half a last chunk", ok(TE, body=b"5\r\nhello\r\n0\r\n"), (cut(b"hello"),), closes=True),
    Case("half a chunk", ok(TE, body=b"9\r\nhello"), (cut(b"hello"),), closes=True),
    Case("until close", ok(body=b"hello"), (HELLO,), closes=True),
    Case("until close in HTTP/1.0", ok(line=b"HTTP/1.0 200 OK", body=b"hello"), (HELLO,), closes=True),
    _line(b"HTTP/1.0 200 OK", HELLO),
    _line(b"HTTP/1.1 200", HELLO),
    _line(b"HTTP/1.1 200 ", HELLO),
    _line(b"HTTP/1.1 200 \tOK", HELLO, GARBAGE),
    _line(b"HTTP/1.1 299 B\xe4r", whole(b"hello", 299)),
    _line(b"HTTP/1.1 20 OK"),
    _line(b"HTTP/1.1 2000 OK"),
    _line(b"HTTP/1.1 600 OK", whole(b"hello", 600), GARBAGE),
    _line(b"HTTP/1.1 +200 OK"),
    _line(b"HTTP/1.1  200 OK"),
    _line(b"HTTP/2.0 200 OK"),
    _line(b"HTTP/1.10 200 OK"),
    _line(b"http/1.1 200 OK"),
    _line(b"ICY 200 OK"),
    _line(b"HTTP/1.1 200 \x00"),
    _line(b"HTTP/1.1 200 O\rK"),
    _line(b"HTTP/1.1 101 Switching Protocols"),
    _line(b"220 smtp.example ESMTP"),
    _field(b"X: \xff", HELLO),
    _field(b"X : a", HELLO, GARBAGE),
    _field(b"X: a\r\n b", HELLO, GARBAGE),
    _field(b"X: a\r\n Content-Length: 3", HELLO, GARBAGE),
    _field(b"X: a\nY: b", HELLO, GARBAGE),
    _field(b"X: a\rTransfer-Encoding: chunked"),
    _field(b"X: a\x00"),
    _field(b"X\x00: a"),
    _field(b"X Y: a"),
    _field(b": a"),
    _field(b"X"),
    _field(b" X: a", HELLO, GARBAGE),
    _field(b"X: " + b"a" * 70_000),
    _field(b"Connection: content-length", HELLO),
    _field(b"Keep-Alive: 5\r\nProxy-Connection: close\r\nUpgrade: h2c\r\nTrailer: X", HELLO),
    Case("bare LFs in the head", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", (HELLO, GARBAGE)),
    Case(
        "interim heads",
        CONTINUE + HINTS + b"\r\n" + ok(LENGTH, body=b"hello"),
        (HELLO,),
    ),
    Case(
        "interim head with a length",
        HINTS + LENGTH + b"\r\n\r\n" + ok(LENGTH, body=b"hello"),
        (HELLO, GARBAGE),
    ),
    Case("interim heads without end", b"HTTP/1.1 102 Processing\r\n\r\n" * 10_000, (GARBAGE,)),
    Case("204 with a body", ok(LENGTH, body=b"hello", line=b"HTTP/1.1 204 No Content"), (whole(b"", 204),)),
    Case("204 with chunks", ok(TE, body=IN_CHUNKS, line=b"HTTP/1.1 204 No Content"), (whole(b"", 204),)),
    Case("204 with a response behind it", ok(line=b"HTTP/1.1 204 No Content") + STRAY, (whole(b"", 204),)),
    Case("304 with a length", ok(LENGTH, line=b"HTTP/1.1 304 Not Modified"), (whole(b"", 304),)),
    Case("304 with a body", ok(LENGTH, body=b"hello", line=b"HTTP/1.1 304 Not Modified"), (whole(b"", 304),)),
    Case("304 with chunks", ok(TE, body=IN_CHUNKS, line=b"HTTP/1.1 304 Not Modified"), (whole(b"", 304),)),
    Case("HEAD with a length", ok(LENGTH), (whole(),), method="HEAD"),
    Case("HEAD with a body", ok(LENGTH, body=b"hello"), (whole(),), method="HEAD"),
    Case("HEAD with chunks", ok(TE), (whole(),), method="HEAD"),
    Case("HEAD with two lengths", ok(LENGTH, b"Content-Length: 6"), (whole(), GARBAGE), method="HEAD"),
    Case("HEAD with a signed length", ok(b"Content-Length: +5"), (whole(), GARBAGE), method="HEAD"),
    Case("304 with length and chunks", ok(LENGTH, TE, line=b"HTTP/1.1 304 Not Modified"), (whole(b"", 304), GARBAGE)),
    Case("two responses", ok(LENGTH, body=b"hello") + STRAY, (HELLO,)),
)
