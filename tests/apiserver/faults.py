"""What can go wrong between the operator and the API server, on purpose: an HTTP proxy with faults.

It runs on a thread of its own, speaks plain HTTP to the operator and TLS to the API server, passes the operator's token
on, and keeps a record of every request. A fault is decided for each request by `decide`; watches that run can be cut
or muted (the connection stays up and brings nothing any more, as behind a firewall that forgot it).
"""

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml
from aiohttp import web

from apiserver.control_plane import ControlPlane

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "te", "trailer", "upgrade"}
WRITES = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Request:
    """A request of the operator."""

    method: str
    path: str
    query: dict[str, str]
    at: float

    @property
    def watch(self) -> bool:
        return "watch" in self.query

    @property
    def write(self) -> bool:
        """Whether it changes something: a lease and an Event are nobody's state."""
        return self.method in WRITES and "/leases" not in self.path and not self.path.endswith("/events")


@dataclass(frozen=True)
class Answer:
    """The fault: this answer instead of the API server's."""

    status: int
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    """JSON; default: a Kubernetes Status."""


@dataclass(frozen=True)
class Reset:
    """The fault: the connection breaks, before the request reaches the API server or after."""

    after: bool = False


@dataclass(frozen=True)
class Slow:
    """The fault: so many seconds before it is passed on."""

    seconds: float


Fault = Answer | Reset | Slow | None


class FaultProxy:
    """A context manager. `decide` and `wrote` are called on the proxy's thread."""

    def __init__(self, control_plane: ControlPlane, kubeconfig: Path, folder: Path) -> None:
        self.requests: list[Request] = []
        self.decide: Callable[[Request], Fault] = lambda _: None
        self.wrote: Callable[[int], None] = lambda _: None
        """Called with the number of writes so far, when the API server has done one and before the operator knows."""
        self.writes = 0
        self.kubeconfig = folder / "through-faults.kubeconfig"
        self._control_plane = control_plane
        self._original = kubeconfig
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._watches: dict[asyncio.Task[Any], asyncio.Event] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def clear(self) -> None:
        """No faults any more, and a new record."""
        self.decide = lambda _: None
        self.wrote = lambda _: None
        self.requests = []
        self.writes = 0

    def cut_watches(self) -> None:
        """Break every watch that runs."""
        self._on_loop(lambda: [task.cancel() for task in self._watches])

    def mute_watches(self) -> None:
        """Have every watch that runs bring nothing any more."""
        self._on_loop(lambda: [muted.set() for muted in self._watches.values()])

    def written(self, since: float = 0.0) -> list[str]:
        """The writes since a moment of `time.monotonic`."""
        return [f"{each.method} {each.path}" for each in self.requests if each.write and each.at >= since]

    def _on_loop(self, act: Callable[[], object]) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (act(), done.set()))
        done.wait(10)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:  # cancels what still runs, and awaits it
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        document = yaml.safe_load(self._original.read_text())
        authority = ssl.create_default_context(cafile=str(self._control_plane.folder / "ca.crt"))
        connector = aiohttp.TCPConnector(ssl=authority, limit=0)
        self._client = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None)
        )
        runner = web.ServerRunner(
            web.Server(self._handle, access_log=None, handler_cancellation=True), shutdown_timeout=0.1
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        document["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{port}"}
        self.kubeconfig.write_text(yaml.safe_dump(document))
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._client.close()
        async with asyncio.timeout(10):  # TLS takes a moment to say goodbye
            while len(self._loop._selector.get_map()) > 1:  # type: ignore[attr-defined] # noqa: ASYNC110 # its own pipe
                await asyncio.sleep(0.01)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        seen = Request(request.method, request.path, dict(request.query), time.monotonic())
        self.requests.append(seen)
        fault = self.decide(seen)
        if isinstance(fault, Slow):
            await asyncio.sleep(fault.seconds)
        if isinstance(fault, Answer):
            return _answer(fault)
        if isinstance(fault, Reset) and not fault.after:
            return _broken(request)
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        try:
            async with self._client.request(
                request.method, f"{self._control_plane.url}{request.raw_path}", data=body or None, headers=headers
            ) as answer:
                if seen.watch:
                    return await self._stream(request, answer)
                content = await answer.read()
        except aiohttp.ClientError:
            return _broken(request)
        if seen.write:
            self.writes += 1
            self.wrote(self.writes)
        if isinstance(fault, Reset):
            return _broken(request)
        return web.Response(status=answer.status, body=content, headers=_end_to_end(answer))

    async def _stream(self, request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=_end_to_end(answer))
        task, muted = asyncio.current_task(), asyncio.Event()
        assert task
        self._watches[task] = muted
        try:
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                if muted.is_set():
                    await asyncio.Event().wait()
                await response.write(chunk)
        except (aiohttp.ClientError, ConnectionError):
            pass
        finally:
            del self._watches[task]
        return response


def _end_to_end(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}


def _answer(fault: Answer) -> web.Response:
    status = {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "code": fault.status,
        "reason": fault.reason,
        "message": "a fault that a test injects",
    }
    text = json.dumps(status if fault.body is None else fault.body) + "\n"
    return web.Response(status=fault.status, text=text, content_type="application/json", headers=fault.headers)


def _broken(request: web.BaseRequest) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response(status=500)
