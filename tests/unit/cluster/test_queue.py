"""The work queue: its rules in virtual time, and its workers on a real event loop."""

import asyncio

import pytest

from sse_operator.cluster.queue import Pace, Schedule, WorkFailedError, WorkQueue

NO_PACE = Pace(burst=1, interval=0.0)


def test_a_key_waits_once_and_at_its_earliest_time() -> None:
    schedule = Schedule(NO_PACE)
    for due in (5.0, 2.0, 9.0):
        schedule.add("a", due)
    assert (schedule.waiting(1.9), schedule.waiting(2.0)) == (0, 1)
    assert schedule.next_due() == 2.0
    assert schedule.take(1.9) is None
    assert schedule.take(2.0) == "a"
    schedule.done("a", 2.0)
    assert schedule.take(100.0) is None
    assert schedule.next_due() is None


def test_keys_come_in_the_order_in_which_they_are_due() -> None:
    schedule = Schedule(NO_PACE)
    schedule.add("late", 3.0)
    schedule.add("early", 1.0)
    assert [schedule.take(5.0), schedule.take(5.0), schedule.take(5.0)] == ["early", "late", None]


def test_an_active_key_is_not_taken_again_until_it_is_done() -> None:
    schedule = Schedule(NO_PACE)
    schedule.add("a", 0.0)
    assert schedule.take(0.0) == "a"
    schedule.add("a", 0.0)
    assert schedule.take(1.0) is None
    assert schedule.longest_active(3.0) == 3.0
    schedule.done("a", 3.0)
    assert schedule.take(3.0) == "a"
    schedule.done("a", 3.0)
    assert schedule.take(9.0) is None
    assert schedule.longest_active(9.0) == 0.0


def test_failures_double_the_pause_up_to_a_limit_and_success_forgets_them() -> None:
    schedule = Schedule(NO_PACE, first_pause=0.2, longest_pause=1.0)
    now, pauses = 0.0, []
    schedule.add("a", now)
    for _ in range(5):
        assert schedule.take(now) == "a"
        schedule.done("a", now, failed=True)
        due = schedule.next_due()
        assert due is not None
        pauses.append(round(due - now, 6))
        now = due
    assert pauses == [0.2, 0.4, 0.8, 1.0, 1.0]
    assert schedule.take(now) == "a"
    schedule.done("a", now)
    schedule.add("a", now)
    assert schedule.take(now) == "a"
    schedule.done("a", now, failed=True)
    assert schedule.next_due() == pytest.approx(now + 0.2)


def test_news_while_a_key_fails_do_not_shorten_its_pause() -> None:
    schedule = Schedule(NO_PACE, first_pause=10.0)
    schedule.add("a", 0.0)
    schedule.take(0.0)
    schedule.add("a", 0.0)
    schedule.done("a", 1.0, failed=True)
    assert schedule.next_due() == 11.0


def test_the_api_servers_own_pause_counts_where_it_is_longer() -> None:
    schedule = Schedule(NO_PACE, first_pause=0.2)
    schedule.add("a", 0.0)
    schedule.take(0.0)
    schedule.done("a", 0.0, failed=True, pause=30.0)
    assert schedule.next_due() == 30.0


def test_a_key_that_comes_without_end_is_spaced_and_others_are_not() -> None:
    schedule = Schedule(Pace(burst=3, interval=1.0))
    now, runs = 10.0, []
    for _ in range(6):
        schedule.add("a", now)
        due = schedule.next_due()
        assert due is not None
        now = max(now, due)
        assert schedule.take(now) == "a"
        runs.append(now)
        schedule.done("a", now)
    schedule.add("a", now)
    schedule.add("b", now)
    assert schedule.take(now) == "b"
    assert runs == [10.0, 10.0, 10.0, 11.0, 12.0, 13.0]


def test_a_key_that_rested_may_come_at_once_again() -> None:
    schedule = Schedule(Pace(burst=2, interval=1.0))

    def runs(now: float) -> float:
        schedule.add("a", now)
        due = schedule.next_due()
        assert due is not None
        assert schedule.take(max(now, due)) == "a"
        schedule.done("a", max(now, due))
        return max(now, due)

    assert [runs(0.0), runs(0.0), runs(0.0)] == [0.0, 0.0, 1.0]
    assert [runs(5.0), runs(5.0), runs(5.0)] == [5.0, 5.0, 6.0]


def test_the_pace_holds_for_what_came_while_the_key_was_worked_on_and_for_failures() -> None:
    schedule = Schedule(Pace(burst=1, interval=1.0), first_pause=0.2)
    schedule.add("a", 0.0)
    schedule.take(0.0)
    schedule.add("a", 0.1)
    schedule.done("a", 0.3)
    assert schedule.next_due() == 1.0
    assert schedule.take(1.0) == "a"
    schedule.done("a", 1.1, failed=True)
    assert schedule.next_due() == 2.0


def test_what_was_paced_is_forgotten() -> None:
    schedule = Schedule(Pace(burst=5, interval=1.0))
    for number in range(100):
        schedule.add(f"gateway-{number}", float(number))
        schedule.take(float(number))
        schedule.done(f"gateway-{number}", float(number))
    assert len(schedule._rested) <= 2


async def test_workers_never_share_a_key_and_do_different_keys_at_once() -> None:
    running: set[str] = set()
    most = 0
    seen: list[str] = []
    ended = asyncio.Event()

    async def work(key: str) -> None:
        nonlocal most
        assert key not in running
        running.add(key)
        most = max(most, len(running))
        if key == "a" and key not in seen:
            queue.add(key)  # news while it is worked on
        await asyncio.sleep(0)
        running.discard(key)
        seen.append(key)
        if len(seen) == 4:
            ended.set()

    queue = WorkQueue(work, workers=2, pace=NO_PACE)
    for key in ("a", "b", "c"):
        queue.add(key)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(queue.run())
        await asyncio.wait_for(ended.wait(), 5)
        task.cancel()
    assert sorted(seen) == ["a", "a", "b", "c"]
    assert most == 2
    assert queue.waiting() == 0


async def test_work_that_failed_is_done_again() -> None:
    attempts = 0
    done = asyncio.Event()

    async def work(key: str) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise WorkFailedError("not yet")
        done.set()

    queue = WorkQueue(work, workers=1, pace=NO_PACE)
    queue.add("a")
    task = asyncio.create_task(queue.run())
    await asyncio.wait_for(done.wait(), 5)
    task.cancel()
    assert attempts == 2


async def test_another_error_ends_the_queue() -> None:
    async def work(key: str) -> None:
        raise RuntimeError("not ours to retry")

    queue = WorkQueue(work, workers=1, pace=NO_PACE)
    queue.add("a")
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(queue.run(), 5)
    assert isinstance(caught.value.exceptions[0], RuntimeError)
