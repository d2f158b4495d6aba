"""Redirects that the gateway follows itself: the rules, and then real origins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.harness import Call, Gateway, Origin, api
from sse_proxy.config import Api, Header, HeaderChanges, TargetGuard, Upstream
from sse_proxy.errors import RedirectRefusedError, TooManyRedirectsError
from sse_proxy.stream.framing import LengthBody
from sse_proxy.upstream.redirects import MOST, Place, harmless, next_place
from sse_proxy.upstream.response import ResponseHead
from sse_proxy.upstream.target import parse


def place(url: str = "https://a.example/dir/sse?x=1", method: bytes = b"GET", **members: Any) -> Place:
    target = parse(url)
    return Place(target, target.request_target("", None), method, **members)


def answer(status: int, *locations: bytes) -> ResponseHead:
    return ResponseHead(status, b"", [(b"LOCATION", each) for each in locations], True, LengthBody(0))


def led(status: int, location: bytes, here: Place | None = None, *, body_kept: bool = True) -> Place | None:
    return next_place(answer(status, location), here or place(), body_kept=body_kept)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        (b"/other", "https://a.example/other"),
        (b"other?y=2", "https://a.example/dir/other?y=2"),
        (b"../up", "https://a.example/up"),
        (b"?y=2", "https://a.example/dir/sse?y=2"),
        (b"//b.example:8443/x", "https://b.example:8443/x"),
        (b"https://b.example", "https://b.example/"),
        (b"https://a.example/x#fragment", "https://a.example/x"),
    ],
)
def test_where_to(location: bytes, url: str) -> None:
    there = led(302, location)
    assert there is not None
    assert there.url == url


@pytest.mark.parametrize(
    "location",
    [b"ftp://a/", b"javascript:alert(1)", b"https://u:p@b.example/", b"/a b", b"/a\tb", b"/\xc3\xa9",
     b"https://b.example:99999/", b"https://[::1"],
)  # fmt: skip
def test_what_is_no_place_is_the_client_s(location: bytes) -> None:
    assert led(302, location) is None


def test_no_location() -> None:
    assert next_place(answer(302), place(), body_kept=True) is None


@pytest.mark.parametrize(
    ("status", "method", "becomes"),
    [
        *((status, b"GET", b"GET") for status in (301, 302, 303, 307, 308)),
        (302, b"HEAD", b"HEAD"),
        (303, b"HEAD", b"HEAD"),
        (303, b"POST", b"GET"),
        (307, b"POST", b"POST"),
        (308, b"PUT", b"PUT"),
        (301, b"POST", None),
        (302, b"DELETE", None),
        (300, b"GET", None),
        (304, b"GET", None),
        (200, b"GET", None),
    ],
)
def test_methods(status: int, method: bytes, becomes: bytes | None) -> None:
    there = led(status, b"/x", place(method=method))
    assert (there.method if there else None) == becomes
    assert led(status, b"/x", place(method=method), body_kept=False) is None


def test_from_https_to_http_is_refused() -> None:
    with pytest.raises(RedirectRefusedError):
        led(302, b"http://a.example/")
    assert led(302, b"https://a.example/", place("http://a.example/")) is not None


def test_no_more_than_so_many() -> None:
    assert led(302, b"/", place(hops=MOST - 1)) is not None
    with pytest.raises(TooManyRedirectsError):
        led(302, b"/", place(hops=MOST))


@pytest.mark.parametrize(
    ("location", "foreign"),
    [
        (b"/x", False),
        (b"https://a.example:443/x", False),
        (b"https://a.example:444/x", True),
        (b"https://b.example/x", True),
        (b"https://A.example/x", False),
        (b"https://a.example./x", True),
    ],
)
def test_another_origin(location: bytes, foreign: bool) -> None:
    there = led(302, location)
    assert there is not None
    assert there.foreign is foreign


def test_once_foreign_always_foreign() -> None:
    away = led(302, b"https://b.example/")
    assert away is not None
    back = led(302, b"https://a.example/", away)
    assert back is not None
    assert back.foreign


def test_what_goes_along() -> None:
    fields = [
        (b"Accept", b"x"),
        (b"authorization", b"x"),
        (b"Cookie", b"x"),
        (b"X-Api-Key", b"x"),
        (b"last-event-ID", b"7"),
    ]
    assert harmless(fields) == [(b"Accept", b"x"), (b"last-event-ID", b"7")]


@pytest.fixture
async def elsewhere() -> AsyncIterator[Origin]:
    origin = Origin()
    await origin.start()
    yield origin
    await origin.stop()


def following(origin: Origin, **members: Any) -> Api:
    return api(origin.url(), **members).model_copy(update={"upstream": Upstream(follow_redirects=True)})


def redirect(location: str, status: int = 302) -> bytes:
    return b"HTTP/1.1 %d X\r\nLocation: %b\r\nContent-Length: 4\r\n\r\ngone" % (status, location.encode())


async def test_a_stream_behind_redirects(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        asked = call.line.split(" ")[1]
        if asked.startswith("/stream"):
            await call.stream_head()
            await call.event(b"data: 1\n\n")
            await call.send(b"0\r\n\r\n")
        else:
            await call.send(redirect("/middle" if asked.startswith("/sse") else "/stream?from=middle", 307))

    origin.answer = answer
    gateway.load(following(origin))
    client = await gateway.connect()
    response = await client.get("/sse/rest?x=1", "Authorization: Bearer t", "Last-Event-ID: 7")
    assert (response.status, response.get("Location")) == (200, None)
    assert await client.chunked_body() == b"data: 1\n\n"
    lines = [await origin.call() for _ in range(3)]
    assert [call.line.split(" ")[1] for call in lines] == ["/sse/rest?x=1", "/middle", "/stream?from=middle"]
    assert {call.get("Authorization") for call in lines} == {"Bearer t"}
    assert {call.get("Last-Event-ID") for call in lines} == {"7"}
    # The client's connection goes on.
    assert (await client.get("/sse")).status == 200


async def test_credentials_never_follow_to_another_origin(gateway: Gateway, origin: Origin, elsewhere: Origin) -> None:
    origin.answer = redirect(elsewhere.url("/there"))
    elsewhere.answer = redirect(origin.url("/back"))
    changes = HeaderChanges(set=(Header(name="X-Api-Key", value="secret"),))
    gateway.load(following(origin, request_headers=changes))
    client = await gateway.connect()
    lines = ("Authorization: Bearer t", "Cookie: sid=1", "X-Token: t", "Accept: text/event-stream")
    assert (await client.get("/sse?token=t", *lines)).status == 502
    first, away, back = await origin.call(), await elsewhere.call(), await origin.call()
    assert (first.get("Authorization"), first.get("X-Api-Key")) == ("Bearer t", "secret")
    for call in (away, back):
        assert [call.get(name) for name in ("Authorization", "Cookie", "X-Token", "X-Api-Key")] == [None] * 4
        assert call.get("Accept") == "text/event-stream"
        assert "token" not in call.line
    assert away.get("Host") == f"127.0.0.1:{elsewhere.port}"


async def test_a_loop_ends(gateway: Gateway, origin: Origin) -> None:
    origin.answer = redirect("/sse")
    gateway.load(following(origin))
    client = await gateway.connect()
    response = await client.get("/sse")
    assert (response.status, (await client.problem(response))["reason"]) == (502, "TooManyRedirects")
    assert origin.calls.qsize() == MOST + 1
    assert await gateway.metric("sse_gateway_upstream_connections", api="default/api") == 0


async def test_a_post_with_its_body_kept(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        body = await call.reader.readexactly(int(call.get("Content-Length") or 0))
        asked = call.line.split(" ")
        if asked[1] in ("/sse/307", "/sse/303"):
            await call.send(redirect("/there", int(asked[1][-3:])))
        else:
            told = asked[0].encode() + b" " + body
            await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(told), told))

    origin.answer = answer
    gateway.load(following(origin))
    client = await gateway.connect()
    for status, told in ((307, b"POST body"), (303, b"GET ")):
        response = await client.request("POST", f"/sse/{status}", "Content-Length: 4", body=b"body")
        assert (response.status, await client.length_body(response)) == (200, told)


async def test_what_is_not_followed_is_the_client_s(gateway: Gateway, origin: Origin) -> None:
    origin.answer = redirect("/there", 301)
    gateway.load(following(origin))
    client = await gateway.connect()
    response = await client.request("POST", "/sse", "Content-Length: 0")
    assert (response.status, response.get("Location"), await client.length_body(response)) == (301, "/there", b"gone")


async def test_every_hop_is_judged(gateway: Gateway, origin: Origin) -> None:
    origin.answer = redirect("http://127.0.0.2:1/latest/meta-data")
    gateway.load(following(origin), targets=TargetGuard(deny=("127.0.0.2/32",)))
    client = await gateway.connect()
    response = await client.get("/sse")
    assert (response.status, (await client.problem(response))["reason"]) == (502, "TargetDenied")
