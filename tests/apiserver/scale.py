"""`make scale`: the operator with ten thousand SseApis, and what it takes.

One machine runs everything: etcd, the API server, the operator, the edits and the stand-in for the proxies
(`scale_cluster.py`). So the times are those of a small and busy cluster; CPU seconds tell who used the machine.
"""

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from apiserver.control_plane import ControlPlane
from apiserver.operator_process import OperatorProcess, grant
from apiserver.scale_cluster import Cluster

CRDS = Path(__file__).parents[2] / "deploy" / "crds"
TICKS = os.sysconf("SC_CLK_TCK")
SWEEP = 30.0  # seconds
GIVE_UP = 900.0  # seconds to all statuses true
COLD_START, MEMORY, P99 = 60.0, 300.0, 2.0  # the aims: seconds, MB, seconds
LAG = 5.0  # seconds in which a status that may wait has been written
GROWTH = 1.1  # of memory from the first minute of the churn to the last


@dataclass(frozen=True)
class Usage:
    """CPU seconds so far, by process."""

    operator: float
    api_server: float
    etcd: float
    harness: float

    def since(self, before: "Usage") -> str:
        pairs = ((name, getattr(self, name) - getattr(before, name)) for name in self.__dataclass_fields__)
        return ", ".join(f"{name.replace('_', ' ')} {seconds:.1f}" for name, seconds in pairs)


class Scale:
    """One run."""

    def __init__(self, cluster: Cluster, control_plane: ControlPlane, operator: OperatorProcess) -> None:
        self.missed: list[str] = []
        self._cluster, self._control_plane, self._operator = cluster, control_plane, operator

    async def cold_start(self) -> None:
        """From the process's start, nothing of it written yet, to all statuses true."""
        before = self._usage()
        began = time.monotonic()
        self._operator.spawn()
        await self._cluster.settled(GIVE_UP)
        took = time.monotonic() - began
        told = f"{took:.1f} s to all statuses true; CPU s: {self._usage().since(before)}; {self._requests_told()}"
        self._tell("cold start", told, took < COLD_START)
        self._tell("memory", self._memory_told(), self._peak() < MEMORY)

    async def idle(self) -> None:
        """Two sweeps."""
        before, usage = self._writes(), self._usage()
        await asyncio.sleep(2 * SWEEP + SWEEP / 2)
        assert (await asyncio.to_thread(self._operator.metrics))["sse_gateway_operator_sweep_age_seconds"] < SWEEP * 2
        writes = self._writes() - before
        self._tell("two idle sweeps", f"{writes:.0f} writes; CPU s: {self._usage().since(usage)}", writes == 0)

    async def churn(self, rate: float, minutes: float) -> None:
        """So many edits a second for so long."""
        before, began = self._usage(), time.monotonic()
        requests = sum(self._requests().values())
        memory: list[float] = []
        keys = self._cluster.apis[:]
        random.shuffle(keys)
        count = round(rate * minutes * 60)
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                due = began + number / rate
                if (pause := due - time.monotonic()) > 0:
                    await asyncio.sleep(pause)
                key = keys[number % len(keys)]
                group.create_task(self._cluster.edit(key, f"1.{number}"))
                if number % round(rate * 10) == 0:
                    memory.append(self._resident())
        edited = time.monotonic() - began
        settled = await self._cluster.settled(GIVE_UP)
        latencies = sorted(self._cluster.latencies)
        p50, p99 = (statistics.quantiles(latencies, n=100)[at] for at in (49, 98))
        told = f"p50 {p50:.2f} s, p99 {p99:.2f} s, longest {latencies[-1]:.2f} s"
        self._tell("from edit to ConfigMap", f"{count} edits, {count / edited:.0f} a second: {told}", p99 < P99)
        requests = sum(self._requests().values()) - requests
        self._tell("all statuses true", f"{settled:.1f} s after the last edit; {requests / count:.1f} requests an edit")
        self._tell("CPU s of the churn", f"{self._usage().since(before)}, in {edited:.0f} s")
        minute = max(1, min(6, len(memory) // 2))
        first, last = statistics.mean(memory[:minute]), statistics.mean(memory[-minute:])
        told = f"{first:.0f} MB in the first minute, {last:.0f} MB in the last; {self._memory_told()}"
        self._tell("memory under churn", told, last < first * GROWTH and self._peak() < MEMORY)

    async def restart(self) -> None:
        """A new process finds all as it should be."""
        self._operator.stop()
        before, began = self._usage(), time.monotonic()
        await asyncio.to_thread(self._operator.start)
        leads = time.monotonic() - began
        while self._reconciles() < len(self._cluster.gateways):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.2)
        took = time.monotonic() - began
        await asyncio.sleep(LAG)
        writes = self._writes()
        told = f"leads after {leads:.1f} s, looked at all gateways after {took:.1f} s, {writes:.0f} writes;"
        self._tell("restart", f"{told} CPU s: {self._usage().since(before)}; {self._memory_told()}", writes == 0)

    # What is measured

    def _tell(self, what: str, told: str, well: bool = True) -> None:
        print(f"scale: {what}: {told}{'' if well else '  <- MISSED'}", flush=True)
        if not well:
            self.missed.append(what)

    def _reconciles(self) -> float:
        return sum(value for name, value in self._operator.metrics().items() if "reconcile_seconds_count" in name)

    def _requests(self) -> dict[str, float]:
        prefix = "sse_gateway_operator_api_requests_total"
        counts: dict[str, float] = {}
        for name, value in self._operator.metrics().items():
            if name.startswith(prefix):
                verb = name.partition('verb="')[2].partition('"')[0]
                counts[verb] = counts.get(verb, 0) + value
        return counts

    def _requests_told(self) -> str:
        requests = self._requests()
        verbs = ", ".join(f"{verb} {value:.0f}" for verb, value in sorted(requests.items()))
        return f"{sum(requests.values()):.0f} API requests ({verbs})"

    def _writes(self) -> float:
        """Without the lease's, which are the only updates, or Events, which are the only creates then."""
        return sum(value for verb, value in self._requests().items() if verb in ("patch", "delete"))

    def _usage(self) -> Usage:
        pids = (self._operator.pid, *self._control_plane.pids, os.getpid())
        return Usage(*(_cpu_seconds(pid) for pid in pids))

    def _resident(self) -> float:
        return _memory(self._operator.pid, "VmRSS")

    def _peak(self) -> float:
        return _memory(self._operator.pid, "VmHWM")

    def _memory_told(self) -> str:
        return f"{self._resident():.0f} MB resident, {self._peak():.0f} MB at most"


def _cpu_seconds(pid: int | None) -> float:
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _memory(pid: int | None, field: str) -> float:
    """In MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) * 1024 / 1e6


async def run(arguments: argparse.Namespace, control_plane: ControlPlane, folder: Path) -> list[str]:
    """The aims that were missed."""
    operator = OperatorProcess(
        grant(control_plane),
        folder / "log",
        flags=(f"--sweep-interval={SWEEP:.0f}s", "--log-level=WARNING"),
    )
    cluster = Cluster(control_plane, arguments.apis, arguments.namespaces, arguments.gateways)
    try:
        async with cluster:
            began = time.monotonic()
            await cluster.fill()
            print(f"scale: made {arguments.apis} SseApis in {time.monotonic() - began:.1f} s", flush=True)
            scale = Scale(cluster, control_plane, operator)
            await scale.cold_start()
            await scale.idle()
            await scale.churn(arguments.rate, arguments.minutes)
            await scale.restart()
    finally:
        operator.stop()
        print(operator.log.read_text()[-2000:], end="", file=sys.stderr)
    return scale.missed


def main() -> int:
    """Exit code 1 where an aim was missed."""
    parser = argparse.ArgumentParser(prog="scale", description="The operator with ten thousand SseApis.")
    parser.add_argument("--apis", type=int, default=10_000, help="SseApis (default: 10000)")
    parser.add_argument("--namespaces", type=int, default=100, help="namespaces (default: 100)")
    parser.add_argument("--gateways", type=int, default=20, help="gateways (default: 20)")
    parser.add_argument("--rate", type=float, default=50.0, help="edits a second (default: 50)")
    parser.add_argument("--minutes", type=float, default=5.0, help="of edits (default: 5)")
    arguments = parser.parse_args()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"scale: {os.cpu_count()} CPUs, load before: {load}", flush=True)
    with tempfile.TemporaryDirectory() as name, ControlPlane(audit=False) as control_plane:
        control_plane.install_crds(CRDS)
        missed = asyncio.run(run(arguments, control_plane, Path(name)))
    print(f"missed: {', '.join(missed) or 'nothing'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
