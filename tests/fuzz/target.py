"""Fuzz targets: properties that hold for any input. Each is tried for FUZZ_SECONDS (`make fuzz`), or, where that is not
set, with some examples."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))

_settings = settings(
    max_examples=2000 if SECONDS else 200,
    deadline=None,
    derandomize=not SECONDS,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    print_blob=True,
)


def fuzz(*strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Make a test of a property."""

    def decorate(holds: Callable[..., None]) -> Callable[[], None]:
        some = _settings(given(*strategies)(holds))

        def test() -> None:
            until = time.monotonic() + SECONDS
            some()
            while time.monotonic() < until:
                some()

        functools.update_wrapper(test, holds)
        del test.__wrapped__  # type: ignore[attr-defined]
        return test

    return decorate


PIECES = (
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b";", b"0", b"5", b"x", b"\xff", b"/", b"*", b"HTTP/1.0"),
    *(b"\r\n\r\n", b"0\r\n\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"),
)


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds, or two behind one another, with some edits."""
    data = b"".join(draw(st.lists(st.sampled_from(seeds), min_size=1, max_size=2)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 8)))
        kind = draw(st.sampled_from(("replace", "repeat", "cut")))
        if kind == "replace":
            middle = draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4)))
        else:
            middle = data[start:end] * 2 if kind == "repeat" else b""
        data = data[:start] + middle + data[end:]
    return data


def cut(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """`data` in parts of these sizes, and the rest."""
    parts = []
    for size in sizes:
        parts.append(data[:size])
        data = data[size:]
    return [part for part in (*parts, data) if part]


sizes = st.lists(st.integers(1, 40), max_size=30)
