"""CORS: what browsers are told, by the bytes. The Fetch standard, section 3.2."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.harness import Gateway, Origin, Response, api
from sse_proxy.config import Cors, Unavailable

APP = "https://app.example"
ASKS = ("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")


def cors(*origins: str, **settings: Any) -> Cors:
    return Cors(allow_origins=origins, **settings)


def told(response: Response) -> dict[str, str]:
    """The response's CORS fields, each of which may be there once only."""
    fields = [(name.lower(), value) for name, value in response.fields if name.lower().startswith("access-control-")]
    assert len(dict(fields)) == len(fields)
    return {name.removeprefix("access-control-"): value for name, value in fields}


async def test_a_preflight_is_answered_before_the_target_and_its_state(gateway: Gateway, origin: Origin) -> None:
    wanted = cors(APP, allow_methods=("GET", "POST"), allow_headers=("Content-Type",), max_age=600)
    suspended = Unavailable(reason="Suspended", message="suspended")
    gateway.load(
        api(origin.url(), cors=wanted), api(origin.url(), name="b", path="/b", cors=wanted, unavailable=suspended)
    )
    client = await gateway.connect()
    for path in ("/sse/x", "/b"):
        response = await client.request("OPTIONS", path, f"Origin: {APP}", *ASKS)
        assert response.status == 204
        assert told(response) == {
            "allow-origin": APP,
            "allow-methods": "GET, POST",
            "allow-headers": "Content-Type",
            "max-age": "600",
        }
        assert response.all("Vary") == ["Origin"]
        assert response.get("Content-Length") is None
    assert origin.connections == 0
    assert (await gateway.logged_line("request"))["reason"] == "Preflight"


async def test_a_preflight_of_another_origin_gets_no_permission(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url(), cors=cors(APP)))
    client = await gateway.connect()
    for lines in (["Origin: https://evil.example"], ["Origin: null"], [f"Origin: {APP}", f"Origin: {APP}"]):
        response = await client.request("OPTIONS", "/sse", *lines, *ASKS)
        assert (await client.problem(response))["reason"] == "OriginNotAllowed"
        assert told(response) == {}
        assert response.all("Vary") == ["Origin"]
    assert origin.connections == 0


async def test_options_that_is_no_preflight_goes_to_the_target(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url(), cors=cors(APP)))
    client = await gateway.connect()
    assert (await client.request("OPTIONS", "/sse", f"Origin: {APP}")).status == 200
    assert (await origin.call()).line.startswith("OPTIONS /sse ")


@pytest.mark.parametrize(
    ("allowed", "asking", "answer"),
    [
        ("https://*.example.com", "https://a.example.com", True),
        ("https://*.example.com", "https://a.b-c.example.com", True),
        ("https://*.example.com", "https://example.com", False),
        ("https://*.example.com", "https://.example.com", False),
        ("https://*.example.com", "https://evilexample.com", False),
        ("https://*.example.com", "http://a.example.com", False),
        ("https://*.example.com", "https://a.example.com:8443", False),
        ("https://*.example.com", "https://evil.test/.example.com", False),
        ("https://*.example.com", "https://evil.test:1.example.com", False),
        ("https://*.example.com", "https://a.example.com.evil.test", False),
        ("http://*.example.com:8080", "http://a.example.com:8080", True),
        ("https://app.example", "https://app.example", True),
        ("https://app.example", "https://app.example.evil", False),
    ],
)
async def test_which_origins_are_meant(
    gateway: Gateway, origin: Origin, allowed: str, asking: str, answer: bool
) -> None:
    gateway.load(api(origin.url(), cors=cors(allowed)))
    response = await (await gateway.connect()).get("/sse", f"Origin: {asking}")
    assert response.status == 200, "another origin's request is served: only the page may not read the answer"
    assert told(response) == ({"allow-origin": asking} if answer else {})
    assert response.all("Vary") == ["Origin"]


async def test_any_origin(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url(), cors=cors("*", expose_headers=("*",))))
    client = await gateway.connect()
    for lines in (["Origin: null"], []):
        response = await client.get("/sse", *lines)
        await client.length_body(response)
        assert told(response) == {"allow-origin": "*", "expose-headers": "*"}
        assert response.get("Vary") is None


async def test_credentials_and_private_networks(gateway: Gateway, origin: Origin) -> None:
    wanted = cors(APP, allow_credentials=True, expose_headers=("Retry-After", "X-A"), allow_private_network=True)
    gateway.load(api(origin.url(), cors=wanted))
    client = await gateway.connect()
    response = await client.get("/sse", f"Origin: {APP}", "Access-Control-Request-Private-Network: true")
    await client.length_body(response)
    assert told(response) == {
        "allow-origin": APP,
        "allow-credentials": "true",
        "expose-headers": "Retry-After, X-A",
    }
    response = await client.request(
        "OPTIONS", "/sse", f"Origin: {APP}", *ASKS, "Access-Control-Request-Private-Network: true"
    )
    assert told(response) == {"allow-origin": APP, "allow-credentials": "true", "allow-private-network": "true"}


async def test_the_targets_own_fields_are_replaced(gateway: Gateway, origin: Origin) -> None:
    origin.answer = (
        b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\naccess-control-allow-credentials: true\r\n"
        b"Access-Control-Expose-Headers: X-B\r\nVary: Accept\r\nContent-Length: 2\r\n\r\nok"
    )
    gateway.load(api(origin.url(), cors=cors(APP)), api(origin.url(), name="plain", path="/plain"))
    client = await gateway.connect()
    response = await client.get("/sse", f"Origin: {APP}")
    await client.length_body(response)
    assert told(response) == {"allow-origin": APP}
    assert response.all("Vary") == ["Accept", "Origin"]
    response = await client.get("/plain", f"Origin: {APP}")
    assert told(response)["allow-credentials"] == "true", "without cors, what the target says passes"


async def test_the_gateways_own_answers_can_be_read_by_the_page(gateway: Gateway) -> None:
    gateway.load(api("http://127.0.0.1:9/", cors=cors(APP)))
    response = await (await gateway.connect()).get("/sse", f"Origin: {APP}")
    assert response.status == 502
    assert told(response) == {"allow-origin": APP}
    assert response.all("Vary") == ["Origin"]


async def test_preflights_for_the_target(gateway: Gateway, origin: Origin) -> None:
    origin.answer = b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: https://own.example\r\nContent-Length: 0\r\n\r\n"
    gateway.load(api(origin.url(), cors=cors(APP, preflight="Target")))
    client = await gateway.connect()
    response = await client.request("OPTIONS", "/sse", f"Origin: {APP}", *ASKS)
    assert (await origin.call()).get("Access-Control-Request-Method") == "POST"
    assert told(response) == {"allow-origin": "https://own.example"}
    assert told(await client.get("/sse", f"Origin: {APP}")) == {"allow-origin": APP}
