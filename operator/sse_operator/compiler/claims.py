"""Who holds which context-path on one gateway.

What is claimed is a route: a host (or any) and a context-path. The rules, which everything here follows from:

- Seniority. A route that the SseApi's `status.claim` covers on this gateway comes before one that it does not, and the
  claim's `since` decides among those. Then creation time, then namespace/name; without creation times (files) the order
  of the inputs. So an edit never steals: a route that one did not hold before is always junior.
- Routes are granted in that order. One that is granted already is refused (`ContextPathConflict`). So is one that is
  nested with a granted route of another namespace (`NestedContextPath`), unless the gateway allows that: the paths are
  equal or one lies under the other on a segment boundary, and a host is there that both mean.
- An SseApi that is refused one route is refused as a whole, but keeps the routes that were granted to it.

Every granted route is compatible with every other. So what the claims then say gives the same grants again: compiling
is idempotent. All look-ups are by dictionaries over the routes at hand; the cost grows with their number, times the
depth of paths and hosts that exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sse_operator.api.conditions import moment, timestamp
from sse_operator.api.objects import SseApi
from sse_operator.api.sse_api import Claim

ANY_HOST = ""

Route = tuple[str, str]
"""(host or `ANY_HOST`, context-path)."""


@dataclass(frozen=True)
class Refusal:
    """Why a route was not granted."""

    reason: str
    """`ContextPathConflict` or `NestedContextPath`."""
    route: Route
    holder: str
    """namespace/name of the SseApi in the way."""
    held: Route
    """The holder's route."""


@dataclass(frozen=True)
class Holding:
    """What one SseApi came out with."""

    context_path: str
    hosts: tuple[str, ...]
    """The hosts on which it holds the path, in the order of its spec; `ANY_HOST` alone for any. May be empty."""
    refusal: Refusal | None
    """Why it did not get all it asked for."""
    claim: Claim | None
    """What its status is to say of it; None where it holds nothing."""


def routes_of(api: SseApi, gateway_key: str) -> tuple[str, tuple[str, ...]] | None:
    """The context-path and hosts that an SseApi asks for; None where it asks for none that can be understood.

    Where its context-path or host names have faults, it asks for what it held so far: requests to its old path must not
    fall to a shorter path or a wider host."""
    if any(fault.path == ("spec",) or fault.path[:2] in _ROUTE_FIELDS for fault in api.faults):
        claim = api.status.claim
        if claim and claim.gateway == gateway_key:
            return claim.context_path, tuple(claim.hostnames) or (ANY_HOST,)
    if api.context_path is None:
        return None
    return api.context_path, api.hostnames or (ANY_HOST,)


_ROUTE_FIELDS = (("spec", "contextPath"), ("spec", "hostnames"))


def settle(
    apis: Sequence[SseApi],
    *,
    gateway_key: str,
    allow_nested: bool,
    now: datetime,
) -> Mapping[str, Holding]:
    """What each SseApi holds, by namespace/name; those that ask for nothing are left out."""
    asked: dict[str, tuple[SseApi, str, tuple[str, ...]]] = {}
    candidates: list[tuple[_Seniority, SseApi, Route]] = []
    for position, api in enumerate(apis):
        routes = routes_of(api, gateway_key)
        if routes is None:
            continue
        context_path, hosts = routes
        asked[api.metadata.key] = (api, context_path, hosts)
        candidates += [
            (_seniority(api, (host, context_path), gateway_key, position), api, (host, context_path)) for host in hosts
        ]
    candidates.sort(key=lambda candidate: candidate[0])

    holders: dict[Route, SseApi] = {}
    nesting = _Nesting(route for _, _, route in candidates)
    check_nesting = not allow_nested and len({api.metadata.namespace for _, api, _ in candidates}) > 1
    refused: list[tuple[SseApi, Route]] = []
    for _, api, route in candidates:
        if route in holders or (check_nesting and nesting.in_the_way(route, api.metadata.namespace)):
            refused.append((api, route))
            continue
        holders[route] = api
        if check_nesting:
            nesting.grant(route, api.metadata.namespace)

    # Named once all grants are known, so that the message does not depend on the order in which they were made.
    refusals: dict[str, Refusal] = {}
    for api, route in refused:
        refusal = _refusal(api, route, holders, nesting)
        known = refusals.get(api.metadata.key)
        if known is None or refusal.route < known.route:
            refusals[api.metadata.key] = refusal

    return {
        key: _holding(api, context_path, hosts, holders, refusals.get(key), gateway_key, now)
        for key, (api, context_path, hosts) in asked.items()
    }


@dataclass(frozen=True)
class Settled:
    """What came out, and all that it came from."""

    apis: Sequence[SseApi]
    allow_nested: bool
    holdings: Mapping[str, Holding]
    told: bool
    """Whether every status says what its SseApi holds. Where not, only this says so."""


def settle_anew(
    apis: Sequence[SseApi], *, gateway_key: str, allow_nested: bool, now: datetime, before: Settled | None
) -> Settled:
    """As `settle`, which is not asked where it would go by the same as `before`: most edits change no route. The
    holdings are then the very ones of `before`."""
    if (
        before is not None
        and before.allow_nested == allow_nested
        and len(before.apis) == len(apis)
        and all(
            api is known or _stake(api, gateway_key) == _stake(known, gateway_key)
            for api, known in zip(apis, before.apis, strict=True)
        )
    ):
        return replace(before, apis=apis)
    holdings = settle(apis, gateway_key=gateway_key, allow_nested=allow_nested, now=now)
    told = all((holding := holdings.get(api.metadata.key)) is None or holding.claim == api.status.claim for api in apis)
    return Settled(apis, allow_nested, holdings, told)


def _stake(api: SseApi, gateway_key: str) -> object:
    """All of an SseApi that `settle` goes by."""
    metadata = api.metadata
    return metadata.key, routes_of(api, gateway_key), api.status.claim, metadata.creation_timestamp


def _holding(
    api: SseApi,
    context_path: str,
    hosts: tuple[str, ...],
    holders: Mapping[Route, SseApi],
    refusal: Refusal | None,
    gateway_key: str,
    now: datetime,
) -> Holding:
    held = tuple(host for host in hosts if holders.get((host, context_path)) is api)
    if not held:
        return Holding(context_path, (), refusal, None)
    covered = all(_covers(api.status.claim, (host, context_path), gateway_key) for host in held)
    claim = Claim(
        gateway=gateway_key,
        context_path=context_path,
        hostnames=[host for host in held if host != ANY_HOST],
        since=api.status.claim.since if covered and api.status.claim else timestamp(now),
    )
    return Holding(context_path, held, refusal, api.status.claim if claim == api.status.claim else claim)


def _refusal(api: SseApi, route: Route, holders: Mapping[Route, SseApi], nesting: _Nesting) -> Refusal:
    holder = holders.get(route)
    if holder is not None:
        return Refusal("ContextPathConflict", route, holder.metadata.key, route)
    held = nesting.in_the_way(route, api.metadata.namespace)
    assert held is not None  # noqa: S101 - grants only grow, so what was in the way still is
    return Refusal("NestedContextPath", route, holders[held].metadata.key, held)


# --- seniority -------------------------------------------------------------------------------------------------------

_Seniority = tuple[datetime, datetime, int, str, str]
"""When it was claimed, when its SseApi was created, its place among the inputs, namespace, name. The least is first."""

_NEVER = datetime.max.replace(tzinfo=UTC)


def _seniority(api: SseApi, route: Route, gateway_key: str, position: int) -> _Seniority:
    claim, created = api.status.claim, api.metadata.creation_timestamp
    return (
        moment(claim.since) if claim and _covers(claim, route, gateway_key) else _NEVER,
        created or _NEVER,
        0 if created else position,
        api.metadata.namespace,
        api.metadata.name,
    )


def _covers(claim: Claim | None, route: Route, gateway_key: str) -> bool:
    host, context_path = route
    return (
        claim is not None
        and claim.gateway == gateway_key
        and claim.context_path == context_path
        and (host in claim.hostnames if claim.hostnames else host == ANY_HOST)
    )


# --- nesting ---------------------------------------------------------------------------------------------------------


class _Nesting:
    """The granted routes, so that one can ask which of another namespace is nested with a given one.

    Hosts form a tree (any ⊃ *.com ⊃ *.example.com ⊃ www.example.com), and so do paths. Two routes are nested where
    their hosts are on one branch and their paths are on one branch. That is four cases, and a table for each, keyed
    by routes that are asked about; so memory grows with the number of routes only."""

    def __init__(self, routes: Iterable[Route]) -> None:
        routes = set(routes)
        self._hosts = {host for host, _ in routes}
        self._paths = {path for _, path in routes}
        self._hosts_above: dict[str, list[str]] = {}
        self._paths_above: dict[str, list[str]] = {}
        self._asked = routes
        self._at: dict[Route, str] = {}
        self._below: dict[Route, _Nearest] = {}
        self._at_host_below_path: dict[Route, _Nearest] = {}
        self._below_host_at_path: dict[Route, _Nearest] = {}

    def grant(self, route: Route, namespace: str) -> None:
        """Take note that `route` is held by an SseApi of `namespace`."""
        host, path = route
        self._at[route] = namespace
        hosts, paths = self._on_branch_of_host(host), self._on_branch_of_path(path)
        for path_above in paths:
            self._note(self._at_host_below_path, (host, path_above), route, namespace)
            for host_above in hosts:
                if (host_above, path_above) in self._asked:
                    self._note(self._below, (host_above, path_above), route, namespace)
        for host_above in hosts:
            self._note(self._below_host_at_path, (host_above, path), route, namespace)

    def in_the_way(self, route: Route, namespace: str) -> Route | None:
        """The first granted route, in the order of path and host, that is nested with `route` and of another
        namespace."""
        host, path = route
        hosts, paths = self._on_branch_of_host(host), self._on_branch_of_path(path)
        found = [
            (host_above, path_above)
            for host_above in hosts
            for path_above in paths
            if self._at.get((host_above, path_above), namespace) != namespace
        ]
        for table, keys in (
            (self._below, [route]),
            (self._at_host_below_path, [(host_above, path) for host_above in hosts]),
            (self._below_host_at_path, [(host, path_above) for path_above in paths]),
        ):
            for key in keys:
                nearest = table.get(key)
                other = nearest.not_of(namespace) if nearest else None
                if other is not None:
                    found.append(other)
        return min(found, key=_by_path, default=None)

    @staticmethod
    def _note(table: dict[Route, _Nearest], key: Route, route: Route, namespace: str) -> None:
        nearest = table.get(key)
        if nearest is None:
            table[key] = _Nearest(route, namespace)
        else:
            nearest.add(route, namespace)

    def _on_branch_of_host(self, host: str) -> list[str]:
        """The host itself and those above it, as far as anybody asks for them."""
        known = self._hosts_above.get(host)
        if known is None:
            known = self._hosts_above[host] = [above for above in _hosts_covering(host) if above in self._hosts]
        return known

    def _on_branch_of_path(self, path: str) -> list[str]:
        known = self._paths_above.get(path)
        if known is None:
            known = self._paths_above[path] = [above for above in _paths_covering(path) if above in self._paths]
        return known


class _Nearest:
    """The two first routes, in the order of path and host, that are of different namespaces: enough to name one that
    is not of a given namespace."""

    __slots__ = ("_first", "_second")

    def __init__(self, route: Route, namespace: str) -> None:
        self._first = (route, namespace)
        self._second: tuple[Route, str] | None = None

    def add(self, route: Route, namespace: str) -> None:
        new = (route, namespace)
        if _by_path(route) < _by_path(self._first[0]):
            if self._first[1] != namespace:
                self._second = self._first
            self._first = new
        elif self._first[1] != namespace and (self._second is None or _by_path(route) < _by_path(self._second[0])):
            self._second = new

    def not_of(self, namespace: str) -> Route | None:
        if self._first[1] != namespace:
            return self._first[0]
        return self._second[0] if self._second else None


def _by_path(route: Route) -> tuple[str, str]:
    return route[1], route[0]


def _hosts_covering(host: str) -> list[str]:
    """The host itself, the wildcards that cover it, and any: for www.example.com also *.example.com and *.com. A
    wildcard covers names of any depth below its suffix, and the wildcards there."""
    if host == ANY_HOST:
        return [ANY_HOST]
    labels = host.removeprefix("*.").split(".")
    start = 0 if host.startswith("*.") else 1
    wildcards = ["*." + ".".join(labels[depth:]) for depth in range(start, len(labels))]
    return [*([] if host.startswith("*.") else [host]), *wildcards, ANY_HOST]


def _paths_covering(path: str) -> list[str]:
    """The path itself and those above it on segment boundaries: for /a/b also /a and /."""
    covering = [path]
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        covering.append(path)
    return covering
