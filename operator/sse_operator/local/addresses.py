"""Addresses to listen on: as people write them, and what to tell them when they cannot be had."""

from __future__ import annotations

import argparse
import errno
import os
from typing import NamedTuple


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


ANY_PORT = Address("127.0.0.1", 0)
"""Loopback, with a port that the system chooses."""


def address_of(text: str) -> Address:
    """`host:port`, `[ipv6]:port`, `:port` (all interfaces) or `port` (loopback), as a flag has it."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not port.isascii() or not port.isdecimal() or int(port) > 65535 or (":" in host and not text.startswith("[")):
        raise argparse.ArgumentTypeError(f"{text} is no address: write host:port, such as 127.0.0.1:8080")
    return Address(host or ("0.0.0.0" if colon else "127.0.0.1"), int(port))


def listen_problem(address: Address, error: OSError) -> str:
    """One line about why nothing can listen at `address`, and what to do."""
    match error.errno:
        case errno.EADDRINUSE:
            return f"{address} is in use by another program: end it, or choose another address"
        case errno.EACCES:
            return f"{address} is not allowed for this user: choose a port from 1024 on"
        case errno.EADDRNOTAVAIL:
            return f"{address} is no address of this machine: choose another, such as 127.0.0.1:{address.port}"
        case _:
            return f"cannot listen on {address}: {os.strerror(error.errno) if error.errno else error}"
