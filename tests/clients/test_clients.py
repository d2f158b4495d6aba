"""Real clients are given the same directly and through the gateway."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import sse_clients
from clients.compatibility import Compatibility
from clients.processes import Command, given, mcp_server
from proxy.harness import Gateway, Origin, api

EVENTS = {
    "every rule of the format": "/events/every",
    "the same, byte by byte": "/events/byte-by-byte",
    "a body with a length": "/events/length",
    "a body that ends with the connection": "/events/until-close",
    "ended before the last event": "/events/ended",
    "broken off within an event": "/events/broken-off",
    "a redirect": "/events/redirected",
    "204": "/events/204",
    "401": "/events/401",
    "500": "/events/500",
    "text/html": "/events/html",
}
ANSWERS = {
    name: name
    for name in (
        "whole",
        "whole, with heartbeats",
        "without its last event",
        "broken off",
        "an error within",
        "401 Unauthorized",
        "429 Too Many Requests",
        "500 Internal Server Error",
        "529 Overloaded",
    )
}
"""What LLMs answer: the name of a model says which."""
VERSIONS = {"a session by handshake": "legacy", "without a session": "2026-07-28"}


@dataclass(frozen=True)
class Client:
    """A client and its driver."""

    name: str
    pin: tuple[str, str] | None
    """The file below the drivers and the words in it that its version follows."""
    command: Callable[[], Command]
    cases: dict[str, str]

    @property
    def version(self) -> str:
        """Its major and minor version, where it is pinned."""
        if self.pin is None:
            return ""
        file, words = self.pin
        found = re.search(re.escape(words) + r"[^\d\n]*\s*[^\d\n]*(\d+\.\d+)", (sse_clients.DRIVERS / file).read_text())
        assert found, self.pin
        return found[1]


def _python(script: str) -> Callable[[], Command]:
    return lambda: [_built("python") / "venv/bin/python", sse_clients.DRIVERS / "python" / script]


def _node(script: str) -> Callable[[], Command]:
    return lambda: ["node", _built("node") / script]


def _built(kind: str) -> Path:
    try:
        return sse_clients.build(kind)
    except sse_clients.ToolMissingError as error:
        pytest.skip(str(error))


def _program(name: str, driver: str) -> Callable[[], Command]:
    """A driver that is run with the tests' Python and is given the path of a program."""

    def command() -> Command:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not in PATH: install it to test it as a client")
        return [sys.executable, sse_clients.DRIVERS / driver, found]

    return command


PIP, NPM = "python/requirements.txt", "node/package.json"
CLIENTS = [
    Client("curl", None, _program("curl", "curl/curl.py"), EVENTS),
    Client("aiohttp", (PIP, "aiohttp=="), _python("aiohttp_bytes.py"), EVENTS),
    Client("httpx-sse", (PIP, "httpx-sse=="), _python("httpx_sse_events.py"), EVENTS),
    Client("openai (Python)", (PIP, "openai=="), _python("openai_completions.py"), ANSWERS),
    Client("anthropic (Python)", (PIP, "anthropic=="), _python("anthropic_messages.py"), ANSWERS),
    Client("eventsource (npm)", (NPM, '"eventsource"'), _node("eventsource.js"), EVENTS),
    Client("eventsource-client (npm)", (NPM, '"eventsource-client"'), _node("eventsource-client.js"), EVENTS),
    Client("@microsoft/fetch-event-source", (NPM, 'fetch-event-source"'), _node("fetch-event-source.js"), EVENTS),
    Client("r3labs/sse (Go)", ("go/go.mod", "r3labs/sse/v2"), lambda: [_built("go") / "events", "r3labs"], EVENTS),
    Client("tmaxmax/go-sse", ("go/go.mod", "tmaxmax/go-sse"), lambda: [_built("go") / "events", "tmaxmax"], EVENTS),
    Client(
        "okhttp-sse (Java)",
        ("java/pom.xml", "<artifactId>okhttp-sse"),
        lambda: ["java", "-cp", f"{_built('java')}/classes:{_built('java')}/jars/*", "OkHttpSse"],
        EVENTS,
    ),
    Client("EventSource in Chromium", None, _program("chromium", "browser/chromium.py"), EVENTS),
]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
async def test_client(client: Client, origin: Origin, gateway: Gateway, compatibility: Compatibility) -> None:
    command = client.command()
    gateway.load(api(origin.url("/base")))
    host, port = gateway.proxy.listen_address
    direct, through = await given(command, [origin.url("/base"), f"http://{host}:{port}/sse"], client.cases)
    for case in client.cases:
        assert through[case] == direct[case], case
    compatibility.found(client.name, client.version, direct, through)


MCP = Client("mcp (Python)", (PIP, "mcp=="), _python("mcp_session.py"), VERSIONS)


async def test_mcp(gateway: Gateway, compatibility: Compatibility) -> None:
    """A session with POST, GET and DELETE, and the newer protocol without one. The server is told the same."""
    command = MCP.command()
    async with mcp_server(command[0]) as (port, told):
        gateway.load(api(f"http://127.0.0.1:{port}/base"))
        host, gateway_port = gateway.proxy.listen_address
        bases = [f"http://127.0.0.1:{port}/base", f"http://{host}:{gateway_port}/sse"]
        direct = (await given(command, bases[:1], VERSIONS))[0]
        asked_directly = told()
        through = (await given(command, bases[1:], VERSIONS))[0]
        asked_through = told()
    assert through == direct
    assert sorted(asked_through) == sorted(asked_directly)
    assert {method for method, _ in asked_through} == {"POST", "GET", "DELETE"}
    compatibility.found(MCP.name, MCP.version, direct, through)


def test_corpora_in_the_page(compatibility: Compatibility) -> None:
    compatibility.holds(compatibility.corpora())
