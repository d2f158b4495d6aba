"""Token buckets against the definition, with a clock of the test's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sse_proxy.config import Rate
from sse_proxy.limits.rate import Buckets


def buckets(requests: int, per: float, burst: int, **options: int) -> Buckets[str]:
    return Buckets(Rate(requests=requests, per=per, burst=burst), **options)


def test_a_burst_and_then_the_rate() -> None:
    three = buckets(requests=2, per=1.0, burst=3)
    assert [three.take("a", 100.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert three.take("a", 100.0) == 0.5
    assert three.take("a", 100.25) == 0.25, "what was refused took nothing"
    assert three.take("a", 100.5) == 0.0
    assert three.take("a", 100.5) == 0.5
    assert [three.take("a", 200.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_each_key_has_its_own() -> None:
    one = buckets(requests=1, per=1.0, burst=1)
    assert one.take("a", 0.0) == 0.0
    assert one.take("b", 0.0) == 0.0
    assert one.take("a", 0.0) > 0.0


def test_memory_is_bounded_and_full_buckets_are_forgotten() -> None:
    some = buckets(requests=1, per=1.0, burst=1, most=10)
    for number in range(1000):
        assert some.take(f"key {number}", 0.0) == 0.0
    assert len(some) == 10
    assert some.take("key 999", 0.0) > 0.0
    some.take("late", 5.0)
    assert len(some) == 1


@given(
    requests=st.integers(1, 20),
    per=st.sampled_from((0.1, 1.0, 60.0)),
    burst=st.integers(1, 30),
    gaps=st.lists(st.floats(0.0, 3.0), max_size=80),
)
def test_as_a_bucket_of_tokens(requests: int, per: float, burst: int, gaps: list[float]) -> None:
    """Against a bucket that counts tokens, but for where the two differ by less than clocks are exact."""
    real = buckets(requests, per, burst)
    tokens, now = float(burst), 1000.0
    for gap in gaps:
        now += gap
        tokens = min(float(burst), tokens + gap * requests / per)
        if abs(tokens - 1.0) < 1e-3:
            return
        wait = real.take("a", now)
        assert (wait == 0.0) is (tokens > 1.0)
        if wait:
            assert abs(wait - (1.0 - tokens) * per / requests) < 1e-3
        else:
            tokens -= 1.0
