"""Passwords against bcrypt hashes, which takes long by design: in a few threads, and never for more than can wait."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import bcrypt

THREADS = 2
"""bcrypt lets other threads run meanwhile; more than these would take the event loop's core."""

MOST_WAITING = 64
"""Checks under way or waiting. At a cost of 10 each takes about 50 ms."""

LONGEST = 72
"""bcrypt takes no more bytes of a password; htpasswd and the servers that read its files leave the rest out."""


class PasswordsBusyError(Exception):
    """So many passwords wait to be checked that one more would wait too long."""


class Passwords:
    """Checks passwords for all plans of a process."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords")
        self._under_way: dict[bytes, asyncio.Future[bool]] = {}

    async def match(self, credential: bytes, password: bytes, password_hash: bytes) -> bool:
        """Whether the password is the hash's. Whoever asks for the same `credential` meanwhile shares the answer.
        Raises PasswordsBusyError."""
        check = self._under_way.get(credential)
        if check is None:
            if len(self._under_way) >= MOST_WAITING:
                raise PasswordsBusyError
            loop = asyncio.get_running_loop()
            check = loop.run_in_executor(self._threads, bcrypt.checkpw, password[:LONGEST], password_hash)
            self._under_way[credential] = check
            check.add_done_callback(lambda _: self._under_way.pop(credential, None))
        # One who goes away must not take the answer from the others.
        return await asyncio.shield(check)

    def close(self) -> None:
        """Check no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
