"""Compare proxies: streams through each in turn, alone on one core.

make bench                                                    everything; updates docs/performance.md
make bench ARGS="--rounds 2 --growth-rounds 1 --window 0.5"   the same in less than half an hour
make bench ARGS="--quick"                                     one round, short windows, the table only
make bench ARGS="--peers nginx,ours --workload relay-1000x10 --rounds 3"
make bench ARGS="--from FILE… --write"                        docs/performance.md from records kept earlier
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from kube_assets import cache_folder
from sse_bench import document, load_program, machine, recording, table
from sse_bench.measurement import DIRECT, Bench, Record
from sse_bench.peers import BASELINE, PEERS, Ours, Peer
from sse_bench.process import BenchError
from sse_bench.results import Results
from sse_bench.workloads import BURST, GROWTH, Workload, main_names, workload

_ROUNDS = 3
_QUICK = 0.4


def main() -> int:
    arguments = _arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _on_signal)
    try:
        return _compare(arguments)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--peers", metavar="NAME,…", help=f"of {', '.join(PEERS)} (all that are installed)")
    parser.add_argument("--workload", metavar="NAME,…", help=f"such as {', '.join(main_names(BURST)[:5])} (all)")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"how often each peer runs ({_ROUNDS})")
    parser.add_argument(
        "--growth-rounds", type=int, metavar="N", help="how often what only shows how cost grows is run (as --rounds)"
    )
    parser.add_argument(
        "--window", type=float, metavar="PART", help="measure each run for this part of the usual time (1)"
    )
    parser.add_argument("--quick", action="store_true", help=f"no more than --rounds 1 --window {_QUICK}")
    parser.add_argument("--record", type=Path, metavar="FILE", help="keep what each run gave, one JSON line each")
    parser.add_argument(
        "--from", type=Path, nargs="+", dest="kept", metavar="FILE", help="run nothing: tell what the files have"
    )
    parser.add_argument("--write", action="store_true", help="update docs/performance.md although not all was run")
    return parser.parse_args()


def _compare(arguments: argparse.Namespace) -> int:
    if arguments.kept:
        parts = [recording.read(path) for path in arguments.kept]
        about = tuple(dict.fromkeys(line for part in parts for line in part.about))
        _tell(Results(record for part in parts for record in part.records), about, write=arguments.write)
        return 0
    open_files = machine.raise_open_files()
    plan = _plan(arguments, open_files)
    cache = cache_folder()
    peers, missing = _installed(arguments.peers.split(",") if arguments.peers else list(PEERS), cache)
    for line in missing:
        print(f"bench: {line}", file=sys.stderr)
    program = load_program.build(cache)
    cores = machine.Cores.divide()
    os.sched_setaffinity(0, cores.load)
    own_network, priority = machine.own_network(), machine.raise_priority()
    bench = Bench(cores, program, cache, open_files, arguments.window or (_QUICK if arguments.quick else 1.0))
    rounds = arguments.rounds or (1 if arguments.quick else _ROUNDS)
    about = (
        datetime.now(UTC).strftime("%Y-%m-%d"),
        machine.description(),
        f"{', '.join(f'{peer.title} {peer.version(cache)}'.strip() for peer in peers)}",
        (f"{rounds} rounds" if rounds > 1 else "one round")
        + (f", windows of {bench.shorter:g} times the usual length" if bench.shorter != 1 else ""),
        "a network namespace of its own" if own_network else "the machine's own loopback network",
        "raised priority" if priority else "usual priority",
        *missing,
    )
    records: list[Record] = []
    failures: list[str] = []
    record_file = arguments.record or cache / "bench" / "last.jsonl"
    interrupted = True
    with recording.Writer(record_file, about) as kept_records, suppress(KeyboardInterrupt):
        for record in _run(bench, plan, peers, rounds, arguments.growth_rounds or rounds, failures):
            kept_records.add(record)
            records.append(record)
        interrupted = False
    whole = not (interrupted or arguments.quick or arguments.peers or arguments.workload)
    _tell(Results(records), about, write=whole or arguments.write)
    print(f"bench: every run is in {record_file}", file=sys.stderr)
    faulty = sum(bool(record.faults) for record in records if record.peer == Ours.name)
    if interrupted:
        print("bench: interrupted", file=sys.stderr)
        return 130
    if faulty:
        print(f"bench: sse-gateway lost or broke streams in {faulty} runs", file=sys.stderr)
    return 1 if faulty or failures else 0


def _plan(arguments: argparse.Namespace, open_files: int) -> list[tuple[Workload, frozenset[str]]]:
    """What to run, each with the names of the peers that are asked for."""
    everybody = frozenset(PEERS)
    if arguments.workload:
        return [(workload(name), everybody) for name in arguments.workload.split(",")]
    plan = dict.fromkeys(main_names(machine.most_streams(open_files)), everybody)
    if not arguments.quick:
        for names in GROWTH.values():
            for name in names:
                plan.setdefault(name, frozenset({BASELINE, Ours.name}))
    return [(workload(name), peers) for name, peers in plan.items()]


def _installed(names: list[str], cache: Path) -> tuple[list[type[Peer]], list[str]]:
    """The peers of these names, and a sentence for each that is not here."""
    for name in names:
        if name not in PEERS:
            raise BenchError(f"{name!r} is no peer: known are {', '.join(PEERS)}")
    here = [PEERS[name] for name in names if PEERS[name].program(cache)]
    missing = [f"{name} is not installed: {PEERS[name].remedy()}" for name in names if not PEERS[name].program(cache)]
    if not here:
        raise BenchError("; ".join(missing))
    return here, missing


def _run(
    bench: Bench,
    plan: list[tuple[Workload, frozenset[str]]],
    peers: list[type[Peer]],
    rounds: int,
    growth_rounds: int,
    failures: list[str],
) -> Iterator[Record]:
    """Workload by workload, round by round, in each round every peer, each round beginning with another one.

    Runs that gave no record are told, and added to `failures`.
    """
    for work, wanted in plan:
        print(f"{work.name}: {work.title}", flush=True)
        able = [
            peer
            for peer in peers
            if peer.name in wanted
            and (peer.many_routes or work.routes == 1)
            and (peer.relays or work.shared)
            and (not work.ours_only or peer.name == Ours.name)
        ]
        for number in range(rounds if len(wanted) > 2 else growth_rounds):
            turn = number % max(len(able), 1)
            in_turn: list[type[Peer] | None] = [*able[turn:], *able[:turn]]
            if "p99_added" in work.figures:
                in_turn.insert(0, None)
            for peer in in_turn:
                began = time.monotonic()
                name = peer.name if peer else DIRECT
                try:
                    record = bench.run(number, work, peer)
                except BenchError as error:
                    failures.append(f"{work.name}, {name}: {error}")
                    print(f"bench: {failures[-1]}", file=sys.stderr, flush=True)
                    continue
                told = record.figures.get(work.figures[0], 0.0)
                print(f"  round {number + 1} {name:8} {told:10.1f}  ({time.monotonic() - began:.0f} s)", flush=True)
                yield record


def _tell(results: Results, about: tuple[str, ...], *, write: bool) -> None:
    for name in results.workloads():
        print(f"\n{name}: {workload(name).title}")
        print(table.text(table.rows(results, name)))
        for note in table.notes(results, name):
            print(f"  note: {note}")
    if write:
        for path in document.write(results, about):
            print(f"bench: wrote {path}", file=sys.stderr)


def _on_signal(number: int, frame: FrameType | None) -> None:
    """End the run that is under way, with all that it started, and tell what there is."""
    for each in (signal.SIGINT, signal.SIGTERM):  # a second one must not stop the cleaning up
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
