"""Ratios within rounds, tables and pictures, from records made up here."""

import pytest

from sse_bench import picture, table
from sse_bench.measurement import Record
from sse_bench.process import BenchError
from sse_bench.results import Results, Spread
from sse_bench.workloads import GROWTH, main_names, workload


def relay(number: int, peer: str, cpu: float, p99: float, **faults: int) -> Record:
    return Record(number, "relay-1000x10", peer, {"cpu_per_event": cpu, "p99": p99}, faults)


RESULTS = Results(
    [
        Record(0, "relay-1000x10", "direct", {"p99": 1}, {}),
        relay(0, "nginx", 40, 3),
        relay(0, "ours", 40, 4, lost=2),
        Record(1, "relay-1000x10", "direct", {"p99": 10}, {}),
        relay(1, "nginx", 80, 12),
        relay(1, "ours", 88, 16, lost=1, cut=1),
        relay(2, "ours", 500, 500),  # nginx did not run in this round
    ]
)


def test_a_ratio_is_taken_within_its_round() -> None:
    assert RESULTS.ratio("relay-1000x10", "ours", "cpu_per_event") == Spread(pytest.approx(1.05), 1.0, 1.1)


def test_latency_that_the_load_has_by_itself_is_taken_off() -> None:
    assert RESULTS.value("relay-1000x10", "ours", "p99_added") == Spread(4.5, 3, 6)


def test_faults_add_up_and_are_told() -> None:
    assert RESULTS.faults("relay-1000x10", "ours") == {"lost": 3, "cut": 1}
    *_, ours, direct = table.rows(RESULTS, "relay-1000x10")
    assert (ours[0], ours[-1]) == ("sse-gateway", "3 lost, 1 cut")
    assert (direct[0], direct[1]) == ("no proxy", "-")


def test_a_figure_without_rounds_is_a_dash() -> None:
    assert RESULTS.ratio("relay-1000x10", "envoy", "cpu_per_event") is None
    assert table.ratio(None) == "-"


def test_the_picture_shows_what_was_run() -> None:
    svg = picture.ratios(RESULTS)
    assert "sse-gateway" in svg
    assert "Envoy" not in svg
    assert picture.growth(RESULTS) == ""


def test_growth_is_drawn_where_ours_ran_all_of_it() -> None:
    names = GROWTH["routes"]
    records = [
        Record(0, name, peer, {"cpu_per_request": 100.0 + index}, {})
        for index, name in enumerate(names)
        for peer in ("nginx", "ours")
    ]
    assert picture.growth(Results(records)).count("<polyline") == 2


@pytest.mark.parametrize("name", [*main_names(9_900), *(name for names in GROWTH.values() for name in names)])
def test_a_workload_is_named_by_its_numbers(name: str) -> None:
    assert workload(name).name == name


def test_the_burst_fits_what_may_be_open() -> None:
    assert "burst-10000" in main_names(30_000)
    assert "burst-9900" in main_names(9_920)


def test_an_unknown_workload_is_told_with_the_known_ones() -> None:
    with pytest.raises(BenchError, match="'relay-many' is no workload: known are relay-STREAMSxRATE"):
        workload("relay-many")
