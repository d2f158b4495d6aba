"""Long computations between which streams go on.

A thread of its own would not do: it holds the interpreter's lock for milliseconds at a time, and each write to a client
would wait for it.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Generator, Iterator
from typing import TypeVar

PART = 0.003
"""Seconds of computing after which the event loop turns."""

T = TypeVar("T")

Parts = Generator[None, None, T]
"""A computation that yields wherever it may be interrupted, and returns what comes out."""


def at_once(parts: Parts[T]) -> T:
    """What comes out, in one go. Raises what the computation raises."""
    result: list[T] = []
    for _ in _steps(parts, result):
        pass
    return result[0]


async def in_turns(parts: Parts[T]) -> T:
    """What comes out, by and by: the event loop turns after every `PART`, or as soon afterwards as the computation may
    be interrupted. Raises what the computation raises; cancelled, it is not finished.

    The garbage collector stands still during a longer one, and then leaves what is there alone for ever: what such a
    computation makes stays, and looking through ten thousand entries again and again would hold everybody up."""
    result: list[T] = []
    until = time.monotonic() + PART
    paused = False
    try:
        for _ in _steps(parts, result):
            if time.monotonic() >= until:
                if not paused and gc.isenabled():
                    paused = True
                    gc.collect()
                    gc.disable()
                await asyncio.sleep(0)
                until = time.monotonic() + PART
    finally:
        if paused:
            gc.freeze()
            gc.enable()
    return result[0]


def _steps(parts: Parts[T], result: list[T]) -> Iterator[None]:
    result.append((yield from parts))
