"""What makes `/livez` and `/readyz` fail, in virtual time: each reason by itself."""

import argparse
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sse_operator.cluster import main
from sse_operator.cluster.main import SWEEP_OVERDUE, Operator
from sse_operator.cluster.metrics import Metrics
from sse_operator.cluster.settings import add_arguments, settings_of
from sse_operator.cluster.store import Store


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(main, "time", SimpleNamespace(monotonic=clock))
    return clock


class Served:
    """An operator whose API server is out of reach, and what its port says of it."""

    def __init__(self, *flags: str) -> None:
        parser = argparse.ArgumentParser(exit_on_error=False)
        add_arguments(parser)
        settings = settings_of(parser.parse_args(flags))
        self.metrics = Metrics()
        nobody = cast("Any", SimpleNamespace())
        self.operator = Operator(settings, nobody, nobody, Store(settings.default_gateway), self.metrics)

    def swept(self, clock: Clock) -> None:
        self.operator._sweeper.swept_at = clock.now
        self.operator._guarded.set()

    def says(self) -> tuple[str | None, str | None]:
        """Why it is not alive, and why not ready."""
        return self.operator._not_alive(), self.operator._not_ready()

    def metric(self, name: str) -> float:
        (line,) = (line for line in self.metrics.exposition().decode().splitlines() if line.startswith(f"{name} "))
        return float(line.split()[1])


async def test_ready_after_the_first_sweep_and_with_the_api_servers_addresses(clock: Clock) -> None:
    served = Served("--lease-name=")
    assert served.says() == (None, "the first sweep is not complete")
    served.operator._sweeper.swept_at = clock.now
    assert served.says() == (None, "the API server's addresses are not known")
    served.operator._guarded.set()
    assert served.says() == (None, None)


async def test_a_sweep_that_does_not_come_again(clock: Clock) -> None:
    served = Served("--lease-name=", "--sweep-interval=100s")
    served.swept(clock)
    clock.now += 100 + SWEEP_OVERDUE
    assert served.says() == (None, None)
    assert served.metric("sse_gateway_operator_sweep_age_seconds") == 160
    clock.now += 1
    assert served.says() == ("no complete sweep for 161 s",) * 2


async def test_a_first_sweep_that_never_ends(clock: Clock) -> None:
    served = Served("--lease-name=", "--sweep-interval=100s")
    clock.now += 161
    assert served.says()[0] == "no complete sweep for 161 s"


@pytest.mark.parametrize("queue", ["_queue", "_reports"])
async def test_a_worker_that_hangs(clock: Clock, monkeypatch: pytest.MonkeyPatch, queue: str) -> None:
    served = Served("--lease-name=")
    served.swept(clock)
    monkeypatch.setattr(getattr(served.operator, queue), "longest_active", lambda: 180.0)
    assert served.says() == (None, None)
    monkeypatch.setattr(getattr(served.operator, queue), "longest_active", lambda: 181.0)
    assert served.says() == ("a worker has been at one gateway for 181 s",) * 2


async def test_an_elector_that_stopped_trying(clock: Clock) -> None:
    served = Served()
    served.swept(clock)
    assert served.says() == (None, None)
    elector = served.operator._elector
    assert elector
    elector._attempted = clock.now
    clock.now += 15
    assert served.says() == (None, None)
    clock.now += 3
    assert served.says() == ("nobody has tried to renew the lease for 3 s too long",) * 2


async def test_a_lease_that_is_lost(clock: Clock) -> None:
    served = Served()
    served.swept(clock)
    elector = served.operator._elector
    assert elector
    elector._attempted = elector._renewed = clock.now
    assert served.metric("sse_gateway_operator_leader") == 0
    served.operator._leads = True
    assert served.says() == (None, None)
    assert served.metric("sse_gateway_operator_leader") == 1
    clock.now += 10
    elector._attempted = clock.now
    assert served.says() == ("the lease is not held any more",) * 2
