"""The mcp package: one session over streamable HTTP. A case is how the protocol's version is agreed on."""

from __future__ import annotations

import asyncio

from driver import Got, drive
from mcp import Client


async def ask(base: str, case: str, got: Got) -> None:
    heard: asyncio.Queue[object] = asyncio.Queue()

    async def message(incoming: object) -> None:
        if (method := getattr(incoming, "method", None)) != "notifications/progress":
            heard.put_nowait(method)

    async def progress(done: float, total: float | None, text: str | None) -> None:
        got.append(["progress", done, total, text])

    async with Client(base + "/mcp", mode=case, message_handler=message) as client:
        got.append(["version", client.protocol_version])
        got.append(["tools", [tool.name for tool in (await client.list_tools()).tools]])
        result = await client.call_tool("count", {"to": 3}, progress_callback=progress)
        got.append(["result", result.structured_content])
        if case == "legacy":
            # What the server sends of its own accord comes on the session's GET stream.
            await client.call_tool("announce", {})
            got.append(["heard", await heard.get()])
    got.append(["end"])


drive(ask)
