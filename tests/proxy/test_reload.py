"""New configs under live streams."""

from __future__ import annotations

import asyncio
import gc
import itertools

from proxy.harness import Call, Client, Gateway, Origin, api, eventually
from sse_proxy.config import Api, Endpoint, GatewayConfig, Settings, Stream, Unavailable
from sse_proxy.proxy import ConfigState

STREAMS = 1000
RELOADS = 100


async def test_reloads_do_not_touch_live_streams(gateway: Gateway, origin: Origin) -> None:
    """1,000 streams, 100 reloads: no stream cut, no event lost, duplicated or reordered."""
    kept = Stream(close_on_removal=False)
    events = 12
    stop = asyncio.Event()

    async def answer(call: Call) -> None:
        await call.stream_head()
        for number in itertools.count():
            await call.event(b"id: %d\n\n" % number)
            if number >= events and stop.is_set():
                break
            await asyncio.sleep(0.4)
        await call.send(b"0\r\n\r\n")

    async def follow(client: Client) -> int:
        await client.get("/sse")
        expected = 0
        while True:
            async with asyncio.timeout(10):
                size = int(await client.reader.readuntil(b"\r\n"), 16)
                data = (await client.reader.readexactly(size + 2))[:-2]
            if not data:
                return expected
            for event in data.split(b"\n\n")[:-1]:
                assert event == b"id: %d" % expected
                expected += 1

    origin.answer = answer
    entry = api(origin.url(), stream=kept)
    others = [api(origin.url(), name=f"other-{number}", path=f"/other/{number}") for number in range(50)]
    gateway.load(entry, *others)
    clients = [await gateway.connect() for _ in range(STREAMS)]
    following = [asyncio.create_task(follow(client)) for client in clients]

    async def all_open() -> bool:
        return await gateway.metric("sse_gateway_streams_active", api="default/api") == STREAMS

    await eventually(all_open)
    for number in range(RELOADS):
        # The entry itself is edited, replaced, suspended and removed in turn.
        variants: list[tuple[Api, ...]] = [
            (entry,),
            (api(origin.url("/elsewhere"), timeouts={"idle": 0.05}, stream=kept),),
            (api(origin.url(), unavailable=Unavailable(reason="Suspended", message=""), stream=kept),),
            (),
        ]
        gateway.load(*variants[number % 4], *others[number % 50 :])
        await asyncio.sleep(0.02)
    stop.set()
    counts = await asyncio.gather(*following)
    assert len(counts) == STREAMS
    assert min(counts) > events
    reasons = {line["reason"] for line in gateway.log if line["event"] == "stream_close"}
    assert reasons == {"upstream_end"}


async def test_the_next_request_meets_the_new_config(gateway: Gateway, origin: Origin) -> None:
    other = Origin()
    await other.start()
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    await client.get("/sse")
    await client.exactly(2)
    gateway.load(api(other.url()))
    await client.get("/sse")
    await client.exactly(2)
    assert (origin.connections, other.connections) == (1, 1)
    gateway.load()
    assert (await client.get("/sse")).status == 404
    assert await gateway.metric("sse_gateway_config_revision") == 3
    assert (await gateway.admin("/metrics"))[1].count('api="default/api"') == 0
    await other.stop()


async def test_a_large_config_comes_between_requests(gateway: Gateway, origin: Origin) -> None:
    """Requests that come while it is being made ready are answered, by the config before."""
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    many = [api(origin.url(), name=f"other-{number}", path=f"/other/{number}") for number in range(2000)]
    config = GatewayConfig(settings=Settings(namespace="default", name="default"), revision=2, apis=many)
    loading = asyncio.create_task(gateway.proxy.load_in_turns(config, ConfigState()))
    answered = []
    while not loading.done():
        answered.append(await client.get("/other/7"))
        await client.exactly(int(answered[-1].get("content-length") or 0))
    await loading
    gc.unfreeze()
    assert answered[0].status == 404
    assert (await client.get("/other/7")).status == 200


async def test_weights(gateway: Gateway, origin: Origin) -> None:
    endpoints = (
        Endpoint(name="a", url=origin.url("/a"), weight=2),
        Endpoint(name="b", url=origin.url("/b"), weight=1),
        Endpoint(name="c", url=origin.url("/c"), weight=0),
    )
    gateway.load(api("", endpoints=endpoints))
    client = await gateway.connect()
    paths = []
    for _ in range(6):
        await client.get("/sse")
        await client.exactly(2)
        paths.append((await origin.call()).line[5])
        gateway.load(api("", endpoints=endpoints))  # an equal config keeps the turns
    assert "".join(paths) == "abaaba"
