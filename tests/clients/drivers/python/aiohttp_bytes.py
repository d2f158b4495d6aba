"""aiohttp's client: the bytes as they are."""

from __future__ import annotations

import aiohttp
from driver import Got, drive


async def ask(base: str, case: str, got: Got) -> None:
    async with aiohttp.ClientSession() as session, session.get(base + case) as response:
        got.append(["status", response.status, response.reason, response.content_type, response.content_length])
        body = b""
        try:
            async for part in response.content.iter_any():
                body += part
        finally:
            got.append(["body", body.decode("latin-1")])
        got.append(["end"])


drive(ask)
