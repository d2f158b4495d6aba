"""The PROXY protocol's header, versions 1 and 2, as a load balancer puts it before a connection's first byte. Sans-I/O.

Source: HAProxy's doc/proxy-protocol.txt. Read strictly: what deviates is no header, and a connection without one is
refused, since nobody could tell a client's bytes from a load balancer's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from sse_proxy.errors import ProxyHeaderError

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_FIXED = len(_SIGNATURE) + 4
_MOST_V1 = 107
MOST_V2 = 4096
"""Bytes of a version 2 header. The protocol allows 65,551; what is in use stays far below."""
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED, _TCP4, _TCP6 = 0x00, 0x11, 0x21
_TLV_SSL, _SSL_CLIENT_SPOKE_TLS = 0x20, 0x01
_PORT = re.compile(rb"0|[1-9][0-9]{0,4}")


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What a load balancer says of a connection."""

    source: str | None
    """The client's IP address; None: the load balancer speaks for itself (a health check), or does not know."""
    secure: bool = False
    """Whether the client spoke TLS to the load balancer (version 2 only)."""


class ProxyHeaderReader:
    """Reads the header that a connection begins with."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> tuple[ProxyHeader, bytes] | None:
        """The header and the bytes behind it, once it is whole. Raises ProxyHeaderError."""
        self._buffer += data
        buffer = bytes(self._buffer)
        if buffer[: len(_SIGNATURE)] == _SIGNATURE[: len(buffer)]:
            return _read_v2(buffer)
        if buffer[:6] == b"PROXY "[: len(buffer)]:
            return _read_v1(buffer)
        raise ProxyHeaderError("the connection does not begin with a PROXY protocol header")


def _read_v1(buffer: bytes) -> tuple[ProxyHeader, bytes] | None:
    end = buffer.find(b"\r\n", 0, _MOST_V1)
    if end < 0:
        if len(buffer) >= _MOST_V1:
            raise ProxyHeaderError("the PROXY line is too long")
        return None
    words = buffer[:end].split(b" ")
    rest = buffer[end + 2 :]
    if len(words) >= 2 and words[1] == b"UNKNOWN":
        return ProxyHeader(None), rest
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        raise ProxyHeaderError("the PROXY line is not of the form PROXY TCP4 SOURCE DESTINATION PORT PORT")
    kind = IPv4Address if words[1] == b"TCP4" else IPv6Address
    try:
        source, _ = (kind(word.decode("ascii")) for word in words[2:4])
    except ValueError:
        raise ProxyHeaderError("the PROXY line's addresses cannot be read") from None
    if not all(_PORT.fullmatch(port) and int(port) < 65536 for port in words[4:]):
        raise ProxyHeaderError("the PROXY line's ports cannot be read")
    return ProxyHeader(str(source)), rest


def _read_v2(buffer: bytes) -> tuple[ProxyHeader, bytes] | None:
    if len(buffer) < _FIXED:
        return None
    command, family = buffer[12], buffer[13]
    length = int.from_bytes(buffer[14:16], "big")
    if command not in (_LOCAL, _PROXY) or _FIXED + length > MOST_V2:
        raise ProxyHeaderError("the PROXY header's version, command or length is not one that is known")
    if len(buffer) < _FIXED + length:
        return None
    block, rest = buffer[_FIXED : _FIXED + length], buffer[_FIXED + length :]
    if command == _LOCAL or family == _UNSPECIFIED:
        return ProxyHeader(None), rest
    size = {_TCP4: 4, _TCP6: 16}.get(family)
    if size is None or len(block) < 2 * size + 4:
        raise ProxyHeaderError("the PROXY header's addresses are none of TCP")
    return ProxyHeader(str(ip_address(block[:size])), _spoke_tls(block[2 * size + 4 :])), rest


def _spoke_tls(extensions: bytes) -> bool:
    """Whether the type-length-value blocks say that the client spoke TLS."""
    secure = False
    while extensions:
        length = int.from_bytes(extensions[1:3], "big")
        if len(extensions) < 3 + length:
            raise ProxyHeaderError("the PROXY header's extensions are cut off")
        if extensions[0] == _TLV_SSL and length:
            secure = bool(extensions[3] & _SSL_CLIENT_SPOKE_TLS)
        extensions = extensions[3 + length :]
    return secure
