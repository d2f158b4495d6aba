"""Who a client is: X-Forwarded-* of trusted proxies, and of nobody else."""

from __future__ import annotations

import pytest

from proxy.harness import Call, Gateway, Origin, api
from sse_proxy.config import Api, GatewayConfig, Limits, Rate, Settings
from sse_proxy.errors import ConfigError
from sse_proxy.forwarded import TrustedProxies


def load(gateway: Gateway, *apis: Api, trusted: tuple[str, ...] = (), proxy_protocol: bool = False) -> None:
    settings = Settings(namespace="default", name="default", trusted_proxies=trusted, proxy_protocol=proxy_protocol)
    gateway.proxy.load(GatewayConfig(settings=settings, revision=1, apis=apis))


def told(call: Call) -> tuple[str | None, str | None, str | None, str | None]:
    """For, Proto, Host and Port, each of which is there once."""
    fields = [call.all(f"X-Forwarded-{name}") for name in ("For", "Proto", "Host", "Port")]
    assert all(len(values) <= 1 for values in fields)
    first, second, third, fourth = (values[0] if values else None for values in fields)
    return first, second, third, fourth


SAID = (
    "X-Forwarded-For: 203.0.113.9",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: public.example",
    "X-Forwarded-Port: 8443",
)


async def test_nobody_is_believed_by_default(gateway: Gateway, origin: Origin) -> None:
    load(gateway, api(origin.url()))
    port = str(gateway.proxy.listen_address[1])
    await (await gateway.connect()).get("/sse", *SAID)
    assert told(await origin.call()) == ("127.0.0.1", "http", "gw.example", port)
    assert (await gateway.logged_line("request"))["client"] == "127.0.0.1"


async def test_a_trusted_proxy_is_believed(gateway: Gateway, origin: Origin) -> None:
    load(gateway, api(origin.url()), trusted=("127.0.0.0/8",))
    client = await gateway.connect()
    await client.length_body(await client.get("/sse", *SAID))
    assert told(await origin.call()) == ("203.0.113.9, 127.0.0.1", "https", "public.example", "8443")
    assert (await gateway.logged_line("request"))["client"] == "203.0.113.9"
    await client.length_body(await client.get("/sse", "X-Forwarded-Proto: https", host="public.example"))
    assert told(await origin.call()) == ("127.0.0.1", "https", "public.example", "443")
    await client.get("/sse", "X-Forwarded-Proto: gopher", "X-Forwarded-Port: x", host="public.example:81")
    assert told(await origin.call()) == ("127.0.0.1", "http", "public.example:81", "81")


async def test_limits_go_by_the_client_behind_the_proxy(gateway: Gateway, origin: Origin) -> None:
    rate = Rate(requests=1, per=60.0, burst=1)
    load(gateway, api(origin.url(), limits=Limits(request_rate_per_client_address=rate)), trusted=("127.0.0.0/8",))
    client = await gateway.connect()
    statuses = []
    for address in ("203.0.113.1", "203.0.113.2", "203.0.113.1"):
        response = await client.get("/sse", f"X-Forwarded-For: {address}")
        await client.length_body(response)
        statuses.append(response.status)
    assert statuses == [200, 200, 429]


@pytest.mark.parametrize(
    ("peer", "said", "client", "chain"),
    [
        ("10.0.0.1", [], "10.0.0.1", "10.0.0.1"),
        ("192.0.2.1", ["198.51.100.1"], "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1", "198.51.100.1, 10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1", "198.51.100.1, 10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1,10.0.0.2"], "198.51.100.1", "198.51.100.1, 10.0.0.2, 10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3", "10.0.0.3, 10.0.0.2, 10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1", "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, _hidden, 10.0.0.2"], "10.0.0.2", "10.0.0.2, 10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1", "198.51.100.1, 10.0.0.1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1", "2001:db8::1, 10.0.0.1"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1", "2001:db8::1, 10.0.0.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1", "198.51.100.1, ::ffff:10.0.0.1"),
        ("10.0.0.1", [" , ,"], "10.0.0.1", "10.0.0.1"),
        ("2001:db8:1::5", ["198.51.100.1"], "198.51.100.1", "198.51.100.1, 2001:db8:1::5"),
        (None, ["198.51.100.1"], None, ""),
    ],
)
def test_the_first_address_from_the_right_that_is_no_proxys(
    peer: str | None, said: list[str], client: str | None, chain: str
) -> None:
    trusted = TrustedProxies(("10.0.0.0/8", "2001:db8:1::/48"))
    via = trusted.via(peer, [(b"X-Forwarded-For", value.encode()) for value in said])
    assert (via.client, via.chain.decode()) == (client, chain)


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ConfigError, match="no network"):
        TrustedProxies(("10.0.0.0/99",))
