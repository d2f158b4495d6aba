"""Rules, and durations."""

import pytest

from sse_operator.api.fields import Rule, cel_string, compiled, seconds_of


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [("0s", 0.0), ("70s", 70.0), ("1m30s", 90.0), ("500ms", 0.5), ("1h1m1s1ms", 3661.001), ("8760h", 31_536_000.0)],
)
def test_seconds_of_a_duration(duration: str, seconds: float) -> None:
    assert seconds_of(duration) == seconds


@pytest.mark.parametrize("duration", ["", "70", "70s\n", "1d", "8760h1ms", "-1s"])
def test_what_is_no_duration(duration: str) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        seconds_of(duration)


def test_the_end_is_the_very_end_as_in_re2() -> None:
    assert compiled("^a$").search("a")
    assert not compiled("^a$").search("a\n")
    assert compiled(r"^[$]\$$").search("$$")
    assert compiled(r"^[\]$]$").search("$")


def test_a_rule_as_cel() -> None:
    assert Rule("it's", "m").cel == r"self.matches('it\'s')"
    assert Rule("a", "m", forbids=True).cel == "!self.matches('a')"
    assert Rule("a", "m", where="b").cel == "!self.matches('b') || self.matches('a')"
    assert cel_string("\\.") == r"'\\.'"


def test_a_rule_holds_where_it_applies() -> None:
    rule = Rule("^b+$", "m", where="^b")
    assert not rule.broken_by("a")
    assert not rule.broken_by("bb")
    assert rule.broken_by("ba")
