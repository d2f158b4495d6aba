"""Header fields that an API changes, both ways."""

from __future__ import annotations

from proxy.harness import Call, Gateway, Origin, api
from sse_proxy.config import Header, HeaderChanges


def changes(
    set_: dict[str, str] | None = None, add: dict[str, str] | None = None, remove: tuple[str, ...] = ()
) -> HeaderChanges:
    return HeaderChanges(
        set=tuple(Header(name=name, value=value) for name, value in (set_ or {}).items()),
        add=tuple(Header(name=name, value=value) for name, value in (add or {}).items()),
        remove=remove,
    )


async def test_a_requests_fields_are_removed_set_and_added(gateway: Gateway, origin: Origin) -> None:
    wanted = changes({"X-Tenant": "shop", "X-New": "1"}, {"X-More": "c"}, ("COOKIE", "x-absent"))
    gateway.load(api(origin.url(), request_headers=wanted))
    client = await gateway.connect()
    await client.get(
        "/sse", "x-tenant: evil", "X-TENANT: evil too", "X-More: a", "x-more: b", "Cookie: s=1", "X-Kept: k"
    )
    call = await origin.call()
    assert call.all("X-Tenant") == ["shop"]
    assert call.all("X-New") == ["1"]
    assert call.all("X-More") == ["a", "b", "c"]
    assert call.get("Cookie") is None
    assert call.get("X-Kept") == "k"


async def test_remove_comes_before_set_and_add(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url(), request_headers=changes({"X-A": "set"}, {"x-a": "added"}, ("X-A",))))
    client = await gateway.connect()
    await client.get("/sse", "X-A: the client's")
    assert (await origin.call()).all("X-A") == ["set", "added"]


async def test_a_client_cannot_list_a_set_field_away(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url(), request_headers=changes({"X-Tenant": "shop"})))
    client = await gateway.connect()
    await client.get("/sse", "Connection: X-Tenant", "X-Tenant: evil")
    assert (await origin.call()).all("X-Tenant") == ["shop"]


async def test_a_responses_fields_are_removed_set_and_added(gateway: Gateway, origin: Origin) -> None:
    origin.answer = (
        b"HTTP/1.1 200 OK\r\nServer: old\r\nX-A: 1\r\nCache-Control: max-age=9\r\nContent-Length: 2\r\n\r\nok"
    )
    wanted = changes({"Cache-Control": "no-store"}, {"X-A": "2"}, ("server",))
    gateway.load(api(origin.url(), response_headers=wanted))
    response = await (await gateway.connect()).get("/sse")
    assert response.all("Cache-Control") == ["no-store"]
    assert response.all("X-A") == ["1", "2"]
    assert response.get("Server") is None
    assert response.get("Content-Length") == "2"


async def test_a_content_type_that_is_set_makes_an_event_stream(gateway: Gateway, origin: Origin) -> None:
    async def mislabelled(call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        await call.event(b"data: 1\n\n")
        await call.gone()

    origin.answer = mislabelled
    gateway.load(api(origin.url(), response_headers=changes({"Content-Type": "text/event-stream"})))
    client = await gateway.connect()
    response = await client.get("/sse")
    assert response.all("Content-Type") == ["text/event-stream"]
    assert await client.chunk() == b"data: 1\n\n"
    assert (await gateway.logged_line("stream_open"))["status"] == 200


async def test_the_gateways_own_answers_stay_as_they_are(gateway: Gateway) -> None:
    gateway.load(api("http://127.0.0.1:9/", response_headers=changes({"X-A": "1"}, None, ("Cache-Control",))))
    response = await (await gateway.connect()).get("/sse")
    assert response.status == 502
    assert response.get("X-A") is None
    assert response.get("Cache-Control") == "no-store"
