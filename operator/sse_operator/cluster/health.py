"""The operator's own port: `/livez`, `/readyz`, `/metrics`. It shows nothing of any object."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from aiohttp import web

from sse_operator.cluster.errors import OperatorError
from sse_operator.cluster.metrics import CONTENT_TYPE


@dataclass(frozen=True, slots=True)
class HealthViews:
    """What the port shows. Each is asked when a request comes; None says that all is well."""

    not_alive: Callable[[], str | None]
    """Why the process has to be started anew."""
    not_ready: Callable[[], str | None]
    """Why it could not take over the lead."""
    metrics: Callable[[], bytes]


@contextlib.asynccontextmanager
async def serve(address: str, views: HealthViews) -> AsyncIterator[None]:
    """Answer at `host:port` while the context is open. Raises OperatorError where that address cannot be had."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, text="only GET\n", headers={"Allow": "GET, HEAD"})
        match request.path:
            case "/livez":
                return _verdict(views.not_alive())
            case "/readyz":
                return _verdict(views.not_ready())
            case "/metrics":
                return web.Response(body=views.metrics(), headers={"Content-Type": CONTENT_TYPE})
            case _:
                return web.Response(status=404, text="paths: /livez /readyz /metrics\n")

    host, _, port = address.rpartition(":")
    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host.strip("[]"), int(port)).start()
        except (OSError, ValueError) as error:
            raise OperatorError(f"--health-address {address}: {error}") from error
        yield
    finally:
        await runner.cleanup()


def _verdict(reason: str | None) -> web.Response:
    return web.Response(text="ok\n") if reason is None else web.Response(status=503, text=f"{reason}\n")
