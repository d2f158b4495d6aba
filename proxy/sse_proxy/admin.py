"""The admin port: never the data port, and never more than a few small requests.

`/livez`, `/readyz` and `/metrics` are open to whom the network lets in. `/config` and `/streams` tell what is behind
the gateway, so they ask for the bearer token where one is set.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from sse_proxy import metrics


@dataclass(frozen=True, slots=True)
class AdminViews:
    """What the port shows. Each is asked when a request comes."""

    not_ready: Callable[[], str | None]
    """Why no requests should be sent here; None when they should."""
    metrics: Callable[[], bytes]
    config: Callable[[], dict[str, object]]
    streams: Callable[[], list[dict[str, object]]]


def handler(views: AdminViews, token: str | None) -> web.Server:
    """The port's HTTP server. `token`: for the views that are not for everybody; None leaves them open."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return _text(405, "only GET", {"Allow": "GET, HEAD"})
        match request.path:
            case "/livez":
                return _text(200, "ok")
            case "/readyz":
                reason = views.not_ready()
                return _text(200, "ok") if reason is None else _text(503, reason)
            case "/metrics":
                return web.Response(body=views.metrics(), headers={"Content-Type": metrics.CONTENT_TYPE})
            case "/config" | "/streams" as path:
                if token is not None and not _carries(request, token):
                    return _text(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})
                shown = views.config() if path == "/config" else views.streams()
                return web.Response(text=json.dumps(shown), content_type="application/json")
            case _:
                return _text(404, "paths: /livez /readyz /metrics /config /streams")

    return web.Server(handle, access_log=None)


def _carries(request: web.BaseRequest, token: str) -> bool:
    given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
    return hmac.compare_digest(given, b"Bearer " + token.encode())


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=text + "\n", headers=headers)
