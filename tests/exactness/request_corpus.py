"""Requests that some readers of HTTP read differently than others, and the readings of each that are right.

A right reading is either a refusal, of which upstream sees nothing, or one canonical request. Where RFC 9110 and 9112
leave a choice, several readings are listed. A row: name, bytes, readings.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """What the client is answered, and what upstream gets: method, target, body."""

    statuses: tuple[int, ...]
    forwarded: tuple[tuple[str, str, bytes], ...] = ()
    cut: bool = False
    """The last request may have begun upstream, but must not be complete there."""

    def __add__(self, other: Reading) -> Reading:
        return Reading(self.statuses + other.statuses, self.forwarded + other.forwarded, other.cut)


@dataclass(frozen=True)
class Case:
    """One row of the corpus."""

    name: str
    sent: bytes
    readings: tuple[Reading, ...]


def forwards(method: str = "POST", target: str = "/", body: bytes = b"") -> Reading:
    """One request arrives upstream, and its answer is passed on."""
    return Reading((200,), ((method, target, body),))


def refused(status: int = 400) -> Reading:
    """The gateway answers, and upstream gets no byte."""
    return Reading((status,))


def cut(status: int = 400) -> Reading:
    """The gateway answers, and upstream gets no complete request."""
    return Reading((status,), cut=True)


def post(*fields: bytes, body: bytes = b"", host: bytes = b"Host: a") -> bytes:
    """A POST with these field lines, whatever they are."""
    return b"\r\n".join((b"POST / HTTP/1.1", host, *fields)) + b"\r\n\r\n" + body


def get(*fields: bytes, line: bytes = b"GET / HTTP/1.1") -> bytes:
    """A GET with these field lines, and none that is not named."""
    return b"\r\n".join((line, *fields)) + b"\r\n\r\n"


def chunked(body: bytes) -> bytes:
    """A POST with a chunked body as it is on the wire."""
    return post(b"Transfer-Encoding: chunked", body=body)


HELLO = forwards(body=b"hello")
EMPTY = forwards()
GET = forwards("GET")
LENGTH = b"Content-Length: 5"
TE = b"Transfer-Encoding: chunked"
IN_CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def _length(value: bytes, *readings: Reading) -> Case:
    return Case(f"length {value!r}", post(b"Content-Length: " + value, body=b"hello"), readings or (refused(),))


def _coding(value: bytes, *readings: Reading) -> Case:
    return Case(f"coding {value!r}", post(b"Transfer-Encoding: " + value, body=IN_CHUNKS), readings or (refused(),))


def _field(raw: bytes, *readings: Reading) -> Case:
    return Case(f"field {raw!r}", get(b"Host: a", raw), readings or (refused(),))


def _line(raw: bytes, *readings: Reading) -> Case:
    return Case(f"line {raw!r}", get(b"Host: a", line=raw), readings or (refused(),))


def _target(raw: bytes, *readings: Reading) -> Case:
    return Case(f"target {raw!r}", get(b"Host: a", line=b"GET " + raw + b" HTTP/1.1"), readings or (refused(),))


def _host(raw: bytes, *readings: Reading) -> Case:
    return Case(f"host {raw!r}", get(raw), readings or (refused(),))


def _size(line: bytes, *readings: Reading) -> Case:
    return Case(f"chunk size {line!r}", chunked(line + b"\r\nhello\r\n0\r\n\r\n"), readings or (cut(),))


def _chunks(name: str, body: bytes, *readings: Reading) -> Case:
    return Case(f"chunks: {name}", chunked(body), readings or (cut(),))


LENGTHS = (
    _length(b"5", HELLO),
    _length(b"\t5 \t", HELLO),
    _length(b"05", HELLO, refused()),
    _length(b"+5"),
    _length(b"-5"),
    _length(b"-0"),
    _length(b"5 5"),
    _length(b"5,5", HELLO, refused()),
    _length(b"5, 5", HELLO, refused()),
    _length(b"5, 6"),
    _length(b"5,"),
    _length(b"0x5"),
    _length(b"0_5"),
    _length(b"5.0"),
    _length(b"5e0"),
    _length(b"5;"),
    _length(b'"5"'),
    _length(b""),
    _length(b"five"),
    _length(b"\xef\xbc\x95"),
    _length(b"\xc2\xa05"),
    _length(b"5\x0b"),
    _length(b"5\x00"),
    _length(b"5\r\n 0"),
    _length(b"18446744073709551621"),
    _length(b"9223372036854775808"),
    _length(b"1" * 400),
    Case("length twice, equal", post(LENGTH, LENGTH, body=b"hello"), (HELLO, refused())),
    Case("length twice, different", post(LENGTH, b"Content-Length: 0", body=b"hello"), (refused(),)),
    Case("length twice, different, other case", post(b"Content-Length: 0", b"content-length: 5"), (refused(),)),
    Case("length and chunks", post(LENGTH, TE, body=b"0\r\n\r\nG"), (refused(),)),
    Case("chunks and length", post(TE, b"Content-Length: 4", body=b"5\r\nhello\r\n0\r\n\r\n"), (refused(),)),
    Case("zero length and chunks", post(b"Content-Length: 0", TE, body=IN_CHUNKS), (refused(),)),
    Case("length, blank before the colon", post(b"Content-Length : 5", body=b"hello"), (refused(),)),
    Case("length, tab before the colon", post(b"Content-Length\t: 5", body=b"hello"), (refused(),)),
    Case("length, VT before the colon", post(b"Content-Length\x0b: 5", body=b"hello"), (refused(),)),
    Case("length, NUL in the name", post(b"Content-Length\x00: 5", body=b"hello"), (refused(),)),
    Case("length without colon", post(b"Content-Length 5", body=b"hello"), (refused(),)),
    Case("length, blank in the name", post(b"Content Length: 5", body=b"hello"), (refused(),)),
    Case("length as a folded line", post(b"X: a", b" Content-Length: 5", body=b"hello"), (refused(),)),
    Case("length behind a bare LF", post(b"X: a\nContent-Length: 5", body=b"hello"), (HELLO, refused())),
    Case("length behind a bare CR", post(b"X: a\rContent-Length: 5", body=b"hello"), (refused(),)),
    Case("length with an underscore", post(b"Content_Length: 5"), (EMPTY, refused())),
    Case("no length, no body", post(), (EMPTY,)),
    Case(
        "GET with a body",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        (forwards("GET", body=b"hello"),),
    ),
    Case(
        "HEAD with a body",
        b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        (forwards("HEAD", body=b"hello"),),
    ),
    Case("a request as a body", post(b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED), (forwards(body=SMUGGLED),)),
    Case("HTTP/1.0 with a length", b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", (HELLO,)),
)

CODINGS = (
    _coding(b"chunked", HELLO),
    _coding(b"Chunked", HELLO),
    _coding(b"CHUNKED", HELLO),
    _coding(b"\tchunked\t ", HELLO),
    _coding(b"chunked,", HELLO, refused()),
    _coding(b",chunked", HELLO, refused()),
    _coding(b""),
    _coding(b"xchunked"),
    _coding(b"chunkedx"),
    _coding(b"chunked, chunked"),
    _coding(b"chunked chunked"),
    _coding(b"identity"),
    _coding(b"identity, chunked"),
    _coding(b"chunked, identity"),
    _coding(b"gzip"),
    _coding(b"gzip, chunked", refused(), refused(501)),
    _coding(b"chunked, gzip"),
    _coding(b"chunked;q=1"),
    _coding(b'"chunked"'),
    _coding(b"'chunked'"),
    _coding(b"cow"),
    _coding(b"\x0bchunked"),
    _coding(b"chunked\x0c"),
    _coding(b"\xc2\xa0chunked"),
    _coding(b"chunked\xff"),
    _coding(b"chunked\x00"),
    _coding(b"chu\rnked"),
    _coding(b"\r\n chunked"),
    _coding(b"x\r\n chunked"),
    _coding(b"\n chunked"),
    Case("coding twice", post(TE, TE, body=IN_CHUNKS), (refused(),)),
    Case("coding twice, other case", post(TE, b"transfer-encoding: Chunked", body=IN_CHUNKS), (refused(),)),
    Case("coding twice, the last unknown", post(TE, b"Transfer-Encoding: cow", body=IN_CHUNKS), (refused(),)),
    Case("coding twice, the first unknown", post(b"Transfer-Encoding: cow", TE, body=IN_CHUNKS), (refused(),)),
    Case("coding, blank before the colon", post(b"Transfer-Encoding : chunked", body=IN_CHUNKS), (refused(),)),
    Case("coding, VT before the colon", post(b"Transfer-Encoding\x0b: chunked", body=IN_CHUNKS), (refused(),)),
    Case("coding, blank before the name", post(b" Transfer-Encoding: chunked", body=IN_CHUNKS), (refused(),)),
    Case("coding behind a bare LF", post(b"X: a\nTransfer-Encoding: chunked", body=IN_CHUNKS), (HELLO, refused())),
    Case("coding behind a bare CR", post(b"X: a\rTransfer-Encoding: chunked", body=IN_CHUNKS), (refused(),)),
    Case("coding behind a NUL", post(b"X: a\x00\r\nTransfer-Encoding: chunked", body=IN_CHUNKS), (refused(),)),
    Case("coding with an underscore", post(b"Transfer_Encoding: chunked", LENGTH, body=b"hello"), (HELLO, refused())),
    Case("coding without value and length", post(b"Transfer-Encoding:", LENGTH, body=b"hello"), (refused(),)),
    Case("TE is no coding", post(b"TE: chunked", LENGTH, body=b"hello"), (HELLO,)),
    Case("chunks in HTTP/1.0", b"POST / HTTP/1.0\r\nHost: a\r\n" + TE + b"\r\n\r\n" + IN_CHUNKS, (refused(),)),
    Case(
        "GET with chunks",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + TE + b"\r\n\r\n" + IN_CHUNKS,
        (forwards("GET", body=b"hello"),),
    ),
)

CHUNKS = (
    _size(b"5", HELLO),
    _size(b"00000005", HELLO),
    _size(b"0" * 300 + b"5", HELLO, cut()),
    _size(b"+5"),
    _size(b"-5"),
    _size(b"0x5"),
    _size(b"0_5"),
    _size(b" 5"),
    _size(b"\t5"),
    _size(b"5 ", HELLO, cut()),
    _size(b"5\x0b"),
    _size(b"5\x00"),
    _size(b"5 5"),
    _size(b"5.0"),
    _size(b"g"),
    _size(b""),
    _size(b"\xef\xbc\x95"),
    _size(b"10000000000000005"),
    _size(b"FFFFFFFFFFFFFFFF5"),
    _size(b"8000000000000005"),
    _size(b"5;a=b", HELLO, cut()),
    _size(b'5;a="\\";b"', HELLO, cut()),
    _size(b"5;", HELLO, cut()),
    _size(b"5;a\x00"),
    _size(b"5;a\nb"),
    _size(b"5;a\rb"),
    _size(b"5;" + b"a" * 70_000, cut(), cut(431)),
    _chunks(
        "hexadecimal digits of both cases",
        b"A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n",
        forwards(body=b"01234567890123456789a"),
    ),
    _chunks("bare LF behind the size", b"5\nhello\r\n0\r\n\r\n"),
    _chunks("bare LF behind an extension", b"5;a\nhello\r\n0\r\n\r\n"),
    _chunks("bare CR behind the size", b"5\rhello\r\n0\r\n\r\n"),
    _chunks("two CRs behind the size", b"5\r\r\nhello\r\n0\r\n\r\n"),
    _chunks("bare LF behind the data", b"5\r\nhello\n0\r\n\r\n"),
    _chunks("nothing behind the data", b"5\r\nhello0\r\n\r\n"),
    _chunks("longer than its size", b"4\r\nhello\r\n0\r\n\r\n"),
    _chunks("other bytes for the CRLF", b"5\r\nhelloXX0\r\n\r\n"),
    _chunks("bare LFs at the end", b"5\r\nhello\r\n0\n\n"),
    _chunks("bare LF behind the last size", b"5\r\nhello\r\n0\n\r\n"),
    _chunks("bare LF behind the trailers", b"5\r\nhello\r\n0\r\n\n"),
    _chunks("zeros for the last size", b"5\r\nhello\r\n000\r\n\r\n", HELLO),
    _chunks("the last size with an extension", b"5\r\nhello\r\n0;a=b\r\n\r\n", HELLO, cut()),
    _chunks("the last size as 0x0", b"5\r\nhello\r\n0x0\r\n\r\n"),
    _chunks("a trailer", b"5\r\nhello\r\n0\r\nX: y\r\n\r\n", HELLO, cut()),
    _chunks("a trailer that would frame", b"5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n", HELLO, cut()),
    _chunks("a trailer that would route", b"5\r\nhello\r\n0\r\nHost: b\r\n\r\n", HELLO, cut()),
    _chunks("a trailer without colon", b"5\r\nhello\r\n0\r\nGET /smuggled HTTP/1.1\r\n\r\n"),
    _chunks("a trailer with a NUL", b"5\r\nhello\r\n0\r\nX: \x00\r\n\r\n"),
    _chunks("a request as a chunk", b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED), forwards(body=SMUGGLED)),
    _chunks("no chunk but the last", b"0\r\n\r\n", EMPTY),
)

FIELDS = (
    _field(b"X: a", GET),
    _field(b"X:a", GET),
    _field(b"X:", GET),
    _field(b"X: \t a \t", GET),
    _field(b"X: \xff\xfe", GET),
    _field(b"X: \xc3\xa4", GET),
    _field(b"X : a"),
    _field(b"X\t: a"),
    _field(b"X\x0b: a"),
    _field(b"X Y: a"),
    _field(b"X\xc3\xa4: a"),
    _field(b"X\x00: a"),
    _field(b"X(: a"),
    _field(b"X/: a"),
    _field(b'"X": a'),
    _field(b": a"),
    _field(b"X"),
    _field(b" "),
    _field(b"\t"),
    _field(b"X: a\r\n b"),
    _field(b"X: a\r\n\tb"),
    _field(b"X: a\r\n \r\nY: b"),
    _field(b"X: a\rb"),
    _field(b"X: a\r"),
    _field(b"X: a\r\r\nY: b"),
    _field(b"X: a\nY: b", GET, refused()),
    _field(b"X: a\n b"),
    _field(b"X: a\x00b"),
    _field(b"X: a\x01b"),
    _field(b"X: a\x0bb"),
    _field(b"X: a\x7fb"),
    _field(b"X: " + b"a" * 40_000, refused(431)),
    _field(b"\r\n".join(b"X-%d: y" % number for number in range(1000)), refused(431)),
    Case("blank before the first field", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", (refused(),)),
    Case("bare LFs for all line ends", b"GET / HTTP/1.1\nHost: a\n\n", (GET, refused())),
    Case("bare CRs for all line ends", b"GET / HTTP/1.1\rHost: a\r\r" + b"\r\n\r\n", (refused(),)),
    Case("bare LF behind the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", (GET, refused())),
    Case("bare LF for the blank line", b"GET / HTTP/1.1\r\nHost: a\r\n\n", (GET, refused())),
    Case("CR CR LF for the blank line", b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n", (refused(),)),
)

REQUEST_LINES = (
    _line(b"GET / HTTP/1.1", GET),
    _line(b"get / HTTP/1.1", refused(), refused(501)),
    _line(b"FOO / HTTP/1.1", refused(501), forwards("FOO")),
    _line(b"GET  / HTTP/1.1"),
    _line(b"GET /  HTTP/1.1"),
    _line(b"GET / HTTP/1.1 "),
    _line(b"GET\t/\tHTTP/1.1", refused(), refused(501)),
    _line(b"GET /\x0bHTTP/1.1"),
    _line(b" GET / HTTP/1.1", refused(), refused(501)),
    _line(b"GET\x00 / HTTP/1.1", refused(), refused(501)),
    _line(b"G\xc3\xa4T / HTTP/1.1", refused(), refused(501)),
    _line(b"G(T / HTTP/1.1", refused(), refused(501)),
    _line(b"GET / HTTP/1.1\rX: a"),
    _line(b"GET /"),
    _line(b"GET / HTTP/0.9", refused(), refused(505)),
    _line(b"GET / HTTP/1.2", GET, refused(), refused(505)),
    _line(b"GET / HTTP/1.10", refused(), refused(505)),
    _line(b"GET / HTTP/2.0", refused(), refused(505)),
    _line(b"GET / HTTP/3", refused(), refused(505)),
    _line(b"GET / HTTP/11", refused(), refused(505)),
    _line(b"GET / HTTP/1,1"),
    _line(b"GET / HTTP/+1.1"),
    _line(b"GET / HTTP/1.1x"),
    _line(b"GET / HTTP /1.1"),
    _line(b"GET / http/1.1"),
    _line(b"GET / HTTPS/1.1"),
    _line(b"GET / ICE/1.0"),
    _line(b"GET HTTP/1.1"),
    _line(b"GET  HTTP/1.1"),
    _line(b"GET", refused(), refused(501)),
    _line(b"PRI * HTTP/2.0", refused(), refused(501), refused(505)),
    _line(b"CONNECT a:443 HTTP/1.1", refused(405)),
    _line(b"CONNECT / HTTP/1.1", refused(405), refused()),
    _line(b"TRACE / HTTP/1.1", refused(405)),
    _line(b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2", refused(), refused(501)),
    _line(b"SSH-2.0-OpenSSH_9.2", refused(), refused(501)),
    _line(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", refused(), refused(501)),
    Case("HTTP/0.9", b"GET /\r\n\r\n", (refused(),)),
    Case("a blank line first", b"\r\n" + get(b"Host: a"), (GET, refused())),
    Case("bare LFs first", b"\n\n" + get(b"Host: a"), (GET, refused())),
    Case("HTTP/1.0 without Host", b"GET / HTTP/1.0\r\n\r\n", (GET,)),
    Case("another method in a field", get(b"Host: a", b"X-HTTP-Method-Override: DELETE"), (GET,)),
)

TARGETS = (
    _target(b"/a/b?c=d&c=%0d%0a", forwards("GET", "/a/b?c=d&c=%0d%0a")),
    _target(b"/?a={b}|^`<>\"'", forwards("GET", "/?a={b}|^`<>\"'"), refused()),
    _target(b"/a?/../b//c", forwards("GET", "/a?/../b//c")),
    _target(b"http://a/x", forwards("GET", "/x")),
    _target(b"HTTP://A/x?y", forwards("GET", "/x?y")),
    _target(b"http://a", forwards("GET", "/")),
    _target(b"http://a?x", forwards("GET", "/?x"), refused()),
    _target(b"http://b/x"),
    _target(b"http://a:81/x"),
    _target(b"http://u@a/x"),
    _target(b"http://a@b/x"),
    _target(b"http:///x"),
    _target(b"http:/a/x"),
    _target(b"http:a"),
    _target(b"https://b/x"),
    _target(b"ftp://a/x"),
    _target(b"http://a\\b/x"),
    _target(b"a:80"),
    _target(b"a"),
    _target(b"*"),
    _target(b"?x"),
    _target(b"//a/x"),
    _target(b"/a//b"),
    _target(b"/a/../b"),
    _target(b"/a/..;x/b"),
    _target(b"/%2e%2e/b"),
    _target(b"/a%2fb"),
    _target(b"/a%5cb"),
    _target(b"/a\\b"),
    _target(b"/%00"),
    _target(b"/%0d%0aX:%20y"),
    _target(b"/%"),
    _target(b"/%zz"),
    _target(b"/a b"),
    _target(b"/a\tb"),
    _target(b"/a#b"),
    _target(b"/\x00"),
    _target(b"/\x7f"),
    _target(b"/\xc3\xa4"),
    _target(b"/?\xc3\xa4"),
    _target(b"/a\rb"),
    _target(b"/a\x0bb"),
    _target(b"/" + b"a" * 70_000, refused(414)),
    Case("OPTIONS *", get(b"Host: a", line=b"OPTIONS * HTTP/1.1"), (refused(204),)),
    Case("GET *", get(b"Host: a", line=b"GET * HTTP/1.1"), (refused(),)),
    Case("OPTIONS * without Host", get(line=b"OPTIONS * HTTP/1.1"), (refused(),)),
    Case("absolute form without Host", get(line=b"GET http://a/ HTTP/1.1"), (refused(),)),
    Case(
        "absolute form in HTTP/1.0 without Host",
        get(line=b"GET http://a/x HTTP/1.0"),
        (forwards("GET", "/x"), refused()),
    ),
)

HOSTS = (
    _host(b"Host: a", GET),
    _host(b"HOST:a", GET),
    _host(b"Host: a:80", GET),
    _host(b"Host: [::1]:80", GET),
    _host(b"X: a"),
    _host(b"Host:"),
    _host(b"Host: a\r\nHost: a"),
    _host(b"Host: a\r\nhost: b"),
    _host(b"Host: a, b"),
    _host(b"Host: a b"),
    _host(b"Host: ."),
    _host(b"Host: a/b"),
    _host(b"Host: u@a"),
    _host(b"Host: a?b"),
    _host(b"Host: a#b"),
    _host(b"Host: a\\b"),
    _host(b"Host: a:b"),
    _host(b"Host: a:80:80"),
    _host(b"Host: a:99999"),
    _host(b"Host: [::1"),
    _host(b"Host: http://a"),
    _host(b"Host: \xc3\xa4"),
    _host(b"Host: a\x00"),
    _host(b"Host: a\x0b"),
    _host(b"Host : a"),
    _host(b" Host: a"),
    _host(b"Host: a\r\n b"),
    _host(b"X: a\nHost: a", GET, refused()),
    Case("two Hosts in HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", (refused(),)),
)

CONNECTIONS = (
    Case("Connection lists the length", post(b"Connection: content-length", LENGTH, body=b"hello"), (HELLO, refused())),
    Case("Connection lists the coding", post(b"Connection: transfer-encoding", TE, body=IN_CHUNKS), (HELLO, refused())),
    Case("Connection lists Host", get(b"Host: a", b"Connection: host"), (GET, refused())),
    Case("Connection lists what the gateway says", get(b"Host: a", b"Connection: x-forwarded-for, via"), (GET,)),
    Case("Connection with odd elements", get(b"Host: a", b"Connection: , keep-alive,, ,x"), (GET,)),
    Case("hop-by-hop fields", get(b"Host: a", b"Keep-Alive: 5", b"Proxy-Connection: close", b"TE: trailers"), (GET,)),
    Case(
        "upgrade to h2c",
        get(b"Host: a", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAoAAA"),
        (GET,),
    ),
    Case("upgrade to h2c without Connection", get(b"Host: a", b"Upgrade: h2c"), (GET,)),
    Case(
        "upgrade to WebSocket",
        get(b"Host: a", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
        (refused(501),),
    ),
    Case("unknown expectation", post(b"Expect: 200-ok", LENGTH, body=b"hello"), (refused(417),)),
    Case("expectation without a body", get(b"Host: a", b"Expect: 100-continue"), (GET, refused(417))),
    Case("expectation with the body at once", post(b"Expect: 100-continue", LENGTH, body=b"hello"), (HELLO,)),
    Case("gateway's fields with underscores", get(b"Host: a", b"X_Forwarded_For: 10.0.0.1"), (GET, refused())),
)

PIPELINES = (
    Case("two GETs", get(b"Host: a") + get(b"Host: a", line=b"GET /2 HTTP/1.1"), (GET + forwards("GET", "/2"),)),
    Case("a length, then a GET", post(LENGTH, body=b"hello") + SMUGGLED, (HELLO + forwards("GET", "/smuggled"),)),
    Case("chunks, then a GET", chunked(IN_CHUNKS) + SMUGGLED, (HELLO + forwards("GET", "/smuggled"),)),
    Case(
        "HEAD, then a GET",
        get(b"Host: a", line=b"HEAD / HTTP/1.1") + SMUGGLED,
        (forwards("HEAD") + forwards("GET", "/smuggled"),),
    ),
    Case("a GET, then garbage", get(b"Host: a") + b"\x00\x01\r\n\r\n", (GET + refused(), GET)),
    Case("a GET, then one that is refused", get(b"Host: a") + get(), (GET + refused(), GET)),
    Case("close, then a GET", get(b"Host: a", b"Connection: close") + SMUGGLED, (GET,)),
    Case("HTTP/1.0, then a GET", b"GET / HTTP/1.0\r\nHost: a\r\n\r\n" + SMUGGLED, (GET,)),
    Case("unknown path of a refused length", post(b"Content-Length: 5, 6", body=b"hello") + SMUGGLED, (refused(),)),
    Case(
        "bytes behind the length",
        post(LENGTH, body=b"hello\r\n\r\n") + SMUGGLED,
        (HELLO + forwards("GET", "/smuggled"),),
    ),
    Case(
        "a letter behind the length",
        post(LENGTH, body=b"helloX") + SMUGGLED,
        (HELLO + refused(), HELLO + refused(501), HELLO),
    ),
    Case(
        "WebSocket, then a GET",
        get(b"Host: a", b"Connection: Upgrade", b"Upgrade: websocket") + SMUGGLED,
        (refused(501), refused(501) + forwards("GET", "/smuggled")),
    ),
)

CASES = (
    *LENGTHS,
    *CODINGS,
    *CHUNKS,
    *FIELDS,
    *REQUEST_LINES,
    *TARGETS,
    *HOSTS,
    *CONNECTIONS,
    *PIPELINES,
)
