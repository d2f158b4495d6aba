"""Drivers of clients, and servers of theirs, as processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import sse_clients

PATIENCE = 90.0
"""Seconds for one client's cases."""

Command = list[str | Path]


async def given(command: Command, bases: list[str], cases: dict[str, str]) -> list[dict[str, list[Any]]]:
    """What a driver was given below each base, by case."""
    arguments = [*bases, "--", *(word for case in cases.items() for word in case)]
    driver = await asyncio.create_subprocess_exec(
        *map(str, command), *arguments, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    try:
        async with asyncio.timeout(PATIENCE):
            printed, _ = await driver.communicate()
    finally:
        _end(driver)
    assert driver.returncode == 0
    found: list[dict[str, list[Any]]] = [{} for _ in bases]
    for line in map(json.loads, printed.splitlines()):
        found[line["base"]][line["case"]] = line["got"]
    assert [list(answers) for answers in found] == [list(cases)] * len(bases)
    return found


@contextlib.asynccontextmanager
async def mcp_server(python: str | Path) -> AsyncIterator[tuple[int, Callable[[], list[tuple[str, list[str]]]]]]:
    """An MCP server's port, and what it was asked since the last time that one asked: methods, with the names of the
    headers that sessions and the protocol need."""
    server = await asyncio.create_subprocess_exec(
        python, sse_clients.DRIVERS / "python/mcp_server.py", stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert server.stdout is not None
    lines: list[bytes] = []

    async def read(stdout: asyncio.StreamReader) -> None:
        while line := await stdout.readline():
            lines.append(line)

    def told() -> list[tuple[str, list[str]]]:
        found = [(method, sorted(headers)) for method, headers in map(json.loads, lines)]
        lines.clear()
        return found

    try:
        async with asyncio.timeout(PATIENCE):
            port = int(await server.stdout.readline())
        reading = asyncio.create_task(read(server.stdout))
        yield port, told
        reading.cancel()
    finally:
        _end(server)
        await server.wait()


def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
