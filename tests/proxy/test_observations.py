"""What was seen is told once, and for as long as it is so."""

from __future__ import annotations

import pytest

from sse_proxy.observations import MOST_TOLD, Observations, view


def test_what_stands_keeps_its_text(caplog: pytest.LogCaptureFixture) -> None:
    seen = Observations("shop/a")
    seen.make("Full", "20 of 20", 0.0, stands=10)
    seen.make("Full", "21 of 20", 9.0, stands=10)
    assert list(seen.standing(18.9)) == [("Full", "20 of 20")]
    assert list(seen.standing(19.0)) == []
    seen.make("Full", "22 of 20", 20.0, stands=10)
    assert list(seen.standing(20.0)) == [("Full", "22 of 20")]
    assert [record.getMessage() for record in caplog.records] == ["shop/a: Full: 20 of 20", "shop/a: Full: 22 of 20"]


def test_what_has_changed_is_withdrawn() -> None:
    seen = Observations("shop/a")
    seen.make("Full", "20 of 20", 0.0, stands=10)
    seen.withdraw("Full")
    seen.withdraw("Other")
    assert list(seen.standing(1.0)) == []


def test_the_view_is_bounded_and_always_cut_at_the_same_place() -> None:
    many = [Observations(f"shop/{number:04}") for number in reversed(range(MOST_TOLD + 5))]
    for seen in many:
        seen.make("Full", "20 of 20", 0.0, stands=10)
    told = view(many, 1.0)
    assert [each["api"] for each in told] == [f"shop/{number:04}" for number in range(MOST_TOLD)]
