"""Counts the requests that kopf makes: its lists and watches, and how often a watch was begun anew."""

from __future__ import annotations

from types import SimpleNamespace

import aiohttp
from yarl import URL

from sse_operator.cluster.metrics import Metrics


def watch_requests(metrics: Metrics) -> aiohttp.TraceConfig:
    """What counts every request of the client session that it is given to."""
    begun: set[str] = set()

    async def ended(
        session: aiohttp.ClientSession, context: SimpleNamespace, parameters: aiohttp.TraceRequestEndParams
    ) -> None:
        url = parameters.url
        metrics.count_request(_verb(url), parameters.response.status)
        if "watch" in url.query:
            if url.path in begun:
                metrics.watch_restarts.labels(url.name).inc()
            begun.add(url.path)

    async def failed(
        session: aiohttp.ClientSession, context: SimpleNamespace, parameters: aiohttp.TraceRequestExceptionParams
    ) -> None:
        metrics.count_request(_verb(parameters.url), None)

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(ended)
    trace.on_request_exception.append(failed)
    return trace


def _verb(url: URL) -> str:
    return "watch" if "watch" in url.query else "list"
