"""Where connections to upstream may go, judged on the address that is really connected to.

An IPv6 address can carry an IPv4 one (mapped, compatible, NAT64, 6to4). It is denied when any of its readings is.
"""

from __future__ import annotations

import functools
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from sse_proxy.config import TargetGuard
from sse_proxy.errors import ConfigError, TargetDeniedError
from sse_proxy.upstream.addresses import AddressInfo

_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = IPv6Network("::/96")
_MOST_ADDRESSES = 4096


def readings(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The address itself, and every IPv4 address that it may lead to."""
    found: list[IPv4Address | IPv6Address] = [address]
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            found.append(address.ipv4_mapped)
        if address.sixtofour is not None:
            found.append(address.sixtofour)
        if any(address in network for network in _NAT64) or (address in _COMPATIBLE and int(address) > 1):
            found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return found


class AddressGuard:
    """The gateway's `TargetGuard`, ready to judge. ConfigError where it names something that is no network."""

    def __init__(self, rules: TargetGuard) -> None:
        try:
            self._deny = [ip_network(network, strict=False) for network in rules.deny]
            self._allow = [ip_network(network, strict=False) for network in rules.allow]
        except ValueError as error:
            raise ConfigError(f"settings.targets: {error}") from None
        self.permits = functools.lru_cache(_MOST_ADDRESSES)(self._judge)
        """Whether an address (text, perhaps with an IPv6 zone) may be connected to."""

    def _judge(self, host: str) -> bool:
        return not any(
            any(reading in network for network in self._deny) and not any(reading in network for network in self._allow)
            for reading in readings(ip_address(host.partition("%")[0]))
        )

    def permits_host(self, host: str) -> bool:
        """Whether a host that a proxy will resolve may be connected to: what is no address cannot be judged here."""
        try:
            return self.permits(host)
        except ValueError:
            return True

    def socket_for(self, info: AddressInfo) -> socket.socket:
        """A TCP socket for one address, with keep-alive probes on. Raises TargetDeniedError."""
        family, kind, protocol, _, address = info
        host = str(address[0])
        if not self.permits(host):
            raise TargetDeniedError("the target's address is not permitted")
        sock = socket.socket(family, kind, protocol)
        probe_silent_peers(sock)
        return sock


def probe_silent_peers(sock: socket.socket) -> None:
    """TCP keep-alive, so that a peer that vanished is noticed after two minutes rather than two hours."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
