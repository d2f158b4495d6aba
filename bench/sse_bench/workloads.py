"""What the proxies are put to, by name. A name carries its numbers, so that any other can be asked for as well."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sse_bench.process import BenchError


@dataclass(frozen=True)
class Workload:
    """One kind of load, and the figures to tell of it; the first is the one that is compared."""

    name: str
    title: str
    figures: tuple[str, ...]
    client: tuple[str, ...]
    """Sub-command and options of the load program, without the addresses and the length of the window."""
    streams: int
    """At a time: the proxy needs two open files for each."""
    routes: int = 1
    seconds: float = 5.0
    """Length of the measured window."""
    memory: bool = False
    """Whether the proxy's memory is taken before the streams and while they are open."""
    reloads: int = 0
    """How often its config changes within the window."""
    shared: bool = False
    """Whether all clients ask for the same, and ours may share it."""
    ours_only: bool = False
    """Whether the others cannot do it."""


def _relay(streams: int, rate: int, size: int = 256) -> Workload:
    sized = f"{size // 1024} KiB" if size >= 1024 else f"{size} bytes"
    return Workload(
        name=f"relay-{streams}x{rate}" + (f"-{size}" if size != 256 else ""),
        title=f"{streams:,} streams × {rate} events/s of {sized}",
        figures=("cpu_per_event", "p50", "p99", "p99_added", "cpu_share"),
        client=("streams", "-streams", str(streams), "-rate", str(rate), "-size", str(size)),
        streams=streams,
    )


def _posts(clients: int) -> Workload:
    return Workload(
        name=f"posts-{clients}",
        title=f"{clients} clients at a time: a POST of 2 KiB, an answer of 50 events in a second, the next",
        figures=("cpu_per_request", "head_p50", "head_p99", "p99", "cpu_share"),
        client=("posts", "-clients", str(clients), "-events", "50", "-rate", "50", "-body", "2048"),
        streams=clients,
    )


def _idle(streams: int) -> Workload:
    return Workload(
        name=f"idle-{streams}",
        title=f"{streams:,} streams with an event every 10 s",
        figures=("memory_per_stream", "cpu_per_connect", "head_p50", "head_p99"),
        client=("streams", "-streams", str(streams), "-rate", "0.1", "-warm", "3s"),
        streams=streams,
        memory=True,
    )


def _burst(streams: int) -> Workload:
    return Workload(
        name=f"burst-{streams}",
        title=f"{streams:,} streams connect at once, then an event every 2 s on each",
        figures=("cpu_per_connect", "connect_seconds", "head_p50", "head_p99"),
        client=("streams", "-streams", str(streams), "-rate", "0.5", "-concurrency", str(streams), "-patience", "60s"),
        streams=streams,
    )


def _saturate(streams: int) -> Workload:
    return Workload(
        name=f"saturate-{streams}",
        title=f"{streams} streams, the most events/s in all with 97 % delivered in time and a p99 up to 100 ms",
        figures=("most_events", "cpu_per_event"),
        client=("streams", "-streams", str(streams), "-search-from", "10000"),
        streams=streams,
    )


def _slow(streams: int) -> Workload:
    return Workload(
        name=f"slow-{streams}",
        title=f"{streams} streams × 20 events/s, every tenth client takes 4 KiB/s of the 320 KiB/s it is sent",
        figures=("cpu_per_event", "p50", "p99", "memory_per_stream"),
        client=(
            "streams",
            "-streams",
            str(streams),
            "-rate",
            "20",
            "-slow",
            str(max(streams // 10, 1)),
            "-slow-size",
            "16384",
            "-warm",
            "3s",
        ),
        streams=streams,
        memory=True,
    )


def _routes(routes: int) -> Workload:
    return Workload(
        name=f"routes-{routes}",
        title=f"short requests over {routes:,} routes",
        figures=("cpu_per_request", "head_p50", "head_p99", "cpu_share"),
        client=("posts", "-clients", "50", "-events", "1", "-rate", "1000", "-body", "0", "-pause", "100ms"),
        streams=50,
        routes=routes,
    )


def _reload(routes: int) -> Workload:
    return Workload(
        name=f"reload-{routes}",
        title=f"three reloads of a config of {routes:,} routes under 200 streams × 20 events/s",
        figures=("reload_seconds", "cpu_per_event", "p99", "max"),
        client=("streams", "-streams", "200", "-rate", "20"),
        streams=200,
        routes=routes,
        seconds=6.0,
        reloads=3,
    )


def _shared(clients: int, rate: int) -> Workload:
    return Workload(
        name=f"shared-{clients}x{rate}",
        title=f"{clients:,} clients of one stream × {rate} events/s: ours shares it, proxies relay it to each",
        figures=("cpu_per_event", "p50", "p99", "memory_per_stream", "cpu_share"),
        client=("streams", "-same", "-streams", str(clients), "-rate", str(rate), "-warm", "2s"),
        streams=clients,
        memory=True,
        shared=True,
    )


def _resume(clients: int) -> Workload:
    return Workload(
        name=f"resume-{clients}",
        title=f"{clients:,} clients of one stream × 20 events/s, then as many come back at once, 100 events behind",
        figures=("resume_seconds", "p99", "resume_p99"),
        client=("streams", "-same", "-streams", str(clients), "-rate", "20", "-warm", "4s", "-resuming", str(clients)),
        streams=2 * clients,
        shared=True,
        ours_only=True,
    )


_FAMILIES: dict[str, Callable[..., Workload]] = {
    r"relay-(\d+)x(\d+)(?:-(\d+))?": _relay,
    r"posts-(\d+)": _posts,
    r"idle-(\d+)": _idle,
    r"burst-(\d+)": _burst,
    r"saturate-(\d+)": _saturate,
    r"slow-(\d+)": _slow,
    r"shared-(\d+)x(\d+)": _shared,
    r"resume-(\d+)": _resume,
    r"routes-(\d+)": _routes,
    r"reload-(\d+)": _reload,
}

BURST = 10_000


def main_names(most_streams: int) -> tuple[str, ...]:
    """What `make bench` runs with every peer, where a proxy can have so many streams."""
    return (
        "relay-1000x10",
        "relay-200x20",
        "posts-200",
        "idle-5000",
        f"burst-{min(BURST, most_streams // 100 * 100)}",
        "saturate-200",
        "relay-50x10-65536",
        "slow-200",
        f"shared-{min(2000, most_streams // 2)}x5",
        f"resume-{min(1000, most_streams // 4)}",
        "routes-10",
        "routes-10000",
        "reload-10000",
    )


GROWTH = {
    "streams, 4,000 events/s in all": ("relay-100x40", "relay-400x10", "relay-1000x4", "relay-4000x1"),
    "events/s on 200 streams": ("relay-200x5", "relay-200x10", "relay-200x20", "relay-200x40"),
    "bytes of an event": ("relay-100x20", "relay-100x20-1024", "relay-100x20-8192", "relay-100x20-65536"),
    "routes": ("routes-10", "routes-100", "routes-1000", "routes-10000"),
}
"""How cost grows with one thing at a time: run with ours and the baseline only."""


def workload(name: str) -> Workload:
    """The workload of that name. Raises BenchError when its family is not known."""
    for pattern, family in _FAMILIES.items():
        if found := re.fullmatch(pattern, name):
            return family(*(int(number) for number in found.groups() if number is not None))
    others = (name for name in main_names(BURST) if not name.startswith("relay"))
    known = ", ".join(("relay-STREAMSxRATE[-BYTES]", *others))
    raise BenchError(f"{name!r} is no workload: known are {known}, with other numbers as well")
