"""One run: an origin, a proxy alone on its core, a client; what the client saw and what the proxy used meanwhile."""

from __future__ import annotations

import http.client
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sse_bench.machine import Cores, free_port, load_average, most_streams
from sse_bench.peers import Peer, Place
from sse_bench.process import BenchError, CpuTime, Process
from sse_bench.workloads import Workload

DIRECT = "direct"
"""In place of a peer: the client at the origin, for what the load itself costs in latency."""

_READY_SECONDS = 60.0
_RELOAD_SECONDS = 1.5  # between two reloads, and the longest that one is waited for
_MOST_SECONDS = 120.0  # of a client, beyond its windows
_LOAD_AT_LIMIT = 0.92  # part of its cores
_CONTENDED = 0.10  # waiting for the core, as a part of running
_FAULTS = ("failed", "cut", "stalled", "lost", "duplicated", "reordered", "corrupted")


@dataclass(frozen=True)
class Record:
    """What one run gave. Units of the figures are in `results.FIGURES`."""

    round: int
    workload: str
    peer: str
    figures: dict[str, float]
    faults: dict[str, int]
    """Of the streams, those above zero."""
    notes: tuple[str, ...] = ()
    load_average: float = 0.0


@dataclass
class _Window:
    """What the processes had used when a window began."""

    proxy: CpuTime
    load: CpuTime
    line: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """What all runs have in common."""

    cores: Cores
    load_program: Path
    cache: Path
    open_files: int
    shorter: float = 1.0
    """Windows last this part of their time, but for those that reloads must fit in."""

    def run(self, number: int, workload: Workload, peer_type: type[Peer] | None) -> Record:
        """One run in round `number`; without a peer type the client goes to the origin itself.

        Raises BenchError when something does not start, or the client does not finish.
        """
        if workload.streams > most_streams(self.open_files):
            raise BenchError(
                f"{workload.name}: with {self.open_files} open files allowed (ulimit -Hn) a proxy has at most "
                f"{most_streams(self.open_files)} streams"
            )
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sse-bench-")))
            folder.chmod(0o755)
            origin, origin_port = self._origin(stack, folder)
            if peer_type is None:
                return _Run(self, number, workload, folder, origin, origin_port).measure()
            place = Place(
                folder,
                free_port(),
                free_port(),
                origin_port,
                self.load_program,
                self.cache,
                self.open_files,
                workload.shared,
            )
            peer = peer_type(place)
            peer.configure(_routes(workload.routes))
            proxy = stack.enter_context(
                Process(
                    peer.command(),
                    cores=self.cores.proxy,
                    log=folder / f"{peer.name}.log",
                    environment=peer.environment,
                )
            )
            proxy.wait_until(lambda: _serves(place.port, "/api-00000"), _READY_SECONDS, "an answer")
            return _Run(self, number, workload, folder, origin, place.port, peer, proxy, origin_port).measure()

    def _origin(self, stack: ExitStack, folder: Path) -> tuple[Process, int]:
        origin = stack.enter_context(
            Process(
                [str(self.load_program), "origin"],
                cores=self.cores.load,
                log=folder / "origin.log",
                environment=self.load_environment,
                output=subprocess.PIPE,
            )
        )
        line = origin.popen.stdout.readline() if origin.popen.stdout else b""
        if not line:
            origin.popen.wait()
            origin.check()
        return origin, int(json.loads(line)["port"])

    @property
    def load_environment(self) -> dict[str, str]:
        """For the load program; its heap is small and live, so that collecting it less often only helps."""
        return {"GOMAXPROCS": str(len(self.cores.load)), "GOGC": "400"}


class _Run:
    def __init__(
        self,
        bench: Bench,
        number: int,
        workload: Workload,
        folder: Path,
        origin: Process,
        port: int,
        peer: Peer | None = None,
        proxy: Process | None = None,
        origin_port: int | None = None,
    ) -> None:
        self._bench = bench
        self._number = number
        self._workload = workload
        self._folder = folder
        self._origin = origin
        self._port = port
        self._origin_port = origin_port or port
        self._peer = peer
        self._proxy = proxy
        self._windows: dict[str, list[_Window]] = {}
        self._figures: dict[str, float] = {}
        self._notes: list[str] = []

    def measure(self) -> Record:
        """Let the client do its work, and take what the processes used at the windows' edges."""
        workload, bench = self._workload, self._bench
        before = 0
        if workload.memory and self._proxy is not None:
            self._warm_up()
            before = self._proxy.memory()
        end: dict[str, Any] = {}
        seconds = workload.seconds * (1 if workload.reloads else bench.shorter)
        with self._client(*workload.client, "-window", f"{seconds}s") as client:
            for line in _lines(client, seconds + _MOST_SECONDS):
                if line["window"] == "end":
                    end = line
                elif line.get("begin"):
                    window = _Window(self._proxy_time(), self._load_time(client))
                    self._windows.setdefault(line["window"], []).append(window)
                    if line["window"] == "relay" and self._proxy is not None:
                        if workload.memory:
                            self._figures["memory_per_stream"] = (self._proxy.memory() - before) / workload.streams
                        self._reload()
                else:
                    window = self._windows[line["window"]][-1]
                    window.proxy = self._proxy_time() - window.proxy
                    window.load = self._load_time(client) - window.load
                    window.line = line
            client.popen.wait()
            if not end:
                client.check()
                raise BenchError("the client ended without telling an outcome")
        if self._proxy is not None:
            self._proxy.check()
        self._evaluate()
        if reason := end.get("reason"):
            self._notes.append(reason)
        return Record(
            self._number,
            workload.name,
            self._peer.name if self._peer else DIRECT,
            {name: round(value, 4) for name, value in self._figures.items()},
            {name: end[name] for name in _FAULTS if end[name]},
            tuple(self._notes),
            round(load_average(), 2),
        )

    def _client(self, command: str, *options: str) -> Process:
        addresses = ["-address", f"127.0.0.1:{self._port}"]
        if command == "streams":
            addresses += ["-origin", f"127.0.0.1:{self._origin_port}"]
        return Process(
            [str(self._bench.load_program), command, *addresses, "-routes", str(self._workload.routes), *options],
            cores=self._bench.cores.load,
            log=self._folder / "client.log",
            environment=self._bench.load_environment,
            output=subprocess.PIPE,
        )

    def _warm_up(self) -> None:
        """Some streams, so that what a proxy sets aside once does not count as the streams' memory."""
        with self._client("streams", "-streams", "20", "-rate", "10", "-warm", "0", "-window", "500ms") as client:
            for _ in _lines(client, _MOST_SECONDS):
                pass
        time.sleep(0.5)

    def _proxy_time(self) -> CpuTime:
        return self._proxy.cpu_time() if self._proxy else CpuTime(0, 0)

    def _load_time(self, client: Process) -> CpuTime:
        ours, theirs = client.cpu_time(), self._origin.cpu_time()
        return CpuTime(ours.running + theirs.running, ours.waiting + theirs.waiting)

    def _reload(self) -> None:
        """Add a route, several times, each time waiting until it is served."""
        peer, proxy = self._peer, self._proxy
        if peer is None or proxy is None or not peer.many_routes:
            return
        taken: list[float] = []
        for reload in range(self._workload.reloads):
            time.sleep(0.5 if reload == 0 else max(_RELOAD_SECONDS - taken[-1], 0))
            added = f"/added-{reload}"
            began = time.monotonic()
            peer.configure([*_routes(self._workload.routes), added])
            if peer.reload_signal is not None:
                proxy.popen.send_signal(peer.reload_signal)
            while not (served := _serves(self._port, added)) and time.monotonic() < began + _RELOAD_SECONDS:
                time.sleep(0.01)
            taken.append(time.monotonic() - began)
            if not served:
                self._notes.append(f"a reload took more than {_RELOAD_SECONDS:g} s")
        if taken:
            self._figures["reload_seconds"] = sorted(taken)[len(taken) // 2]

    def _evaluate(self) -> None:
        figures = self._figures
        for window in self._windows.get("connect", ()):
            self._take(window, "head")
            figures["connect_seconds"] = window.line["seconds"]
            if connected := window.line.get("connected"):
                figures["cpu_per_connect"] = window.proxy.running * 1e6 / connected
        for window in self._windows.get("relay", ()):
            self._take(window, "head", "first", "relay")
            self._take_cpu(window)
        for window in self._windows.get("resume", ()):
            figures["resume_seconds"] = window.line["seconds"]
            figures["resume_p99"] = window.line["relay"]["p99"]
        sustained = [window for window in self._windows.get("step", ()) if window.line["sustained"]]
        if sustained:
            best = max(sustained, key=lambda window: float(window.line["offered"]))
            self._take(best, "relay")
            self._take_cpu(best)
            figures["most_events"] = best.line["offered"]
        elif "step" in self._windows:
            self._notes.append("not even the lowest rate was sustained")

    def _take(self, window: _Window, *names: str) -> None:
        for name in names:
            prefix = "" if name == "relay" else f"{name}_"
            for quantile, milliseconds in window.line.get(name, {}).items():
                self._figures[f"{prefix}{quantile}"] = milliseconds

    def _take_cpu(self, window: _Window) -> None:
        seconds, events = window.line["seconds"], window.line.get("events", 0)
        answered = window.line.get("requests", 0)
        self._figures["events"] = events / seconds
        if self._proxy is not None:
            self._figures["cpu_share"] = window.proxy.running / seconds * 100
            if events:
                self._figures["cpu_per_event"] = window.proxy.running * 1e6 / events
            if answered:
                self._figures["cpu_per_request"] = window.proxy.running * 1e6 / answered
            if window.proxy.waiting > _CONTENDED * window.proxy.running:
                self._notes.append("waited for its core more than 10 % of the time it ran")
        if window.load.running > _LOAD_AT_LIMIT * seconds * len(self._bench.cores.load):
            self._notes.append("the load was at its own limit")


def _routes(count: int) -> list[str]:
    return [f"/api-{number:05d}" for number in range(count)]


def _serves(port: int, route: str) -> bool:
    """Whether a short stream comes through: its one event, since a shared one goes on."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", f"{route}/events?stream=0&size=96&rate=1000&events=1")
            answer = connection.getresponse()
            return answer.status == 200 and answer.read(96).endswith(b"\n\n")
        except (OSError, http.client.HTTPException):
            return False


def _lines(client: Process, most_seconds: float) -> Iterator[dict[str, Any]]:
    """The client's lines as they come; it is ended when it takes longer than that."""
    output = client.popen.stdout
    if output is None:
        return
    timer = threading.Timer(most_seconds, client.popen.kill)
    timer.start()
    try:
        for line in output:
            yield json.loads(line)
    finally:
        timer.cancel()
