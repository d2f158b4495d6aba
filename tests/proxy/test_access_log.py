"""Lines of the access log are JSON, whatever requests say."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_proxy.access_log import line, member, query_names, seconds


def told(*members: str) -> dict[str, object]:
    """The members of such a line, behind time and event."""
    read = json.loads(line("request", *members))
    assert datetime.fromisoformat(read.pop("time")).utcoffset() is not None
    assert read.pop("event") == "request"
    return read  # type: ignore[no-any-return]


@given(st.text())
def test_any_text_is_escaped(text: str) -> None:
    assert told(member("path", text)) == ({"path": text} if text else {})


def test_members_without_a_value_are_left_out() -> None:
    assert told(member("consumer", None), seconds("left_seconds", None), query_names(None)) == {}


def test_seconds_are_numbers() -> None:
    assert told(seconds("head_seconds", 0.000449), seconds("left_seconds", 12.0)) == {
        "head_seconds": 0.0004,
        "left_seconds": 12,
    }


@pytest.mark.parametrize("query", ["a=1&b=2", "secret", "=x", "&&", 'a"=1', "a=b=c&d", "a=&=&b"])
def test_query_names_as_parts_have_them(query: str) -> None:
    parts = [part.partition("=") for part in query.split("&")]
    names = [name if equals else "*" for name, equals, _ in parts if name]
    assert told(query_names(query)) == ({"query": names} if names else {})
