"""The demo source speaks SSE as Ably does."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from sse_operator.local.demo_source import KEPT_MESSAGES, DemoSource

AUTH = {"Authorization": aiohttp.encode_basic_auth("demo", "demo")}


@pytest.fixture
async def source() -> AsyncIterator[DemoSource]:
    async with DemoSource(keep_alive=None) as running:
        yield running


@asynccontextmanager
async def subscribed(url: str, **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
    async with aiohttp.ClientSession(headers=AUTH) as session, session.get(url, headers=headers) as response:
        assert response.status == 200
        yield response


async def event(response: aiohttp.ClientResponse) -> list[str]:
    """The lines of the next event or comment."""
    async with asyncio.timeout(10):
        return (await response.content.readuntil(b"\n\n")).decode().splitlines()[:-1]


async def test_events_as_ably_has_them(source: DemoSource) -> None:
    async with subscribed(source.url("news")) as response:
        assert response.content_type == "text/event-stream"
        async with aiohttp.ClientSession(headers=AUTH) as session:
            url = f"http://{source.address}/channels/news/messages"
            async with session.post(url, json={"name": "greeting", "data": {"text": "héllo"}}) as published:
                assert published.status == 201
                assert await published.json() == {"channel": "news", "messageId": "1"}
            await session.post(url, data="plain text")
        first, second = await event(response), await event(response)
        assert first[:2] == ["id: 1", "event: message"]
        message = json.loads(first[2].removeprefix("data: "))
        assert message.pop("timestamp") > 1_700_000_000_000
        assert message == {"id": "1", "channel": "news", "name": "greeting", "data": {"text": "héllo"}}
        assert json.loads(second[2].removeprefix("data: "))["data"] == "plain text"


async def test_channels_do_not_mix(source: DemoSource) -> None:
    async with subscribed(source.url("a")) as response:
        source.publish("b", "not for a")
        source.publish("a", "for a")
        assert "for a" in (await event(response))[2]


@pytest.mark.parametrize(
    ("last_id", "resumed"), [("3", ["4", "5"]), ("5", ["6"]), ("99", ["1", "2", "3", "4", "5"]), ("x", ["1"])]
)
async def test_resume_by_header_and_by_query(source: DemoSource, last_id: str, resumed: list[str]) -> None:
    for number in range(5):
        source.publish("news", number)
    url = source.url("news")
    async with subscribed(url, **{"Last-Event-ID": last_id}) as one, subscribed(f"{url}&lastEventId={last_id}") as two:
        await source.subscribed("news", 2)
        source.publish("news", "live")
        for response in (one, two):
            assert [(await event(response))[0] for _ in resumed] == [f"id: {number}" for number in resumed]


async def test_without_a_last_id_only_what_is_new(source: DemoSource) -> None:
    source.publish("news", "old")
    async with subscribed(source.url("news")) as response:
        source.publish("news", "new")
        assert (await event(response))[0] == "id: 2"


async def test_keep_alive_comments_start_and_stop(source: DemoSource) -> None:
    async with subscribed(source.url("news")) as response:
        source.set_keep_alive(0.01)
        assert await event(response) == [":keepalive"]
        assert await event(response) == [":keepalive"]
        source.set_keep_alive(None)
        source.publish("news", "after")
        while (lines := await event(response)) == [":keepalive"]:
            pass
        assert lines[0] == "id: 1"


async def test_a_client_that_goes_is_noticed(source: DemoSource) -> None:
    async with subscribed(source.url("news")):
        await source.subscribed("news", 1)
    async with asyncio.timeout(10):
        await source.subscribed("news", 0)
    assert source.subscribers("news") == 0


async def test_a_slow_subscriber_is_cut_off_and_costs_no_memory(source: DemoSource) -> None:
    async with subscribed(source.url("news")) as response:
        await source.subscribed("news")
        data = "x" * 20_000
        for _ in range(3 * KEPT_MESSAGES):
            source.publish("news", data)
            await asyncio.sleep(0)
        async with asyncio.timeout(20):
            body = await response.read()
        assert body.count(b"id: ") < 3 * KEPT_MESSAGES
        await source.subscribed("news", 0)


async def test_401_names_the_scheme(source: DemoSource) -> None:
    for headers in ({}, {"Authorization": aiohttp.encode_basic_auth("demo", "wrong")}):
        async with aiohttp.ClientSession(headers=headers) as session:
            for method, path in (("GET", "/sse?channel=a"), ("POST", "/channels/a/messages")):
                async with session.request(method, f"http://{source.address}{path}") as response:
                    assert response.status == 401
                    assert response.headers["WWW-Authenticate"] == 'Basic realm="demo-source"'


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/sse", b"", 400),
        ("POST", "/channels/a/messages", b"{", 400),
        ("POST", "/channels/a/messages", b"[" * 60_000, 400),
        ("POST", "/channels/a/messages", b'{"name": "no data"}', 400),
        ("POST", "/channels/a/messages", b"x" * 70_000, 413),
        ("POST", "/sse?channel=a", b"", 405),
        ("GET", "/", b"", 404),
    ],
)
async def test_bad_requests(source: DemoSource, method: str, path: str, body: bytes, status: int) -> None:
    headers = {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession(headers=AUTH) as session,
        session.request(method, f"http://{source.address}{path}", data=body, headers=headers) as response,
    ):
        assert response.status == status


async def test_stop_ends_every_stream() -> None:
    source = DemoSource(keep_alive=60)
    await source.start()
    async with subscribed(source.url("news")) as response:
        await source.subscribed("news")
        await source.stop()
        async with asyncio.timeout(5):
            assert await response.read() == b""
