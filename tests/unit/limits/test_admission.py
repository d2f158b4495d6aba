"""Whom limits take for one client, and what a change of the config keeps."""

from __future__ import annotations

import pytest

from sse_proxy.config import GatewayLimits, Limits, Rate
from sse_proxy.limits.admission import Admission, address_key


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "", True),
    ],
)
def test_whom_an_address_stands_for(one: str, other: str, same: bool) -> None:
    assert (address_key(one) == address_key(other)) is same


def reason(admission: Admission, key: str = "a", now: float = 0.0, *, consumer: str = "") -> str | None:
    refusal = admission.refusal(key, consumer, now)
    if refusal is None:
        return None
    assert refusal.status == 429
    assert refusal.retry_after
    return refusal.reason


def test_streams_in_all_and_of_one_address() -> None:
    admission = Admission(Limits(streams=3, streams_per_client_address=2))
    for _ in range(2):
        assert reason(admission) is None
        admission.occupancy.enter("a", "")
    assert reason(admission) == "TooManyStreamsOfClient"
    assert reason(admission, "b") is None
    admission.occupancy.enter("b", "")
    assert reason(admission, "c") == "TooManyStreams"
    admission.occupancy.leave("a", "")
    assert reason(admission) is None
    admission.occupancy.leave("a", "")
    admission.occupancy.leave("b", "")
    assert admission.occupancy.by_address == {}, "who is gone takes no memory"


def test_streams_of_one_consumer_wherever_it_comes_from() -> None:
    admission = Admission(Limits(streams_per_consumer=1))
    admission.occupancy.enter("a", "alice")
    assert reason(admission, "b", consumer="alice") == "TooManyStreamsOfConsumer"
    assert reason(admission, "a", consumer="bob") is None
    for _ in range(2):
        assert reason(admission, "a") is None, "anybody is no consumer"
        admission.occupancy.enter("a", "")
    assert reason(Admission(Limits(streams_per_consumer=1), admission), consumer="alice") == "TooManyStreamsOfConsumer"
    admission.occupancy.leave("a", "alice")
    assert reason(admission, "b", consumer="alice") is None
    assert admission.occupancy.by_consumer == {}, "who is gone takes no memory"


def test_who_is_too_fast_alone_takes_nothing_from_the_others() -> None:
    rates = Limits(
        request_rate=Rate(requests=1, per=60.0, burst=3),
        request_rate_per_client_address=Rate(requests=1, per=60.0, burst=1),
    )
    admission = Admission(rates)
    assert reason(admission, "fast") is None
    assert [reason(admission, "fast") for _ in range(9)] == ["TooManyRequestsOfClient"] * 9
    assert reason(admission, "b") is None
    assert reason(admission, "c") is None
    assert reason(admission, "d") == "TooManyRequests"


def test_a_new_config_knows_of_the_streams_and_of_rates_that_stay() -> None:
    rate = Rate(requests=1, per=60.0, burst=1)
    before = Admission(Limits(request_rate=rate))
    before.occupancy.enter("a", "")
    assert reason(before) is None
    after = Admission(Limits(streams=1, request_rate=rate), before)
    assert reason(after) == "TooManyStreams"
    before.occupancy.leave("a", "")
    assert reason(after) == "TooManyRequests"
    assert reason(Admission(Limits(request_rate=Rate(requests=2, per=60.0, burst=1)), after)) is None


def test_a_gateways_limits() -> None:
    admission = Admission(GatewayLimits(streams=1))
    admission.occupancy.enter("a", "")
    assert reason(Admission(GatewayLimits(streams=1), admission), "b") == "TooManyStreams"
