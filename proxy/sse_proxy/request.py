"""One request as its handler sees it: the head, and a body that is read as it comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, overload

from sse_proxy.errors import RequestBrokenError
from sse_proxy.request_framing import RequestHead

if TYPE_CHECKING:
    from sse_proxy.client_connection import ClientConnection

BODY_BUFFER = 64 * 1024
"""Bytes of a body that wait for their reader before the client is held back."""


class Request:
    """A request, and the connection to answer it on."""

    __slots__ = ("body", "connection", "head")

    def __init__(self, head: RequestHead, connection: ClientConnection) -> None:
        self.head = head
        self.connection = connection
        self.body = RequestBody(connection) if head.has_body else None
        """None for a request without one."""

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """Field names and values as they came."""
        return self.head.fields

    @property
    def complete(self) -> bool:
        """Whether all of it has come."""
        return self.body is None or self.body.complete

    @overload
    def get(self, name: bytes) -> bytes | None: ...

    @overload
    def get(self, name: bytes, default: bytes) -> bytes: ...

    def get(self, name: bytes, default: bytes | None = None) -> bytes | None:
        """The first value of a field; `name` in lower case."""
        return self.head.first.get(name, default)


class RequestBody:
    """A body between the connection, which feeds it, and its one reader."""

    __slots__ = ("_broken", "_connection", "_parts", "_size", "_waiter", "complete", "dropped")

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._parts: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._broken = False
        self.complete = False
        """Whether its end has come."""
        self.dropped = False
        """Whether nobody will read it: what still comes is forgotten."""

    def take(self) -> bytes:
        """What is there now."""
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        if self.full:
            self._connection.take()
        self._size = 0
        return data

    async def read(self) -> bytes:
        """The next bytes; none at the end. Raises RequestBrokenError where the body is not well-formed."""
        while not self._parts:
            if self._broken:
                raise RequestBrokenError
            if self.complete:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self.take()

    @property
    def full(self) -> bool:
        """Whether so much waits for the reader that the client is held back."""
        return self._size >= BODY_BUFFER

    def drop(self) -> None:
        """Nobody will read it any more."""
        self.dropped = True
        self.take()

    # What the connection calls.

    def feed(self, data: bytes) -> None:
        """Bytes that came."""
        if self.dropped:
            return
        self._parts.append(data)
        was_full = self.full
        self._size += len(data)
        if self.full and not was_full:
            self._connection.hold()
        self._wake()

    def end(self) -> None:
        """It has come to its end."""
        self.complete = True
        self._wake()

    def break_off(self) -> None:
        """It will never come to its end."""
        self._broken = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
