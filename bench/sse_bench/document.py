"""The generated part of docs/performance.md, and its pictures."""

from __future__ import annotations

from pathlib import Path

from sse_bench import picture, table
from sse_bench.process import BenchError
from sse_bench.results import FIGURES, Results
from sse_bench.workloads import GROWTH, workload

DOCS = Path(__file__).resolve().parents[2] / "docs"
_BEGIN = "<!-- make bench: begin -->"
_END = "<!-- make bench: end -->"


def write(results: Results, about: tuple[str, ...], docs: Path = DOCS) -> list[Path]:
    """Replace what stands between the markers of performance.md, and draw the pictures it shows; the files written.

    Raises BenchError when the markers are not there.
    """
    page = docs / "performance.md"
    text = page.read_text() if page.exists() else ""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise BenchError(f"{page} has no lines {_BEGIN} and {_END} to write between")
    pictures = {
        "performance.svg": picture.ratios(results),
        "performance-growth.svg": picture.growth(results),
    }
    drawn = {name: svg for name, svg in pictures.items() if svg}
    for name, svg in drawn.items():
        (docs / name).write_text(svg)
    page.write_text(f"{before}{_BEGIN}\n{section(results, about, list(drawn))}\n{_END}{after}")
    return [page, *(docs / name for name in drawn)]


def section(results: Results, about: tuple[str, ...], pictures: list[str]) -> str:
    """The generated Markdown: where it was run, the pictures, a table for each workload."""
    parts = ["\n".join(f"- {line}" for line in about)]
    parts += [f"![{_ALT[name]}]({name})" for name in pictures]
    grown = {name for names in GROWTH.values() for name in names}
    told = results.workloads()
    alone = [name for name in told if name not in grown or len(results.peers(name)) > 2]
    for name in alone:
        parts += [f"### {workload(name).title}", f"`{name}`", table.markdown(table.rows(results, name))]
        if notes := table.notes(results, name):
            parts.append("\n".join(f"- {note}" for note in notes))
    for what, names in GROWTH.items():
        if ran := [name for name in names if name in told]:
            parts += [f"### How cost grows with {what}", table.markdown(_growth_rows(results, ran))]
    return "\n\n".join(parts)


_ALT = {
    "performance.svg": "Cost to nginx, by workload and proxy",
    "performance-growth.svg": "How CPU cost grows with streams, rate, event size and routes",
}


def _growth_rows(results: Results, names: list[str]) -> list[table.Row]:
    figure = workload(names[0]).figures[0]
    told = FIGURES[figure]
    peers = picture.GROWTH_PEERS
    rows = [["", *(f"{peer}: {told.title}, {told.unit}" for peer in peers), "ratio", f"{peers[1]}, to its first row"]]
    for name in names:
        spreads = [results.value(name, peer, figure) for peer in peers]
        cells = [f"{spread.middle:.{told.decimals}f}" if spread else "-" for spread in spreads]
        first, own = results.value(names[0], peers[1], figure), results.value(name, peers[1], figure)
        grown = f"{own.middle / first.middle:.2f}" if own and first else "-"
        rows.append([f"`{name}`", *cells, table.ratio(results.ratio(name, peers[1], figure)), grown])
    return rows
