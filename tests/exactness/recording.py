"""An origin that records every byte, and answers each request that has exactly one reading."""

from __future__ import annotations

import asyncio

from exactness import canonical

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


class RecordingOrigin:
    """Answers canonical requests with 200 `ok`; closes a connection on which anything else came, and keeps the bytes
    for the test to judge."""

    def __init__(self) -> None:
        self.connections: list[bytearray] = []
        """Every byte of each connection, in the order they were opened."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def requests(self) -> tuple[list[canonical.Message], bool]:
        """All complete requests so far, and whether an incomplete one is left on some connection.

        Raises NotCanonicalError."""
        found: list[canonical.Message] = []
        left = False
        for data in self.connections:
            complete, rest = _complete(bytes(data))
            found += complete
            left = left or bool(rest)
        return found, left

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        recorded = bytearray()
        self.connections.append(recorded)
        answered = 0
        try:
            while part := await reader.read(65536):
                recorded += part
                found, _ = _complete(bytes(recorded))
                for request in found[answered:]:
                    writer.write(ANSWER if request.start[0] == b"HEAD" else ANSWER + b"ok")  # type: ignore[index]
                answered = len(found)
        except (ConnectionError, canonical.NotCanonicalError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()


def _complete(data: bytes) -> tuple[list[canonical.Message], bytes]:
    """The complete requests at the start of `data`, and what is left behind them."""
    found: list[canonical.Message] = []
    while data:
        try:
            message, data = canonical.request(data)
        except canonical.IncompleteError:
            break
        found.append(message)
    return found, data
