"""The admin port, the access log, and what must never be in either."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy import harness
from proxy.harness import Call, Gateway, Origin, api
from sse_proxy.errors import ListenError
from sse_proxy.proxy import ConfigState, Proxy, ProxyOptions


@pytest.fixture
async def guarded() -> AsyncIterator[Gateway]:
    gateway = await harness.start(admin_token="s3cret")
    yield gateway
    for client in gateway.clients:
        await client.close()
    await gateway.proxy.stop()


async def test_token(guarded: Gateway) -> None:
    for path in ("/config", "/streams"):
        assert (await guarded.admin(path))[0] == 401
        assert (await guarded.admin(path, "Authorization: Bearer s3cre"))[0] == 401
        assert (await guarded.admin(path, "Authorization: Bearer s3cret"))[0] == 200
    for path in ("/livez", "/metrics"):
        assert (await guarded.admin(path))[0] == 200
    assert (await guarded.admin("/other"))[0] == 404


async def test_readiness_and_config(gateway: Gateway, origin: Origin) -> None:
    assert await gateway.admin("/readyz") == (503, "no complete configuration has been loaded yet\n")
    gateway.load(api(origin.url()))
    assert (await gateway.admin("/readyz"))[0] == 200
    assert json.loads((await gateway.admin("/config"))[1]) == {
        "schemaVersion": 1,
        "revision": 1,
        "complete": True,
        "shards": {},
        "faults": [],
        "warnings": [],
    }
    config = gateway.proxy._config
    assert config is not None
    gateway.proxy.load(config, ConfigState(lagging={"07": 0}, faults=("shard-07.json: what",)))
    shown = json.loads((await gateway.admin("/config"))[1])
    assert (shown["shards"], shown["faults"]) == ({"07": 0}, ["shard-07.json: what"])
    assert await gateway.metric("sse_gateway_config_faults") == 1


async def test_admin_paths_are_not_on_the_data_port(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url()))
    client = await gateway.connect()
    for path in ("/livez", "/readyz", "/metrics", "/config", "/streams"):
        response = await client.get(path)
        assert (response.status, (await client.problem(response))["reason"]) == (404, "UnknownPath")


async def test_streams_and_metrics(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: 1\n\n")
        await call.gone()

    origin.answer = answer
    gateway.load(api(origin.url(), version="1.1"))
    client = await gateway.connect()
    await client.get("/sse")
    await client.chunk()
    (stream,) = json.loads((await gateway.admin("/streams"))[1])
    assert (stream["api"], stream["status"], stream["stream"], stream["bytes"]) == ("default/api", 200, True, 9)
    assert await gateway.metric("sse_gateway_streams_active", api="default/api") == 1
    await client.close()
    line = await gateway.logged_line("stream_close")
    assert (line["api"], line["version"], line["bytes"], line["reason"]) == ("default/api", "1.1", 9, "client")
    assert line["time"].endswith("Z")
    assert line["id"] == (await gateway.logged_line("stream_open"))["id"] == stream["id"]
    families = {family.name: family for family in text_string_to_metric_families((await gateway.admin("/metrics"))[1])}
    lifetime = families["sse_gateway_stream_lifetime_seconds"]
    counts = {sample.labels["api"]: sample.value for sample in lifetime.samples if sample.name.endswith("_count")}
    assert counts == {"default/api": 1, "": 0}
    assert await gateway.metric("sse_gateway_response_bytes_total", api="default/api") == 9
    assert await gateway.metric("sse_gateway_requests_total", api="default/api", code="2xx") == 1


async def test_no_credential_in_any_output(
    gateway: Gateway, origin: Origin, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    canary = "c4n4ry"
    gateway.load(
        api(origin.url(f"/{canary}?key={canary}", host="localhost")), api("http://127.0.0.1:1/", name="b", path="/b")
    )
    client = await gateway.connect()
    for target in (f"/sse?token={canary}&{canary}", f"/b?token={canary}", f"/nope?token={canary}"):
        response = await client.get(
            target, f"Authorization: Bearer {canary}", f"Cookie: a={canary}", f"X-Api-Key: {canary}"
        )
        assert canary.encode() not in response.head + await client.length_body(response)
    assert (await gateway.logged_line("request", status=200))["query"] == ["token", "*"]
    outputs = [json.dumps(gateway.log), caplog.text, *capsys.readouterr()]
    outputs += [(await gateway.admin(path))[1] for path in ("/metrics", "/config", "/streams")]
    assert not [text for text in outputs if canary in text]


async def test_port_in_use_is_one_clear_line(gateway: Gateway) -> None:
    for taken in (
        ProxyOptions(listen=gateway.proxy.listen_address),
        ProxyOptions(listen=("127.0.0.1", 0), admin=gateway.proxy.listen_address),
    ):
        with pytest.raises(ListenError, match=r"^cannot listen on 127\.0\.0\.1:\d+: the port is in use; .*$"):
            await Proxy(taken).start()
