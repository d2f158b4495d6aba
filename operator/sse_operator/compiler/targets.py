"""Where a gateway may not connect to, judged by the proxy on the resolved address.

In a cluster whoever may write an SseApi chooses its target, so a target must not reach what only the node or the
proxy pod itself may: loopback, link-local, the clouds' metadata services, the API server. Locally the user's own
services are on loopback, and the user's own rights hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

from sse_proxy.config import TargetGuard

DENIED_IN_CLUSTER = (
    # IANA special-purpose registries (RFC 6890): this host, loopback, link-local, limited broadcast, multicast.
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",  # with 169.254.169.254, metadata of AWS, GCP, Azure, OpenStack, and 169.254.170.2 of ECS
    "224.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "fe80::/10",
    "ff00::/8",
    "::ffff:0:0/96",  # IPv4-mapped: an IPv4 address in disguise
    # Metadata outside of link-local.
    "fd00:ec2::254/128",  # AWS, instance metadata over IPv6
    "fd00:ec2::23/128",  # AWS, EKS pod identity over IPv6
    "fd20:ce::254/128",  # GCP, metadata over IPv6
    "fd00:42::42/128",  # Scaleway, metadata over IPv6
    "100.100.100.200/32",  # Alibaba Cloud
    "192.0.0.192/32",  # Oracle Cloud, classic
    "168.63.129.16/32",  # Azure, WireServer
)


def cluster_guard(api_server: Iterable[str], allow: Iterable[str] = ()) -> TargetGuard:
    """The guard of a gateway in a cluster: `api_server` are addresses or networks of the API server (its Service and
    its endpoints), `allow` are networks that the operator's settings exempt. ValueError where one is no network."""
    return TargetGuard(
        deny=tuple(dict.fromkeys((*DENIED_IN_CLUSTER, *(_network(address) for address in sorted(api_server))))),
        allow=tuple(dict.fromkeys(_network(address) for address in allow)),
    )


def local_guard() -> TargetGuard:
    """The guard of the local mode: link-local and metadata are refused there too, since a manifest may be a stranger's;
    loopback is where the user's own services are."""
    own = {"127.0.0.0/8", "::1/128", "0.0.0.0/8", "::/128"}
    return TargetGuard(deny=tuple(network for network in DENIED_IN_CLUSTER if network not in own))


def _network(address: str) -> str:
    network: IPv4Network | IPv6Network = ip_network(address, strict=False)
    return str(network)
