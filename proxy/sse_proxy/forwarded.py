"""Who a client is, and how it asked, where proxies stand in front of the gateway.

What X-Forwarded-* fields say is believed of trusted proxies only. The client is the first address, from the right,
that is none of theirs: what stands further left anybody may have written, so it goes no further. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from sse_proxy.errors import ConfigError

_WITH_PORT = re.compile(r"\[([^\]]*)\](?::[0-9]+)?|([0-9.]+):[0-9]+")
_REMEMBERED = 4096

RawFields = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Via:
    """How a request has come."""

    client: str | None
    """The client's IP address, for logs and limits."""
    chain: bytes
    """For X-Forwarded-For: the client and the proxies behind it, as far as they are vouched for."""
    scheme: bytes | None = None
    """What a trusted proxy says that the client spoke; None: nothing."""
    host: bytes | None = None
    port: bytes | None = None


class TrustedProxies:
    """The networks whose proxies are believed."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """Raises ConfigError where one is no network."""
        try:
            self._networks = tuple(ip_network(network, strict=False) for network in networks)
        except ValueError as error:
            raise ConfigError(f"a trusted proxy is no network: {error}") from None
        self._trusts = lru_cache(maxsize=_REMEMBERED)(self._judge)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trusts(self, address: str | None) -> bool:
        """Whether the address is one of a trusted proxy."""
        return address is not None and bool(self._networks) and self._trusts(address)

    def via(self, peer: str | None, fields: RawFields) -> Via:
        """How a request has come that `peer` sent with these fields."""
        if not self.trusts(peer):
            return _direct(peer)
        client, chain = peer, [peer or ""]
        for hop in reversed(_members(fields, b"x-forwarded-for")):
            address = _address(hop)
            if address is None:
                break
            client = address
            chain.insert(0, address)
            if not self.trusts(address):
                break
        scheme = _last(fields, b"x-forwarded-proto")
        scheme = scheme.lower() if scheme is not None else None
        port = _last(fields, b"x-forwarded-port")
        return Via(
            client,
            ", ".join(chain).encode(),
            scheme if scheme in (b"http", b"https") else None,
            _last(fields, b"x-forwarded-host"),
            port if port is not None and port.isdigit() else None,
        )

    def _judge(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._networks if network.version == parsed.version)


@lru_cache(maxsize=_REMEMBERED)
def _direct(peer: str | None) -> Via:
    return Via(peer, (peer or "").encode())


def _members(fields: RawFields, name: bytes) -> list[bytes]:
    values = (value for key, value in fields if key.lower() == name)
    return [member for value in values for part in value.split(b",") if (member := part.strip(b" \t"))]


def _last(fields: RawFields, name: bytes) -> bytes | None:
    """What the nearest proxy says."""
    members = _members(fields, name)
    return members[-1] if members else None


def _address(hop: bytes) -> str | None:
    """The IP address of an X-Forwarded-For member, which some proxies write with a port."""
    text = hop.decode("latin-1")
    if (match := _WITH_PORT.fullmatch(text)) is not None:
        text = match[1] or match[2]
    try:
        return str(ip_address(text))
    except ValueError:
        return None
