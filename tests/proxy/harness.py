"""Real peers for the proxy on loopback: an origin that sends exactly the bytes it is told to, and raw clients."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sse_proxy.config import Api, ApiSecrets, Endpoint, GatewayConfig, Settings, TargetGuard, Timeouts, Upstream
from sse_proxy.proxy import Proxy, ProxyOptions

PATIENCE = 15.0
"""Seconds after which a test that waits has failed."""


@dataclass
class Call:
    """One request as the origin got it, and the connection to answer on."""

    line: str
    fields: list[tuple[str, str]]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    connection: int
    left: asyncio.Event
    """Set when the connection is over."""

    def get(self, name: str) -> str | None:
        found = self.all(name)
        return found[0] if found else None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def stream_head(self, *extra: bytes) -> None:
        lines = [b"HTTP/1.1 200 OK", b"Content-Type: text/event-stream", b"Transfer-Encoding: chunked", *extra]
        await self.send(b"\r\n".join(lines) + b"\r\n\r\n")

    async def event(self, data: bytes) -> None:
        await self.send(chunk(data))

    async def has_left(self) -> None:
        """Until the connection is over: for tests."""
        await asyncio.wait_for(self.left.wait(), PATIENCE)

    async def gone(self) -> None:
        """Until the proxy has closed this connection: for answers."""
        async with asyncio.timeout(PATIENCE):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                pass

    def reset(self) -> None:
        """Close by a reset, unless the connection has gone already."""
        if (sock := self.writer.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


Answer = Callable[[Call], Awaitable[None]]


class Origin:
    """An HTTP server that leaves everything to `answer`. When it returns, the next request is read."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[Call] = asyncio.Queue()
        self.connections = 0
        self.answer: Answer | bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, **tls: Any) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20, backlog=2048, **tls)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self.server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def url(self, path: str = "/sse", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def call(self) -> Call:
        return await asyncio.wait_for(self.calls.get(), PATIENCE)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        number = self.connections
        left = asyncio.Event()
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *lines = head[:-4].split("\r\n")
                fields = [(name, value.strip()) for name, _, value in (field.partition(":") for field in lines)]
                call = Call(line, fields, reader, writer, number, left)
                self.calls.put_nowait(call)
                if isinstance(self.answer, bytes):
                    await call.send(self.answer)
                    if b"\r\nConnection: close" in self.answer:
                        return
                else:
                    await self.answer(call)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            left.set()
            self._tasks.discard(task)
            writer.close()


@dataclass
class Response:
    """A response as a raw client read it."""

    status: int
    fields: list[tuple[str, str]]
    head: bytes

    def get(self, name: str) -> str | None:
        found = self.all(name)
        return found[0] if found else None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]


class Client:
    """One raw connection to the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def get(self, target: str, *lines: str, host: str = "gw.example") -> Response:
        return await self.request("GET", target, *lines, host=host)

    async def request(
        self, method: str, target: str, *lines: str, host: str = "gw.example", body: bytes = b""
    ) -> Response:
        head = "\r\n".join((f"{method} {target} HTTP/1.1", f"Host: {host}", *lines)) + "\r\n\r\n"
        await self.send(head.encode("latin-1") + body)
        return await self.head()

    async def head(self) -> Response:
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
        line, *lines = head[:-4].decode("latin-1").split("\r\n")
        fields = [(name, value.strip()) for name, _, value in (field.partition(":") for field in lines)]
        return Response(int(line.split(" ")[1]), fields, head)

    async def exactly(self, size: int) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readexactly(size)

    async def chunk(self) -> bytes:
        """One chunk's data; empty is the last."""
        async with asyncio.timeout(PATIENCE):
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            return (await self.reader.readexactly(size + 2))[:-2]

    async def chunked_body(self) -> bytes:
        body = b""
        while data := await self.chunk():
            body += data
        return body

    async def length_body(self, response: Response) -> bytes:
        return await self.exactly(int(response.get("Content-Length") or 0))

    async def problem(self, response: Response) -> dict[str, Any]:
        assert response.get("Content-Type") == "application/problem+json"
        problem: dict[str, Any] = json.loads(await self.length_body(response))
        assert problem["status"] == response.status
        return problem

    async def rest(self) -> tuple[bytes, str]:
        """Everything until the end of the connection, and how it ended: `fin` or `reset`."""
        data = b""
        async with asyncio.timeout(PATIENCE):
            try:
                while part := await self.reader.read(65536):
                    data += part
            except ConnectionResetError:
                # asyncio's reader tells of the reset before it gives what came before it.
                return data + bytes(self.reader._buffer), "reset"  # type: ignore[attr-defined]
        return data, "fin"

    async def close(self) -> None:
        self.writer.close()


@dataclass
class Gateway:
    """A proxy under test."""

    proxy: Proxy
    log: list[dict[str, Any]] = field(default_factory=list)
    revision: int = 0
    clients: list[Client] = field(default_factory=list)

    def load(self, *apis: Api, targets: TargetGuard | None = None, secrets: Sequence[ApiSecrets] = ()) -> None:
        self.revision += 1
        settings = Settings(namespace="default", name="default", targets=targets or TargetGuard())
        by_digest = {each.digest: each for each in secrets}
        self.proxy.load(GatewayConfig(settings=settings, revision=self.revision, apis=apis, secrets=by_digest))

    async def connect(self, **options: Any) -> Client:
        return await self._connected(self.proxy.listen_address, **options)

    async def connect_tls(self, context: ssl.SSLContext, server_name: str | None, **options: Any) -> Client:
        assert self.proxy.tls_address is not None
        # What is no host name is not asked for.
        name = {"server_hostname": server_name or ""}
        return await self._connected(self.proxy.tls_address, ssl=context, **name, **options)

    async def _connected(self, address: tuple[str, int], **options: Any) -> Client:
        client = Client(*await asyncio.open_connection(*address, limit=1 << 22, **options))
        self.clients.append(client)
        return client

    async def admin(self, path: str, *lines: str) -> tuple[int, str]:
        assert self.proxy.admin_address is not None
        client = Client(*await asyncio.open_connection(*self.proxy.admin_address, limit=1 << 22))
        response = await client.get(path, "Connection: close", *lines)
        body, _ = await client.rest()
        await client.close()
        return response.status, body.decode()

    async def metric(self, name: str, **labels: str) -> float:
        _, text = await self.admin("/metrics")
        wanted = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
        for line in text.splitlines():
            if line.startswith(f"{name}{{{wanted}}} " if wanted else f"{name} "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    async def logged_line(self, event: str, **members: Any) -> dict[str, Any]:
        """The first log line of `event` with these members, now or soon."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for line in self.log:
                    if line["event"] == event and all(line.get(key) == value for key, value in members.items()):
                        return line
                await asyncio.sleep(0.01)

    async def closed(self) -> str:
        """The reason in the log of the first stream that closed."""
        return str((await self.logged_line("stream_close"))["reason"])


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Until `holds` does; for what no event tells."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.02)


def api(
    url: str,
    *,
    name: str = "api",
    path: str = "/sse",
    keep_alive: bool = True,
    timeouts: dict[str, float | None] | None = None,
    **members: Any,
) -> Api:
    """A config entry with one endpoint."""
    return Api(
        namespace="default",
        name=name,
        context_path=path,
        endpoints=members.pop("endpoints", (Endpoint(name="main", url=url),)),
        timeouts=Timeouts(**(timeouts or {})),
        upstream=Upstream(keep_alive=keep_alive),
        **members,
    )


async def start(options: ProxyOptions | None = None, **changes: Any) -> Gateway:
    """A proxy that listens on free ports and keeps its log."""
    log: list[dict[str, Any]] = []
    options = options or ProxyOptions(
        listen=("127.0.0.1", 0),
        listen_tls=("127.0.0.1", 0),
        admin=("127.0.0.1", 0),
        access_log=lambda line: log.append(json.loads(line)),
        **changes,
    )
    proxy = Proxy(options)
    await proxy.start()
    return Gateway(proxy, log)
