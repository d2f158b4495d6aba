"""Long computations between which the event loop turns."""

from __future__ import annotations

import asyncio
import gc
import time

import pytest

from sse_proxy.in_parts import PART, Parts, at_once, in_turns


def counting(parts: int, seconds: float = 0.0) -> Parts[int]:
    """Counts its parts, each of which takes so long."""
    done = 0
    for _ in range(parts):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pass
        done += 1
        yield
    return done


def failing() -> Parts[int]:
    yield from counting(3, PART)
    raise LookupError("half way")


def test_at_once_gives_what_comes_out() -> None:
    assert at_once(counting(3)) == 3
    with pytest.raises(LookupError, match="half way"):
        at_once(failing())


async def test_the_loop_turns_meanwhile() -> None:
    computation = asyncio.create_task(in_turns(counting(20, PART)))
    turns = 0
    while not computation.done():
        await asyncio.sleep(0)
        turns += 1
    assert await computation == 20
    assert turns >= 20


async def test_what_is_short_is_done_in_one_go() -> None:
    turned: list[None] = []
    asyncio.get_running_loop().call_soon(turned.append, None)
    frozen = gc.get_freeze_count()
    assert await in_turns(counting(1)) == 1
    assert not turned
    assert gc.get_freeze_count() == frozen


async def test_the_collector_stands_still_and_leaves_what_was_made_alone() -> None:
    made: list[list[int]] = []
    collecting: list[bool] = []

    def making() -> Parts[None]:
        for number in range(10):
            collecting.append(gc.isenabled())
            made.extend([number] for _ in range(100))
            yield from counting(1, PART)

    before = gc.get_freeze_count()
    try:
        await in_turns(making())
        assert gc.get_freeze_count() >= before + len(made)
    finally:
        gc.unfreeze()
    assert collecting[0]
    assert not any(collecting[2:])
    assert gc.isenabled()


async def test_the_collector_goes_on_after_a_failure_or_the_end_of_the_task() -> None:
    with pytest.raises(LookupError):
        await in_turns(failing())
    assert gc.isenabled()
    computation = asyncio.create_task(in_turns(counting(1_000_000, PART)))
    await asyncio.sleep(3 * PART)
    assert not gc.isenabled()
    computation.cancel()
    with pytest.raises(asyncio.CancelledError):
        await computation
    assert gc.isenabled()
    gc.unfreeze()
