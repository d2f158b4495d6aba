"""How much of one turn of the event loop new requests may take.

When a thousand clients come at once, their requests are all there in the same turn of the loop, and to begin them all
in it would have every stream wait for the last of them. So only some begin in a turn, and the others wait in the order
in which they came. In between, what has come for streams is passed on.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

AT_ONCE = 8
"""Requests that begin in one turn: what one of them costs until its answer is under way is known only afterwards."""

BUDGET = 0.002
"""Seconds of a turn after which no other one begins: what comes first may be a TLS handshake."""


class Turns:
    """Those of one listener. While nobody waits and less than `AT_ONCE` came in this turn, nobody has to."""

    __slots__ = ("_began_at", "_begun", "_following", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._begun = 0
        """How many began in this turn."""
        self._began_at = 0.0
        """When the first of them did."""
        self._following = False
        """Whether the loop will tell of the next turn."""

    def may_begin(self) -> bool:
        """Whether one more may begin now. It counts as begun then; who may not has to `wait`."""
        if self._waiting or self._is_full:
            return False
        self._begin()
        return True

    def wait(self, begin: Callable[[], None]) -> None:
        """Have `begin` called when it is its turn."""
        self._waiting.append(begin)
        self._follow()

    @property
    def _is_full(self) -> bool:
        return self._begun >= AT_ONCE or (self._begun > 0 and time.monotonic() >= self._began_at + BUDGET)

    def _begin(self) -> None:
        if not self._begun:
            self._began_at = time.monotonic()
        self._begun += 1
        self._follow()

    def _follow(self) -> None:
        if not self._following:
            self._following = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self._following = False
        self._begun = 0
        while self._waiting and not self._is_full:
            self._begin()
            self._waiting.popleft()()
