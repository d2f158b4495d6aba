"""docs/recipes.md: each manifest, as the page has it but for its target, carries streams of a client that it is for."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clients.processes import given, mcp_server
from clients.test_clients import CLIENTS, MCP
from proxy.harness import Call, Client, Gateway, Origin
from sse_operator.local.workspace import Workspace

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recipes.md"
RECIPES: dict[str, str] = dict(
    re.findall(r"^## (.+?)\n.*?^```yaml\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
)
BROWSER, ABLY = "EventSource in browsers", "Ably"
OPENAI, ANTHROPIC = "LLMs in the manner of OpenAI", "LLMs in the manner of Anthropic"
TOOLS = "MCP with several endpoints"
BY_NAME = {client.name: client for client in CLIENTS}


class Kitchen:
    """Serves a recipe."""

    def __init__(self, gateway: Gateway, folder: Path) -> None:
        self._gateway = gateway
        self._file = folder / "recipe.yaml"

    def serve(self, recipe: str, **changes: str) -> str:
        """Serve a recipe, words in it changed, by the compiler of `sse-gateway run`; the gateway's URL."""
        text = RECIPES[recipe]
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        self._file.write_text(text)
        reading = Workspace([str(self._file)]).read(datetime.now(UTC))
        assert reading.faults == ()
        assert [(o.result.accepted.status, o.result.resolved_refs.status) for o in reading.outcomes] == [
            ("True", "True")
        ]
        self._gateway.proxy.load(reading.config)
        host, port = self._gateway.proxy.listen_address
        return f"http://{host}:{port}"


@pytest.fixture
def kitchen(gateway: Gateway, tmp_path: Path) -> Kitchen:
    return Kitchen(gateway, tmp_path)


def test_each_recipe_of_the_page_is_tried() -> None:
    assert set(RECIPES) == {BROWSER, ABLY, OPENAI, ANTHROPIC, TOOLS}
    assert PAGE.read_text().count("```yaml") == len(RECIPES)


async def test_event_source_in_browsers(kitchen: Kitchen, gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"id: 1\ndata: a\n\n")
        call.writer.close()

    command = BY_NAME["httpx-sse"].command()
    origin.answer = answer
    base = kitchen.serve(BROWSER, **{"https://news.example.com": origin.url("")})
    (got,) = await given(command, [base], {"broken off": "/news"})
    status, first, told, end = got["broken off"]
    assert (status[1], first[1:4], told[1], end[0]) == (200, ["message", "a", "1"], "gateway-error", "error")
    assert json.loads(told[2])["reason"] == "UpstreamBroke"
    client = await gateway.connect()
    response = await client.get("/news", "Origin: https://app.example.com")
    assert response.get("Access-Control-Allow-Origin") == "https://app.example.com"


async def test_a_browser_is_told_and_resumes(kitchen: Kitchen, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        if call.get("Last-Event-ID") == "1":
            await call.event(b"event: done\ndata: b\n\n")
        else:
            await call.event(b"retry: 20\nid: 1\ndata: a\n\n")
        call.writer.close()

    command = BY_NAME["EventSource in Chromium"].command()
    origin.answer = answer
    # The driver's page has an origin of its own.
    base = kitchen.serve(BROWSER, **{"https://news.example.com": origin.url(""), "https://app.example.com": "*"})
    (got,) = await given(command, [base], {"broken off": "/news"})
    opened, first, told, broken, again, last = got["broken off"]
    assert (opened, first, broken, again) == (["open"], ["event", "message", "a", "1"], ["error", 0], ["open"])
    assert last == ["event", "done", "b", "1"]
    assert (told[1], told[3], json.loads(told[2])["reason"]) == ("gateway-error", "1", "UpstreamBroke")


async def test_ably(kitchen: Kitchen, gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.send(b"0\r\n\r\n")

    origin.answer = answer
    kitchen.serve(ABLY, **{"https://rest.ably.io": origin.url("")})
    client = await gateway.connect()
    response = await client.get("/sseconsumer", "Authorization: Basic a2V5OnNlY3JldA==", "Last-Event-ID: 108@1")
    assert (response.status, await client.chunk()) == (200, b"")
    call = await origin.call()
    assert call.line == "GET /sse?channel=ssechannel&v=1.1 HTTP/1.1"
    assert (call.get("Authorization"), call.get("Last-Event-ID")) == ("Basic a2V5OnNlY3JldA==", "108@1")


LLM_CASES = {"whole": "whole", "broken off": "broken off"}


@pytest.mark.parametrize(
    ("recipe", "target", "client", "shown"),
    [
        (OPENAI, "https://api.openai.com", "openai (Python)", ("Authorization", "Bearer change-me-sk-openai")),
        (ANTHROPIC, "https://api.anthropic.com", "anthropic (Python)", ("X-API-Key", "change-me-sk-ant")),
    ],
)
async def test_llms(
    kitchen: Kitchen,
    gateway: Gateway,
    origin: Origin,
    recipe: str,
    target: str,
    client: str,
    shown: tuple[str, str],
) -> None:
    command = BY_NAME[client].command()
    base = kitchen.serve(recipe, **{target: origin.url("/base"), "change-me-2f81d5b0c7": "key"})
    path = "/openai" if recipe == OPENAI else "/anthropic"
    (got,) = await given(command, [base + path], LLM_CASES)
    assert got["whole"][-1][0] == "end"
    assert got["broken off"][-1][0] == "error"
    field, value = shown
    assert [(await origin.call()).all(field) for _ in LLM_CASES] == [[value]] * 2
    assert {line.get("consumer") for line in gateway.log} == {"chat-app"}
    refused = await stranger(gateway, path)
    assert refused == "CredentialMissing"


async def stranger(gateway: Gateway, path: str) -> str:
    """Why somebody without a key is not let in."""
    client: Client = await gateway.connect()
    problem = await client.problem(await client.request("POST", path, "Content-Length: 0"))
    return str(problem["reason"])


async def test_mcp_sessions_stay_at_the_one_of_two_endpoints_that_made_them(kitchen: Kitchen) -> None:
    command = MCP.command()
    async with mcp_server(command[0]) as (one, told_one), mcp_server(command[0]) as (other, told_other):
        changes = {
            "http://mcp-0.mcp.tools.svc:8000": f"http://127.0.0.1:{one}/base",
            "http://mcp-1.mcp.tools.svc:8000": f"http://127.0.0.1:{other}/base",
        }
        base = kitchen.serve(TOOLS, **changes)
        sessions = {"one": "legacy", "other": "legacy"}
        (got,) = await given(command, [base + "/tools"], sessions)
        assert [got[session][-1] for session in sessions] == [["end"], ["end"]]
        asked = told_one(), told_other()
    for told in asked:
        assert {method for method, _ in told} == {"POST", "GET", "DELETE"}
