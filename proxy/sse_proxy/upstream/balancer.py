"""Which of several endpoints the next request goes to. Pure: randomness is passed in.

A balancer is asked with the endpoints that may be used now, never none, all of a weight above 0. Which those are can
change from one request to the next, so none of the balancers remembers more of an endpoint than its name.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from sse_proxy.config import LoadBalancing


class Balanced(Protocol):
    """What a balancer must know of an endpoint."""

    name: str
    weight: int
    streams: int
    """Connections that exchanges hold to it."""


B = TypeVar("B", bound=Balanced)


class Balancer(Protocol):
    """One way of choosing."""

    def next(self, among: Sequence[B], key: bytes | None) -> B:
        """The endpoint for a request; `key` is what the request is hashed on, where it has it."""


class RoundRobin:
    """Turns by weight, smoothly: weights 5, 1, 1 give a a b a c a a rather than a a a a a b c, so that no endpoint gets
    a burst (the algorithm is nginx's)."""

    def __init__(self) -> None:
        self._current: dict[str, int] = {}

    def next(self, among: Sequence[B], key: bytes | None = None) -> B:
        if len(among) == 1:
            return among[0]
        current = self._current
        best = among[0]
        total = 0
        for each in among:
            current[each.name] = current.get(each.name, 0) + each.weight
            total += each.weight
            if current[each.name] > current[best.name]:
                best = each
        current[best.name] -= total
        return best


class Random:
    """Any, as often as its weight says. `random` gives numbers from 0 up to 1."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random

    def next(self, among: Sequence[B], key: bytes | None = None) -> B:
        point = self._random() * sum(each.weight for each in among)
        for each in among:
            point -= each.weight
            if point < 0:
                return each
        return among[-1]


class LeastStreams:
    """The one with the fewest streams for its weight; those that are equal take turns."""

    def __init__(self) -> None:
        self._turns = RoundRobin()

    def next(self, among: Sequence[B], key: bytes | None = None) -> B:
        least = min((each.streams + 1) / each.weight for each in among)
        return self._turns.next([each for each in among if (each.streams + 1) / each.weight == least])


class ConsistentHash:
    """The same one for the same key, in every proxy: weighted rendezvous hashing (Schindelhauer and Schomaker, 2005).
    When an endpoint goes, only its keys move; when one comes, it takes its share from all. Requests without a key take
    turns."""

    def __init__(self) -> None:
        self._turns = RoundRobin()

    def next(self, among: Sequence[B], key: bytes | None) -> B:
        if key is None:
            return self._turns.next(among)
        return max(among, key=lambda each: _score(key, each))


def _score(key: bytes, endpoint: Balanced) -> float:
    digest = hashlib.blake2b(key, digest_size=8, key=endpoint.name.encode()[:64]).digest()
    # Above 0 and below 1: the logarithm is finite and not 0.
    uniform = (int.from_bytes(digest, "big") + 1) / (2**64 + 2)
    return -endpoint.weight / math.log(uniform)


def balancer_for(balancing: LoadBalancing, random: Callable[[], float]) -> Balancer:
    """The balancer that an entry asks for."""
    match balancing.type:
        case "RoundRobin":
            return RoundRobin()
        case "Random":
            return Random(random)
        case "LeastStreams":
            return LeastStreams()
        case "ConsistentHash":
            return ConsistentHash()
