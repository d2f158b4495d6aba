"""The results as SVG, written by hand: no plotting library for two pictures. They adapt to a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import log10

from sse_bench.peers import BASELINE, PEERS, Ours
from sse_bench.results import FIGURES, Results, Spread
from sse_bench.workloads import GROWTH, workload

GROWTH_PEERS = (BASELINE, Ours.name)
_SHOWN = ("relay-1000x10", "relay-200x20", "posts-200", "idle-", "burst-", "saturate-")
_MOST_RATIO = 4.0
_WIDTH = 860
_LEFT = 130
_COLORS = {
    "nginx": "#6e7781",
    "haproxy": "#57a0d3",
    "envoy": "#a06cd5",
    "caddy": "#2fa88f",
    "go": "#00add8",
    "naive": "#d9a441",
    "ours": "#d1345b",
}
_STYLE = (
    "<style>text{font:12px system-ui,sans-serif;fill:#24292f}.head{font-weight:600}.quiet{fill:#6e7781}"
    ".line{stroke:#d0d7de;stroke-width:1}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.quiet{fill:#8b949e}"
    ".line{stroke:#30363d}}</style>"
)


def ratios(results: Results) -> str:
    """A group of bars for each main workload: the compared figure to the baseline's, with its spread over the rounds.

    Empty when none of them was run.
    """
    shapes: list[str] = []
    y = 10
    scale = (_WIDTH - _LEFT - 150) / _MOST_RATIO
    for name in (name for name in results.workloads() if name.startswith(_SHOWN)):
        figure = workload(name).figures[0]
        bars = [(peer, results.ratio(name, peer, figure)) for peer in PEERS]
        known = [(peer, spread) for peer, spread in bars if spread]
        if not known:
            continue
        told = FIGURES[figure]
        better = "more" if told.more_is_better else "less"
        shapes.append(_text(10, y + 12, f"{told.title}: {workload(name).title} ({better} is better)", "head"))
        y += 20
        for peer, spread in known:
            shapes += _bar(y, peer, spread, scale)
            y += 17
        one = _LEFT + scale
        shapes.append(f'<line class="line" x1="{one:.0f}" x2="{one:.0f}" y1="{y - 17 * len(known)}" y2="{y}"/>')
        y += 14
    return _svg(y, shapes) if shapes else ""


def _bar(y: int, peer: str, spread: Spread, scale: float) -> list[str]:
    width = min(spread.middle, _MOST_RATIO) * scale
    least, most = (_LEFT + min(edge, _MOST_RATIO) * scale for edge in (spread.least, spread.most))
    value = f"{spread.middle:.2f}" + (" (cut off)" if spread.middle > _MOST_RATIO else "")
    return [
        _text(_LEFT - 8, y + 11, PEERS[peer].title, anchor="end"),
        f'<rect x="{_LEFT}" y="{y + 1}" width="{width:.1f}" height="13" rx="2" fill="{_COLORS[peer]}"/>',
        f'<line x1="{least:.1f}" x2="{most:.1f}" y1="{y + 7.5}" y2="{y + 7.5}" stroke="#24292f" stroke-opacity=".6"/>',
        _text(max(_LEFT + width, most) + 6, y + 11, value, "quiet"),
    ]


def growth(results: Results) -> str:
    """One small diagram for each thing that grows: the cost of the baseline and of ours. Empty when none was run."""
    shapes: list[str] = []
    diagrams = [
        (what, names)
        for what, names in GROWTH.items()
        if all(results.value(name, Ours.name, workload(name).figures[0]) for name in names)
    ]
    for place, (what, names) in enumerate(diagrams):
        shapes += _diagram(results, what, names, 20 + place % 2 * 430, 10 + place // 2 * 220)
    return _svg(10 + (len(diagrams) + 1) // 2 * 220, shapes) if shapes else ""


def _diagram(results: Results, what: str, names: Sequence[str], left: int, top: int) -> list[str]:
    figure = workload(names[0]).figures[0]
    told = FIGURES[figure]
    lines = {peer: [results.value(name, peer, figure) for name in names] for peer in GROWTH_PEERS}
    most = max(spread.most for spreads in lines.values() for spread in spreads if spread)
    step = 10 ** int(log10(most)) / 2
    ceiling = (int(most / step) + 1) * step
    width, height = 340, 130
    base = top + 30 + height
    shapes = [
        _text(left, top + 12, f"{told.title} ({told.unit}), by {what}", "head"),
        f'<line class="line" x1="{left + 40}" x2="{left + 40 + width}" y1="{base}" y2="{base}"/>',
        f'<line class="line" x1="{left + 40}" x2="{left + 40 + width}" y1="{base - height}" y2="{base - height}"/>',
        _text(left + 34, base + 4, "0", "quiet", "end"),
        _text(left + 34, base - height + 4, f"{ceiling:g}", "quiet", "end"),
    ]

    def x_of(index: int) -> float:
        return left + 60 + index * (width - 40) / max(len(names) - 1, 1)

    for index, name in enumerate(names):
        shapes.append(_text(x_of(index), base + 17, name.partition("-")[2], "quiet", "middle"))
    for peer, spreads in lines.items():
        points = [
            (x_of(index), base - spread.middle / ceiling * height) for index, spread in enumerate(spreads) if spread
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        shapes.append(f'<polyline points="{path}" fill="none" stroke="{_COLORS[peer]}" stroke-width="2"/>')
        shapes += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_COLORS[peer]}"/>' for x, y in points]
        if points:
            above = -8 if peer == max(lines, key=lambda each: _last(lines[each])) else 16
            shapes.append(_text(points[-1][0] + 24, points[-1][1] + above, PEERS[peer].title, "quiet", "end"))
    return shapes


def _last(spreads: Sequence[Spread | None]) -> float:
    return spreads[-1].middle if spreads and spreads[-1] else 0.0


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def _svg(height: int, shapes: Sequence[str]) -> str:
    view = f'width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {view}>', _STYLE, *shapes, "</svg>", ""])
