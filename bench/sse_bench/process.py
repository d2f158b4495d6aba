"""Processes that the bench starts, what they use, and their end."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from sse_bench.machine import raise_priority

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_STOP_SECONDS = 3.0


class BenchError(Exception):
    """Told to the user as one line."""


@dataclass(frozen=True)
class CpuTime:
    """Seconds that the threads of some processes have run, and have waited for the core while they could have run."""

    running: float
    waiting: float

    def __sub__(self, earlier: CpuTime) -> CpuTime:
        return CpuTime(self.running - earlier.running, self.waiting - earlier.waiting)


class Process:
    """A started program with all its descendants. Leaving the context ends them all."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cores: Collection[int],
        log: Path,
        environment: Mapping[str, str] | None = None,
        output: IO[bytes] | int = subprocess.DEVNULL,
    ) -> None:
        """Runs the command on these cores alone; its standard error goes to the file `log`.

        Raises BenchError when it cannot be started.
        """
        self._log = log
        self.name = Path(command[0]).name
        with log.open("wb") as error_output:
            try:
                self.popen = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=error_output,
                    env={**os.environ, **(environment or {})},
                    start_new_session=True,  # Ctrl-C reaches the bench alone, which then ends the others
                    preexec_fn=_prepare(cores),
                )
            except OSError as error:
                raise BenchError(f"{command[0]} cannot be started: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def pids(self) -> list[int]:
        """This process and its descendants that live."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                    children.setdefault(parent, []).append(int(entry.name))
        found = [self.popen.pid]
        for pid in found:
            found.extend(children.get(pid, ()))
        return found

    def cpu_time(self) -> CpuTime:
        """From the scheduler's own account of every thread, in ns (the ticks of /proc/PID/stat are 10 ms)."""
        running = waiting = 0
        for pid in self.pids():
            with suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    with suppress(OSError):
                        ran, waited, _ = (task / "schedstat").read_text().split()
                        running += int(ran)
                        waiting += int(waited)
        return CpuTime(running / 1e9, waiting / 1e9)

    def memory(self) -> int:
        """Bytes: the proportional set size of all these processes. Socket buffers are the kernel's and not in it."""
        total = 0
        for pid in self.pids():
            with suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
        return total

    def check(self) -> None:
        """Raises BenchError when the program has ended."""
        if (code := self.popen.poll()) is not None:
            lines = self._log.read_text(errors="replace").strip().splitlines()
            raise BenchError(f"{self.name} ended with {code}: {' / '.join(lines[-3:]) or 'it says nothing'}")

    def wait_until(self, true: Callable[[], bool], seconds: float, what: str) -> None:
        """Raises BenchError when that is not so in time, or the program ends."""
        deadline = time.monotonic() + seconds
        while not true():
            self.check()
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name}: {what} did not happen within {seconds:g} s")
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends the program and its descendants: first asked to, then made to."""
        pids = self.pids()
        if self.popen.poll() is None:
            self.popen.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.popen.wait(_STOP_SECONDS)
        for pid in reversed(pids):
            if pid != self.popen.pid or self.popen.poll() is None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.popen.wait()
        if self.popen.stdout is not None:
            self.popen.stdout.close()


def _prepare(cores: Collection[int]) -> Callable[[], None]:
    prctl = ctypes.CDLL(None).prctl
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    def prepare() -> None:
        os.sched_setaffinity(0, cores)
        raise_priority()
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return prepare
