"""The clock of all streams, in virtual time."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_proxy.stream.deadlines import TICK, Deadlines


class Idle:
    """Overdue `timeout` after its last byte."""

    def __init__(self, timeout: float) -> None:
        self.due_tick: int | None = None
        self.timeout = timeout
        self.last = 0.0
        self.fired: float | None = None
        self.looks = 0

    def look(self, now: float) -> float | None:
        self.looks += 1
        if now < self.last + self.timeout:
            return self.last + self.timeout
        self.fired = now
        return None


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.floats(0.01, 30), max_size=30), st.floats(0.1, 40), st.floats(0.01, 5))
def test_fires_once_and_in_time(gaps: list[float], timeout: float, step: float) -> None:
    clock = Clock()
    deadlines = Deadlines(clock)
    item = Idle(timeout)
    deadlines.watch(item, timeout)
    arrivals = []
    at = 0.0
    for gap in gaps:
        at += gap
        arrivals.append(at)
    expected, last = timeout, 0.0
    for arrival in arrivals:
        if arrival >= last + timeout:
            break
        last, expected = arrival, arrival + timeout
    while item.fired is None and clock.now < expected + step + 1:
        clock.now += step
        while arrivals and arrivals[0] <= clock.now and arrivals[0] < expected:
            item.last = arrivals.pop(0)
        deadlines.advance()
    assert item.fired is not None
    assert expected - 1e-9 <= item.fired <= expected + step + TICK
    assert len(deadlines) == 0


def test_an_event_costs_no_look() -> None:
    clock = Clock()
    deadlines = Deadlines(clock)
    item = Idle(70.0)
    deadlines.watch(item, 70.0)
    while clock.now < 3600:
        clock.now += 1
        item.last = clock.now
        deadlines.advance()
    assert item.fired is None
    assert item.looks <= 3600 / 69 + 1


def test_moving_closer_and_forgetting() -> None:
    clock = Clock()
    deadlines = Deadlines(clock)
    near, gone = Idle(1.0), Idle(1.0)
    deadlines.watch(near, 1000.0)
    deadlines.watch(near, 1.0)
    deadlines.watch(gone, 1.0)
    deadlines.forget(gone)
    deadlines.forget(gone)
    assert len(deadlines) == 1
    clock.now = 1.2
    deadlines.advance()
    assert (near.fired, gone.fired, len(deadlines)) == (1.2, None, 0)


def test_a_faulty_item_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(Idle):
        def look(self, now: float) -> float | None:
            raise ValueError("faulty")

    clock = Clock()
    deadlines = Deadlines(clock)
    items = [Faulty(1.0), Idle(1.0), Faulty(1.0)]
    for item in items:
        deadlines.watch(item, 1.0)
    clock.now = 2.0
    with caplog.at_level(logging.CRITICAL + 1):
        deadlines.advance()
    assert items[1].fired == 2.0
