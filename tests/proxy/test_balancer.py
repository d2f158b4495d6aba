"""Which endpoint is next: the rules of every balancer, without sockets."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_proxy.config import HashOn, LoadBalancing
from sse_proxy.upstream.affinity import key_of
from sse_proxy.upstream.balancer import Balancer, ConsistentHash, LeastStreams, Random, RoundRobin, balancer_for


@dataclass
class Endpoint:
    name: str
    weight: int = 1
    streams: int = 0


def endpoints(*weights: int) -> list[Endpoint]:
    return [Endpoint(chr(ord("a") + number), weight) for number, weight in enumerate(weights)]


def names(balancer: Balancer, among: list[Endpoint], times: int) -> str:
    return "".join(balancer.next(among, None).name for _ in range(times))


WEIGHTS = st.lists(st.integers(1, 20), min_size=1, max_size=8)
KEYS = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=200, unique=True)


def test_turns_are_smooth() -> None:
    assert names(RoundRobin(), endpoints(5, 1, 1), 14) == "aabacaa" * 2


@given(WEIGHTS)
def test_a_whole_round_gives_every_endpoint_its_weight(weights: list[int]) -> None:
    among = endpoints(*weights)
    turns = Counter(names(RoundRobin(), among, 3 * sum(weights)))
    assert turns == {each.name: 3 * each.weight for each in among}


@given(WEIGHTS, st.data())
def test_turns_go_on_while_endpoints_come_and_go(weights: list[int], data: st.DataObject) -> None:
    among = endpoints(*weights)
    balancer = RoundRobin()
    for _ in range(30):
        usable = data.draw(st.lists(st.sampled_from(among), min_size=1, unique_by=lambda each: each.name))
        assert balancer.next(usable, None) in usable
    # Whatever was before, nobody waits for longer than a round of all and what it had saved up.
    turns = names(balancer, among, 40 * sum(weights))
    assert set(turns) == {each.name for each in among}


@given(WEIGHTS, st.integers())
def test_random_goes_by_weight(weights: list[int], seed: int) -> None:
    among = endpoints(*weights)
    times = 3000
    turns = Counter(names(Random(random.Random(seed).random), among, times))
    for each in among:
        expected = times * each.weight / sum(weights)
        assert abs(turns[each.name] - expected) < 6 * expected**0.5 + 5


def test_random_at_the_edges() -> None:
    among = endpoints(1, 3)
    assert [Random(lambda point=point: point).next(among, None).name for point in (0.0, 0.25, 0.9999999999999999)] == [
        "a",
        "b",
        "b",
    ]


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 50)), min_size=1, max_size=8))
def test_least_streams_for_their_weight(given: list[tuple[int, int]]) -> None:
    among = [Endpoint(str(number), weight, streams) for number, (weight, streams) in enumerate(given)]
    chosen = LeastStreams().next(among, None)
    assert all((chosen.streams + 1) / chosen.weight <= (each.streams + 1) / each.weight for each in among)


@given(WEIGHTS)
def test_streams_that_stay_open_are_spread_by_weight(weights: list[int]) -> None:
    among = endpoints(*weights)
    balancer = LeastStreams()
    for _ in range(5 * sum(weights)):
        balancer.next(among, None).streams += 1
    assert [each.streams for each in among] == [5 * each.weight for each in among]


def test_equal_ones_take_turns() -> None:
    assert names(LeastStreams(), endpoints(1, 1, 1), 6) == "abcabc"


@given(WEIGHTS, KEYS)
def test_a_key_s_endpoint_is_the_same_in_every_proxy(weights: list[int], keys: list[bytes]) -> None:
    among = endpoints(*weights)
    shuffled = list(reversed(among))
    for key in keys:
        assert ConsistentHash().next(among, key) is ConsistentHash().next(shuffled, key)


@given(WEIGHTS, KEYS, st.data())
def test_only_the_keys_of_an_endpoint_that_goes_move(
    weights: list[int], keys: list[bytes], data: st.DataObject
) -> None:
    among = endpoints(*weights, 1)
    balancer = ConsistentHash()
    gone = data.draw(st.sampled_from(among))
    left = [each for each in among if each is not gone]
    for key in keys:
        before = balancer.next(among, key)
        assert before is gone or balancer.next(left, key) is before


def test_keys_are_spread_by_weight() -> None:
    among = endpoints(1, 2, 5)
    shares = Counter(ConsistentHash().next(among, b"session-%d" % number).name for number in range(8000))
    assert all(abs(shares[each.name] - 1000 * each.weight) < 150 for each in among)


def test_who_has_no_key_takes_turns() -> None:
    assert names(ConsistentHash(), endpoints(1, 1), 4) == "abab"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("RoundRobin", RoundRobin),
        ("Random", Random),
        ("LeastStreams", LeastStreams),
        ("ConsistentHash", ConsistentHash),
    ],
)
def test_the_config_s_words(name: str, kind: type[object]) -> None:
    assert type(balancer_for(LoadBalancing.model_validate({"type": name}), random.random)) is kind


FIELDS = [(b"X-Session", b"one"), (b"x-session", b"two"), (b"Cookie", b"a=1; sid=s3; b=2"), (b"Cookie", b"sid=later")]


@pytest.mark.parametrize(
    ("hash_on", "key"),
    [
        (None, None),
        ({"header": "X-SESSION"}, b"one"),
        ({"header": "missing"}, None),
        ({"cookie": "sid"}, b"s3"),
        ({"cookie": "b"}, b"2"),
        ({"cookie": "id"}, None),
        ({"cookie": "empty"}, None),
        ({"queryParameter": "s"}, b"x%20y"),
        ({"queryParameter": "t"}, b"1"),
        ({"queryParameter": "e"}, None),
        ({"queryParameter": "u"}, None),
        ({"clientAddress": True}, b"192.0.2.1"),
    ],
)
def test_what_is_hashed(hash_on: dict[str, object] | None, key: bytes | None) -> None:
    on = HashOn.model_validate(hash_on) if hash_on else None
    assert key_of(on, FIELDS, "e=&s=x%20y&%74=1&s=z", "192.0.2.1") == key
