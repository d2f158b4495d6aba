"""Results as tables: for the terminal and for Markdown."""

from __future__ import annotations

from collections import Counter

from sse_bench.measurement import DIRECT
from sse_bench.peers import BASELINE, PEERS
from sse_bench.results import FIGURES, Results, Spread
from sse_bench.workloads import workload

Row = list[str]


def rows(results: Results, name: str) -> list[Row]:
    """One workload: a row of titles, then one row for each peer, the baseline's ratio being 1."""
    figures = workload(name).figures
    first = figures[0]
    titles = ["", *(_title(figure) for figure in figures), "lost or broken"]
    titles.insert(2, f"to {PEERS[BASELINE].title}")
    table = [titles]
    for peer in (peer for peer in [*PEERS, DIRECT] if results.records(name, peer)):
        cells = [_number(results.value(name, peer, figure), FIGURES[figure].decimals) for figure in figures]
        cells.insert(1, ratio(results.ratio(name, peer, first)))
        faults = ", ".join(f"{count} {fault}" for fault, count in results.faults(name, peer).items())
        table.append([PEERS[peer].title if peer in PEERS else "no proxy", *cells, faults or "0"])
    return table


def notes(results: Results, name: str) -> list[str]:
    """What makes some of a workload's runs less sure, one line for each peer."""
    lines = []
    for peer in [*PEERS, DIRECT]:
        records = results.records(name, peer)
        told = Counter(note for record in records for note in record.notes)
        if told:
            lines.append(f"{peer}: " + "; ".join(f"{note} ({count} of {len(records)})" for note, count in told.items()))
    return lines


def ratio(spread: Spread | None) -> str:
    """As `1.04 (0.98 to 1.10)`; a dash where there is none."""
    if spread is None:
        return "-"
    if spread.least == spread.most:
        return f"{spread.middle:.2f}"
    return f"{spread.middle:.2f} ({spread.least:.2f} to {spread.most:.2f})"


def text(table: list[Row]) -> str:
    """With columns in line, for a terminal."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = (
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in table)
    )
    return "\n".join(f"  {line.rstrip()}" for line in lines)


def markdown(table: list[Row]) -> str:
    """A GitHub table."""
    head, *body = table
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *body])


def _title(figure: str) -> str:
    told = FIGURES[figure]
    return f"{told.title}, {told.unit}" if told.unit else told.title


def _number(spread: Spread | None, decimals: int) -> str:
    return "-" if spread is None else f"{spread.middle:,.{decimals}f}"
