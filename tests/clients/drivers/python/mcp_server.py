"""An MCP server on a free port, which it prints. Each request's method and headers that matter are printed, too."""

from __future__ import annotations

import json
import socket
import sys
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("counter")


@server.tool()
async def count(to: int, ctx: Context) -> dict[str, int]:
    """Count, and tell of each step."""
    for step in range(1, to + 1):
        await ctx.report_progress(step, to, f"step {step}")
    return {"counted": to}


@server.tool()
async def announce(ctx: Context) -> str:
    """Say on the session's own stream that there are other tools."""
    await ctx.session.send_tool_list_changed()
    return "announced"


application = server.streamable_http_app(streamable_http_path="/base/mcp")


async def told(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The application, and a line for each request."""
    if scope["type"] == "http":
        names = ("mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name")
        sent = {name.decode(): value.decode() for name, value in scope["headers"]}
        print(json.dumps([scope["method"], {name: sent[name] for name in names if name in sent}]), flush=True)
    await application(scope, receive, send)


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(told, log_level="warning", lifespan="on", timeout_graceful_shutdown=1)).run([listener])
sys.exit()
