"""The PROXY protocol: its bytes, and connections that begin with it."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.harness import Gateway, Origin, api, eventually
from proxy.test_forwarded import load
from sse_proxy.errors import ProxyHeaderError
from sse_proxy.proxy_protocol import MOST_V2, ProxyHeader, ProxyHeaderReader

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V4 = bytes((203, 0, 113, 7)) + bytes((10, 0, 0, 1)) + struct.pack("!HH", 4711, 443)
V6 = bytes.fromhex("20010db8" + "00" * 11 + "01") + bytes(16) + struct.pack("!HH", 4711, 443)
TLS = b"\x20" + struct.pack("!H", 5) + b"\x01" + bytes(4)
PLAIN = b"\x20" + struct.pack("!H", 5) + b"\x00" + bytes(4)
OTHER = b"\x04" + struct.pack("!H", 3) + b"abc"


def v2(block: bytes, command: int = 0x21, family: int = 0x11) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(block)) + block


GOOD = [
    (b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n", ProxyHeader("203.0.113.7")),
    (b"PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", ProxyHeader("2001:db8::1")),
    (b"PROXY UNKNOWN\r\n", ProxyHeader(None)),
    (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", ProxyHeader(None)),
    (v2(V4), ProxyHeader("203.0.113.7")),
    (v2(V6, family=0x21), ProxyHeader("2001:db8::1")),
    (v2(V4 + OTHER + TLS), ProxyHeader("203.0.113.7", secure=True)),
    (v2(V4 + PLAIN), ProxyHeader("203.0.113.7")),
    (v2(b"", command=0x20, family=0x00), ProxyHeader(None)),
    (v2(V4, command=0x20), ProxyHeader(None)),
    (v2(b"whatever", family=0x00), ProxyHeader(None)),
]


@given(case=st.sampled_from(GOOD), cuts=st.lists(st.integers(0, 80), max_size=5), rest=st.binary(max_size=20))
def test_headers_in_any_pieces(case: tuple[bytes, ProxyHeader], cuts: list[int], rest: bytes) -> None:
    data, header = case
    data += rest
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    reader, got = ProxyHeaderReader(), b""
    read = None
    for start, end in itertools.pairwise(places):
        if read is not None:
            got += data[start:end]
        elif (read := reader.feed(data[start:end])) is not None:
            got += read[1]
    assert read is not None
    assert read[0] == header
    assert got == rest


@pytest.mark.parametrize(
    "data",
    [
        b"GET /sse HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"proxy TCP4 203.0.113.7 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 4711\r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443 1\r\n",
        b"PROXY TCP4  203.0.113.7 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 2001:db8::1 ::1 4711 443\r\n",
        b"PROXY TCP6 203.0.113.7 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 203.0.113.777 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 65536 443\r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 01 443\r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 +1 443\r\n",
        b"PROXY UDP4 203.0.113.7 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\n" + b"x" * 107,
        b"PROXY \r\n",
        SIGNATURE + b"\x11\x11\x00\x0c" + V4,
        SIGNATURE + b"\x22\x11\x00\x0c" + V4,
        SIGNATURE[:-1] + b"X",
        v2(V4, family=0x12),
        v2(V4, family=0x31),
        v2(V4[:-1]),
        v2(V4, family=0x21),
        v2(V4 + b"\x20\x00\x05\x01"),
        SIGNATURE + struct.pack("!BBH", 0x21, 0x11, MOST_V2 - 15),
    ],
)
def test_what_is_no_header(data: bytes) -> None:
    with pytest.raises(ProxyHeaderError):
        ProxyHeaderReader().feed(data)


def test_a_header_that_is_not_whole_yet() -> None:
    assert ProxyHeaderReader().feed(b"") is None
    assert ProxyHeaderReader().feed(b"PRO") is None
    assert ProxyHeaderReader().feed(SIGNATURE[:5]) is None


async def test_the_client_is_whom_the_header_names(gateway: Gateway, origin: Origin) -> None:
    load(gateway, api(origin.url()), proxy_protocol=True)
    for header, client, scheme in (
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n", "203.0.113.7", "http"),
        (v2(V6 + TLS, family=0x21), "2001:db8::1", "https"),
        (v2(b"", command=0x20, family=0x00), "127.0.0.1", "http"),
    ):
        connection = await gateway.connect()
        await connection.send(header[:9])
        await connection.send(header[9:] + b"GET /sse HTTP/1.1\r\nHost: a\r\n\r\n")
        await connection.length_body(await connection.head())
        assert (await connection.get("/sse", "X-Forwarded-For: 6.6.6.6")).status == 200, "one header a connection"
        for _ in range(2):
            call = await origin.call()
            assert (call.get("X-Forwarded-For"), call.get("X-Forwarded-Proto")) == (client, scheme)
        assert (await gateway.logged_line("request", client=client))["status"] == 200


async def test_a_connection_without_the_header_is_refused(gateway: Gateway, origin: Origin) -> None:
    load(gateway, api(origin.url()), proxy_protocol=True)
    connection = await gateway.connect()
    await connection.send(b"GET /sse HTTP/1.1\r\nHost: a\r\n\r\n")
    assert await connection.rest() == (b"", "reset")
    assert origin.connections == 0
    assert await gateway.metric("sse_gateway_problems_total", api="", reason="BadProxyHeader") == 1


async def test_only_trusted_proxies_may_say_it(gateway: Gateway, origin: Origin) -> None:
    load(gateway, api(origin.url()), trusted=("10.0.0.0/8",), proxy_protocol=True)
    await gateway.connect()

    async def refused() -> bool:
        return await gateway.metric("sse_gateway_problems_total", api="", reason="UntrustedProxy") == 1

    await eventually(refused)
    load(gateway, api(origin.url()), trusted=("127.0.0.1/32", "203.0.113.0/24"), proxy_protocol=True)
    connection = await gateway.connect()
    await connection.send(b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n")
    assert (await connection.get("/sse", "X-Forwarded-For: 198.51.100.9")).status == 200
    assert (await origin.call()).get("X-Forwarded-For") == "198.51.100.9, 203.0.113.7"
