"""What the bench runs on: cores, a network of its own, limits on open files."""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import re
import resource
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_SIOCSIFFLAGS = 0x8914  # linux/sockios.h
_IFF_UP = 0x1
_OPEN_FILES = 65_536
_PRIORITY = -15


@dataclass(frozen=True)
class Cores:
    """Which cores the proxy under test has, and which everything else."""

    proxy: frozenset[int]
    load: frozenset[int]

    @classmethod
    def divide(cls) -> Cores:
        """One core for the proxy, the others for the load; on a machine of one core they share it."""
        *load, proxy = sorted(os.sched_getaffinity(0))
        return cls(frozenset({proxy}), frozenset(load or [proxy]))


def own_network() -> bool:
    """Move this process, and what it starts from now on, to a network that has a loopback interface and nothing else.

    It ends with the last process in it. Connection tracking, which the machine's own network may have, costs several
    µs a packet. False, and nothing has changed, without the right to do it.
    """
    library = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/self/ns/net").open() as machines:
        if library.unshare(_CLONE_NEWNET) != 0:
            return False
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
                fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))
        except OSError:  # CAP_SYS_ADMIN makes a network, CAP_NET_ADMIN sets it up
            library.setns(machines.fileno(), _CLONE_NEWNET)
            return False
    for setting, value in {"ipv4/ip_local_port_range": "2048 65000", "ipv4/tcp_max_syn_backlog": "8192"}.items():
        with suppress(OSError):
            Path("/proc/sys/net", setting).write_text(value)
    return True


def raise_priority() -> bool:
    """Run this process before others: a proxy that waits for its core reads more at a time, and seems cheaper.

    What it starts inherits that, unless it opens a session of its own: with Linux's autogroups the priority of one
    session's processes to another's is that of their groups (sched(7)); a kernel without them has no such file, or
    refuses what is written there. False where not all of it could be done.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    except OSError:
        return False
    try:
        Path("/proc/self/autogroup").write_text(str(_PRIORITY))
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def raise_open_files() -> int:
    """Allow as many open files as we may; how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, max(hard, _OPEN_FILES)))
        return _OPEN_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def most_streams(open_files: int) -> int:
    """How many streams a proxy can relay: two open files each, and some of its own."""
    return (open_files - 200) // 2


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def load_average() -> float:
    """Of the last minute."""
    return os.getloadavg()[0]


def description() -> str:
    """Processor, cores, memory and kernel, in one line."""
    cpu_info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.+)$", cpu_info, re.MULTILINE)
    mebibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    return (
        f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores, {mebibytes / 1024:.0f} GiB, "
        f"Linux {platform.release()}, Python {platform.python_version()}"
    )
