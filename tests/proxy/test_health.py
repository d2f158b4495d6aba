"""When an endpoint is out, and when it is back: without sockets, on the test's clock."""

from __future__ import annotations

import pytest

from sse_proxy.config import ActiveCheck, Api, Endpoint, HealthCheck, PassiveCheck
from sse_proxy.observations import Observations
from sse_proxy.upstream.endpoints import Endpoints
from sse_proxy.upstream.health import Health
from sse_proxy.upstream.target import parse


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


PROBES = HealthCheck(active=ActiveCheck(unhealthy_threshold=3, healthy_threshold=2))
REQUESTS = HealthCheck(passive=PassiveCheck(consecutive_failures=3, ejection_time=30))


def test_so_many_bad_probes_in_a_row_and_so_many_good_ones() -> None:
    health = Health(PROBES, Clock())
    for cause in ("x", "x", None, "x", "x"):
        assert not health.probed(cause)
    assert health.healthy
    assert health.probed("ConnectTimeout")
    assert (health.healthy, health.cause) == (False, "ConnectTimeout")
    for cause in (None, "x", None):
        assert not health.probed(cause)
    assert not health.healthy
    assert health.probed(None)
    assert health.healthy


def test_so_many_failures_in_a_row_eject_for_a_time() -> None:
    clock = Clock()
    health = Health(REQUESTS, clock)
    for status in (502, 503, 200, 504, 500):
        assert not health.answered(status)
    assert not health.failed("a")
    assert not health.failed("b")
    assert health.healthy
    assert health.failed("UpstreamUnreachable")
    assert (health.healthy, health.cause, health.out_until) == (False, "UpstreamUnreachable", 130)
    # Requests that were under way meanwhile change nothing.
    assert not health.failed("c")
    clock.now = 130
    assert health.healthy
    assert health.answered(503)
    assert (health.healthy, health.cause) == (False, "status 503")
    clock.now = 160
    health.answered(200)
    assert not health.failed("d")
    assert health.healthy


def test_what_is_not_checked_is_healthy() -> None:
    health = Health(HealthCheck(), Clock())
    for _ in range(100):
        assert not health.failed("x")
        assert not health.probed("x")
    assert health.healthy


def api(check: HealthCheck, *endpoints: Endpoint) -> Api:
    return Api(namespace="shop", name="a", context_path="/a", endpoints=endpoints, health_check=check)


def of(entry: Api, clock: Clock, seen: Observations, before: Endpoints | None = None) -> Endpoints:
    return Endpoints(entry, [parse(each.url) for each in entry.endpoints], before, seen, clock)


A, B, SPARE = (
    Endpoint(name="a", url="http://a/"),
    Endpoint(name="b", url="http://b/"),
    Endpoint(name="s", url="http://s/", secondary=True),
)
ONE = HealthCheck(
    active=ActiveCheck(unhealthy_threshold=1), passive=PassiveCheck(consecutive_failures=1, ejection_time=30)
)


def turns(endpoints: Endpoints, times: int = 4) -> str:
    chosen = [endpoints.choose(None) for _ in range(times)]
    return "".join(each.name for each in chosen if each is not None)


def test_primaries_then_secondaries_then_primaries_again() -> None:
    endpoints = of(api(ONE, A, B, SPARE), Clock(), Observations("shop/a"))
    a, b, spare = endpoints
    assert turns(endpoints) == "abab"
    a.probed("x")
    assert turns(endpoints) == "bbbb"
    b.failed("x")
    assert turns(endpoints) == "ssss"
    spare.probed("x")
    # A check that is wrong must not take the API down.
    assert sorted(turns(endpoints)) == list("aabb")
    a.probed(None)
    assert turns(endpoints) == "aaaa"


def test_what_was_tried_is_not_tried_again() -> None:
    endpoints = of(api(HealthCheck(), A, B, SPARE), Clock(), Observations("shop/a"))
    a, b, spare = endpoints
    assert endpoints.choose(None, [a]) is b
    assert endpoints.choose(None, [a, b]) is spare
    assert endpoints.choose(None, [a, b, spare]) is None


def test_weight_0_is_out() -> None:
    endpoints = of(api(HealthCheck(), A, B.model_copy(update={"weight": 0})), Clock(), Observations("shop/a"))
    assert turns(endpoints) == "aaaa"


def test_what_is_known_outlives_a_config() -> None:
    clock, seen = Clock(), Observations("shop/a")
    before = of(api(ONE, A, B), clock, seen)
    before.choose(None)
    a, b = before
    a.probed("x")
    a.streams = 3
    after = of(api(ONE, A.model_copy(update={"weight": 7}), B, SPARE), clock, seen, before)
    kept, *_ = after
    assert (kept is a, kept.health.healthy, kept.streams, kept.weight) == (True, False, 3, 7)
    moved = of(api(ONE, A.model_copy(update={"url": "http://elsewhere/"}), B), clock, seen, after)
    assert [each.health.healthy for each in moved] == [True, True]
    other_check = of(api(PROBES, A, B), clock, seen, after)
    assert [each.health.healthy for each in other_check] == [True, True]
    assert b in list(moved)


def told(seen: Observations, clock: Clock) -> list[str]:
    return [message for reason, message in seen.standing(clock.now) if reason == "EndpointUnhealthy"]


@pytest.mark.parametrize("by", ["probe", "request"])
def test_the_owner_is_told_which_and_why(by: str) -> None:
    clock, seen = Clock(), Observations("shop/a")
    endpoints = of(api(ONE, A, B), clock, seen)
    a, b = endpoints
    assert told(seen, clock) == []
    (b.probed if by == "probe" else b.failed)("ConnectTimeout")
    (message,) = told(seen, clock)
    assert "b (ConnectTimeout)" in message
    (a.probed if by == "probe" else a.failed)("status 503")
    (message,) = told(seen, clock)
    assert "a (status 503), b (ConnectTimeout)" in message
    if by == "probe":
        a.probed(None)
        (message,) = told(seen, clock)
        assert "b (ConnectTimeout)" in message
        assert "a (" not in message
        b.probed(None)
    else:
        # Back by itself: it stands until nobody has ejected it again for as long.
        clock.now += 59
        assert told(seen, clock) == [message]
        clock.now += 1
    assert told(seen, clock) == []


def test_an_endpoint_that_is_gone_is_not_told_of() -> None:
    clock, seen = Clock(), Observations("shop/a")
    before = of(api(ONE, A, B), clock, seen)
    _, b = before
    b.probed("x")
    of(api(ONE, A), clock, seen, before)
    assert told(seen, clock) == []
