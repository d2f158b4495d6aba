"""An entry's endpoints: which of them a request goes to, and what is known of each.

A healthy primary comes first, then a healthy secondary. Where none is healthy, requests go to the primaries as if all
were: a check that is wrong must not take an API down that works. A session stays where it is while its endpoint is
healthy, or none is; one whose weight is 0 keeps its sessions. What is known of an endpoint outlives the config that
it was learned under, for as long as its name, its URL and how it is checked stay the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Sequence

from sse_proxy.config import Api, HealthCheck
from sse_proxy.observations import Observations
from sse_proxy.upstream.balancer import balancer_for
from sse_proxy.upstream.health import Health
from sse_proxy.upstream.session import mark_of
from sse_proxy.upstream.target import Target

UNHEALTHY = "EndpointUnhealthy"


class Endpoint:
    """One endpoint."""

    __slots__ = ("_tell", "health", "name", "secondary", "streams", "target", "weight")

    def __init__(self, name: str, target: Target, health: Health) -> None:
        self.name = name
        self.target = target
        self.health = health
        self.weight = 1
        self.secondary = False
        self.streams = 0
        """Connections that exchanges hold to it."""
        self._tell: Callable[[], None] = lambda: None

    def belongs_to(self, tell: Callable[[], None], weight: int, secondary: bool, target: Target) -> None:
        """It is part of a config; `tell` is called when its health has changed."""
        self._tell, self.weight, self.secondary, self.target = tell, weight, secondary, target

    def answered(self, status: int) -> None:
        """A request got a response head."""
        if self.health.answered(status):
            self._tell()

    def failed(self, cause: str) -> None:
        """A request got no answer, for this reason (CamelCase)."""
        if self.health.failed(cause):
            self._tell()

    def probed(self, cause: str | None) -> None:
        """A probe's outcome: None, or what was wrong."""
        if self.health.probed(cause):
            self._tell()


class Endpoints:
    """Those of one entry. `now` is a monotonic clock in seconds."""

    def __init__(
        self,
        api: Api,
        targets: Sequence[Target],
        before: Endpoints | None,
        observations: Observations,
        now: Callable[[], float],
    ) -> None:
        """`targets` are those of `api.endpoints`, in their order, or none where they cannot be used; `before` are the
        entry's endpoints until now."""
        known = before._by_identity if before is not None and before._check == api.health_check else {}
        self._check: HealthCheck = api.health_check
        self._observations = observations
        self._now = now
        self._balancer = balancer_for(api.load_balancing, random.random)
        self._told: str = before._told if before is not None else ""
        self._by_identity: dict[tuple[str, str], Endpoint] = {}
        for config, target in zip(api.endpoints, targets, strict=False):
            identity = (config.name, config.url)
            endpoint = known.get(identity) or Endpoint(config.name, target, Health(api.health_check, now))
            endpoint.belongs_to(self._tell, config.weight, config.secondary, target)
            self._by_identity[identity] = endpoint
        self._all = [endpoint for endpoint in self._by_identity.values() if endpoint.weight > 0]
        self._by_mark = {mark_of(endpoint.name): endpoint for endpoint in self._by_identity.values()}
        self._tell()

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def choose(
        self, key: bytes | None, tried: Collection[Endpoint] = (), session: bytes | None = None
    ) -> Endpoint | None:
        """The endpoint for a request that hashes on `key`, none of those that it was `tried` at; None: no more.
        `session` is the mark of the one that has the request's session."""
        if session is not None and (home := self._home(session)) is not None and home not in tried:
            return home
        left = [endpoint for endpoint in self._all if endpoint not in tried] if tried else self._all
        if len(left) < 2:
            return left[0] if left else None
        healthy = [endpoint for endpoint in left if endpoint.health.healthy]
        primaries = [endpoint for endpoint in healthy if not endpoint.secondary]
        among = primaries or healthy or [endpoint for endpoint in left if not endpoint.secondary] or left
        return self._balancer.next(among, key)

    def _home(self, session: bytes) -> Endpoint | None:
        """The endpoint that has a session, while its health lets it be asked."""
        home = self._by_mark.get(session)
        if home is None or home.health.healthy or not any(each.health.healthy for each in self._all):
            return home
        return None

    def _tell(self) -> None:
        """What is to be said of the endpoints' health has perhaps changed."""
        now = self._now()
        out = sorted((each for each in self._all if not each.health.healthy), key=lambda endpoint: endpoint.name)
        told = ", ".join(f"{each.name} ({each.health.cause})" for each in out)
        if told != self._told:
            self._observations.withdraw(UNHEALTHY)
        self._told = told
        if told:
            # An ejected endpoint comes back with the first request after its time: until then nobody knows better.
            passive = self._check.passive
            grace = passive.ejection_time if passive is not None else 0.0
            stands = max(each.health.out_until for each in out) - now + grace
            self._observations.make(
                UNHEALTHY,
                f"Endpoints that get no requests, as a proxy found them unhealthy: {told}.",
                now,
                stands=stands,
            )
