"""From the records of runs to what is told: medians over rounds, and ratios to the baseline within each round.

Machines change from minute to minute; peers that ran in turn within one round saw the same one. So a ratio is taken
in each round, and the median is over those ratios.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from sse_bench.measurement import DIRECT, Record
from sse_bench.peers import BASELINE


@dataclass(frozen=True)
class Figure:
    """Something that is measured."""

    title: str
    unit: str
    decimals: int = 2
    more_is_better: bool = False


FIGURES = {
    "cpu_per_event": Figure("CPU per event", "µs", 1),
    "cpu_per_request": Figure("CPU per request", "µs", 0),
    "cpu_per_connect": Figure("CPU per new stream", "µs", 0),
    "cpu_share": Figure("of its core", "%", 0),
    "memory_per_stream": Figure("memory per stream", "bytes", 0),
    "most_events": Figure("most events/s", "", 0, more_is_better=True),
    "connect_seconds": Figure("until all were connected", "s"),
    "reload_seconds": Figure("until a new route was served", "s"),
    "resume_seconds": Figure("until all had what they missed", "s"),
    "resume_p99": Figure("p99 of the others meanwhile", "ms"),
    "p50": Figure("latency p50", "ms"),
    "p99": Figure("latency p99", "ms"),
    "p99_added": Figure("p99 less the load's own", "ms"),
    "max": Figure("longest latency", "ms"),
    "head_p50": Figure("head p50", "ms"),
    "head_p99": Figure("head p99", "ms"),
}


@dataclass(frozen=True)
class Spread:
    """The median of some values, with the least and the greatest."""

    middle: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """None where there are no values."""
        known = sorted(values)
        return cls(median(known), known[0], known[-1]) if known else None


class Results:
    """The records of one bench."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records: dict[tuple[str, str], dict[int, Record]] = {}
        for record in records:
            self._records.setdefault((record.workload, record.peer), {})[record.round] = record

    def workloads(self) -> list[str]:
        """In the order in which they were first run."""
        return list(dict.fromkeys(workload for workload, _ in self._records))

    def peers(self, workload: str) -> list[str]:
        """Those that ran it, without the direct run."""
        return sorted({peer for ran, peer in self._records if ran == workload and peer != DIRECT})

    def records(self, workload: str, peer: str) -> list[Record]:
        """One for each round that was finished."""
        return list(self._records.get((workload, peer), {}).values())

    def value(self, workload: str, peer: str, figure: str) -> Spread | None:
        """Over the rounds, in the figure's unit."""
        return Spread.of(self._by_round(workload, peer, figure).values())

    def ratio(self, workload: str, peer: str, figure: str, to: str = BASELINE) -> Spread | None:
        """To another peer, within each round in which both ran."""
        own, other = self._by_round(workload, peer, figure), self._by_round(workload, to, figure)
        return Spread.of(own[number] / other[number] for number in own.keys() & other.keys() if other[number] > 0)

    def faults(self, workload: str, peer: str) -> dict[str, int]:
        """What went wrong with streams, added up over the rounds."""
        total: dict[str, int] = {}
        for record in self.records(workload, peer):
            for fault, count in record.faults.items():
                total[fault] = total.get(fault, 0) + count
        return total

    def _by_round(self, workload: str, peer: str, figure: str) -> dict[int, float]:
        records = self._records.get((workload, peer), {})
        if figure == "p99_added":
            direct = self._records.get((workload, DIRECT), {})
            return {
                number: max(record.figures["p99"] - direct[number].figures["p99"], 0.0)
                for number, record in records.items()
                if number in direct and "p99" in record.figures
            }
        return {number: record.figures[figure] for number, record in records.items() if figure in record.figures}
