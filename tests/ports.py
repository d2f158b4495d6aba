"""Ports for servers that have to be told one before they start."""

import contextlib
import random
import socket

RANGE = (20_000, 32_000)
"""Below those that Linux hands out by itself, so that a port that is free stays free until its server has it."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    chance = random.SystemRandom()  # a test's seed must not give two servers the same
    while True:
        port = chance.randrange(*RANGE)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
