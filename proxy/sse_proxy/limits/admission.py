"""Who may come in: how many are under way, of whom, and how fast they come.

`refusal` asks and takes a token where there is a rate; `enter` and `leave` count who is under way. Counts outlive a
change of the config, so that a new limit knows of the streams that are open.
"""

from __future__ import annotations

import math
from ipaddress import IPv6Address, ip_address

from sse_proxy.config import GatewayLimits, Limits
from sse_proxy.limits.rate import Buckets
from sse_proxy.problem import Problem

_IPV6_PREFIX_BYTES = 8

STREAMS_RETRY_AFTER = 5
"""Seconds after which a client that found no room may ask again: nobody knows when a stream ends."""


def address_key(address: str) -> str:
    """Whom an address stands for: of IPv6 the first 64 bits, which are one network's (RFC 6177), else all of it."""
    if ":" not in address:
        return address
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return parsed.packed[:_IPV6_PREFIX_BYTES].hex()


class Occupancy:
    """How many are under way, in all, of each client address and of each consumer (`""`, anybody, is none). Only who is
    there takes memory."""

    __slots__ = ("by_address", "by_consumer", "total")

    def __init__(self) -> None:
        self.total = 0
        self.by_address: dict[str, int] = {}
        self.by_consumer: dict[str, int] = {}

    def enter(self, key: str, consumer: str) -> None:
        self.total += 1
        self.by_address[key] = self.by_address.get(key, 0) + 1
        if consumer:
            self.by_consumer[consumer] = self.by_consumer.get(consumer, 0) + 1

    def leave(self, key: str, consumer: str) -> None:
        self.total -= 1
        _one_less(self.by_address, key)
        if consumer:
            _one_less(self.by_consumer, consumer)


def _one_less(counts: dict[str, int], key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]


class Admission:
    """The limits of one API, or of the gateway."""

    __slots__ = (
        "_by_address",
        "_rate",
        "_streams",
        "_streams_per_address",
        "_streams_per_consumer",
        "limits",
        "occupancy",
    )

    def __init__(self, limits: Limits | GatewayLimits, before: Admission | None = None) -> None:
        """`before` is the same under the config before: who is under way stays counted, and so do buckets whose rate is
        as it was."""
        self.limits = limits
        self.occupancy: Occupancy = before.occupancy if before is not None else Occupancy()
        self._streams = limits.streams
        self._streams_per_address = limits.streams_per_client_address
        self._streams_per_consumer: int | None = None
        self._rate: Buckets[str] | None = None
        self._by_address: Buckets[str] | None = None
        if not isinstance(limits, Limits):
            return
        self._streams_per_consumer = limits.streams_per_consumer
        known = before.limits if before is not None and isinstance(before.limits, Limits) else None
        if limits.request_rate is not None:
            same = known is not None and known.request_rate == limits.request_rate
            self._rate = before._rate if same and before is not None else Buckets(limits.request_rate)
        if (rate := limits.request_rate_per_client_address) is not None:
            same = known is not None and known.request_rate_per_client_address == rate
            self._by_address = before._by_address if same and before is not None else Buckets(rate)

    def refusal(self, key: str, consumer: str, now: float) -> Problem | None:
        """What a request of this client address and consumer (`""`: anybody) gets instead; None: it may come in. `now`
        is monotonic, in seconds."""
        if self._streams is not None and self.occupancy.total >= self._streams:
            return Problem(429, "TooManyStreams", retry_after=STREAMS_RETRY_AFTER)
        if self._streams_per_address is not None and self.occupancy.by_address.get(key, 0) >= self._streams_per_address:
            return Problem(429, "TooManyStreamsOfClient", retry_after=STREAMS_RETRY_AFTER)
        per_consumer = self._streams_per_consumer if consumer else None
        if per_consumer is not None and self.occupancy.by_consumer.get(consumer, 0) >= per_consumer:
            return Problem(429, "TooManyStreamsOfConsumer", retry_after=STREAMS_RETRY_AFTER)
        # The client's own bucket first: who is too fast alone takes nothing from the others.
        if self._by_address is not None and (wait := self._by_address.take(key, now)):
            return Problem(429, "TooManyRequestsOfClient", retry_after=math.ceil(wait))
        if self._rate is not None and (wait := self._rate.take("", now)):
            return Problem(429, "TooManyRequests", retry_after=math.ceil(wait))
        return None
