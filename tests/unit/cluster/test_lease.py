"""The lease's rules in virtual time: who may take it, and when its holder must stop."""

import pytest

from sse_operator.cluster.errors import ApiServerError, LeaseLostError
from sse_operator.cluster.lease import Elector, LeaseTimes, Observer
from sse_operator.resources.names import Object

TIMES = LeaseTimes()


def spec(holder: str, renewed: str = "r1") -> Object:
    return {"holderIdentity": holder, "renewTime": renewed, "leaseTransitions": 0}


def test_a_free_or_own_lease_may_be_taken() -> None:
    observer = Observer("me", TIMES)
    assert observer.may_take(spec(""), 0.0)
    assert observer.may_take(spec("me"), 0.0)
    assert observer.may_take({}, 0.0)


def test_a_holder_counts_for_as_long_as_its_record_changes() -> None:
    observer = Observer("me", TIMES)
    for second in range(0, 100, 10):
        assert not observer.may_take(spec("other", f"r{second}"), float(second))
    assert not observer.may_take(spec("other", "r90"), 104.9)
    assert observer.may_take(spec("other", "r90"), 105.0)


class FakeLeases:
    """The API server's part, as far as leases go: one lease, its version, and requests that can be made to fail."""

    def __init__(self) -> None:
        self.lease: Object | None = None
        self.failing = False
        self.requests: list[str] = []

    async def lease_request(self, method: str, path: str, body: Object | None, timeout: float) -> Object:
        self.requests.append(method)
        if self.failing:
            raise ApiServerError(method, 500, "InternalError", "no")
        if method == "GET":
            if self.lease is None:
                raise ApiServerError(method, 404, "NotFound", "no lease")
            return {"metadata": dict(self.lease["metadata"]), "spec": dict(self.lease["spec"])}
        assert body
        if method == "PUT":
            assert self.lease
            if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
                raise ApiServerError(method, 409, "Conflict", "changed")
        version = int(self.lease["metadata"]["resourceVersion"]) + 1 if self.lease else 1
        self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": str(version)}}
        return self.lease


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def elector(leases: FakeLeases, identity: str, clock: Clock) -> Elector:
    class Api:
        lease = staticmethod(leases.lease_request)

    return Elector(Api(), "operator", "lease", identity, clock=clock)  # type: ignore[arg-type]


async def test_one_leads_and_the_other_follows_after_a_release() -> None:
    leases, clock = FakeLeases(), Clock()
    first, second = elector(leases, "first", clock), elector(leases, "second", clock)
    await first.acquire()
    assert first.leads
    assert not await second._attempt()
    with pytest.raises(LeaseLostError):
        second.check()
    await first.release()
    assert not first.leads
    await second.acquire()
    assert second.leads
    assert leases.lease
    assert leases.lease["spec"]["leaseTransitions"] == 1


async def test_a_holder_that_cannot_renew_stops_before_anybody_else_starts() -> None:
    leases, clock = FakeLeases(), Clock()
    first, second = elector(leases, "first", clock), elector(leases, "second", clock)
    await first.acquire()
    assert not await second._attempt()
    leases.failing = True
    clock.now = TIMES.renew_deadline - 0.1
    assert not await first._attempt()
    assert first.leads
    clock.now = TIMES.renew_deadline
    assert not first.leads
    with pytest.raises(LeaseLostError):
        first.check()
    leases.failing = False
    assert not await second._attempt()
    clock.now = TIMES.duration
    assert await second._attempt()
    with pytest.raises(LeaseLostError):
        first.check()


async def test_two_that_try_at_once_do_not_both_get_it() -> None:
    leases, clock = FakeLeases(), Clock()
    third = elector(leases, "third", clock)
    await third.acquire()
    await third.release()
    assert leases.lease
    stale = dict(leases.lease)
    first, second = elector(leases, "first", clock), elector(leases, "second", clock)
    await first.acquire()
    with pytest.raises(ApiServerError, match="409"):
        await leases.lease_request("PUT", "", stale, 1.0)
    assert not await second._attempt()


async def test_a_holder_looks_again_only_after_somebody_else_wrote() -> None:
    leases, clock = FakeLeases(), Clock()
    first = elector(leases, "first", clock)
    await first.acquire()
    leases.requests.clear()
    assert await first._attempt()
    assert await first._attempt()
    assert leases.requests == ["PUT", "PUT"]
    assert leases.lease
    leases.lease = {**leases.lease, "metadata": {"resourceVersion": "77"}}
    assert not await first._attempt()
    assert await first._attempt()
    assert leases.requests == ["PUT", "PUT", "PUT", "GET", "PUT"]
    assert leases.lease["spec"]["leaseTransitions"] == 0
