"""Lines of the access log are JSON, whatever requests say."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_proxy.access_log import MOST_WAITING, Output, line, member, query_names, seconds


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


class Written(io.StringIO):
    """Remembers what came in one write, and tells of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.first = asyncio.Event()

    def write(self, part: str) -> int:
        self.parts.append(part)
        self.first.set()
        return len(part)


async def test_lines_of_a_moment_are_written_in_one_go() -> None:
    output = Output(written := Written())
    output.take("1")
    output.take("2")
    assert written.parts == []
    async with asyncio.timeout(10):
        await written.first.wait()
    assert written.parts == ["1\n2\n"]
    output.take("3")
    output.flush()
    output.flush()
    assert written.parts == ["1\n2\n", "3\n"]


async def test_so_many_lines_wait_and_no_more() -> None:
    output = Output(written := Written())
    for _ in range(MOST_WAITING + 1):
        output.take("1")
    assert written.parts == ["1\n" * MOST_WAITING]


async def test_a_reader_that_is_gone_costs_lines_alone() -> None:
    class Gone(Written):
        def flush(self) -> None:
            raise BrokenPipeError

    output = Output(Gone())
    output.take("1")
    output.flush()
