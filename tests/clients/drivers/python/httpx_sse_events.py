"""httpx-sse, as an event source without reconnection."""

from __future__ import annotations

import httpx
import httpx_sse
from driver import Got, drive


async def ask(base: str, case: str, got: Got) -> None:
    async with (
        httpx.AsyncClient(follow_redirects=True) as client,
        httpx_sse.aconnect_sse(client, "GET", base + case) as source,
    ):
        got.append(["status", source.response.status_code, source.response.headers.get("www-authenticate")])
        async for event in source.aiter_sse():
            got.append(["event", event.event, event.data, event.id, event.retry])
        got.append(["end"])


drive(ask)
