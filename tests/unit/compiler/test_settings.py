"""The gateway's settings for requests, which no entry shows."""

from sse_proxy.config import GatewayLimits
from unit.compiler.scenario import compile_apis


def settings_of(spec: dict[str, object]) -> GatewayLimits:
    gateway = {"kind": "SseGateway", "metadata": {"name": "g", "namespace": "n"}, "spec": spec}
    return compile_apis([gateway], []).gateways["n/g"].settings.limits


def test_the_gateways_limits_are_in_its_settings() -> None:
    limits = {"streams": 5000, "streamsPerClientAddress": 0, "requestHeaders": 64, "requestHeadSize": 32768}
    assert settings_of({"limits": limits}) == GatewayLimits(streams=5000, header_fields=64, request_head=32768)


def test_none_without_them() -> None:
    assert settings_of({}) == GatewayLimits()


def test_trusted_proxies_are_in_the_settings() -> None:
    spec = {"trustedProxies": ["10.0.0.0/8"], "proxyProtocol": True}
    gateway = {"kind": "SseGateway", "metadata": {"name": "g", "namespace": "n"}, "spec": spec}
    settings = compile_apis([gateway], []).gateways["n/g"].settings
    assert (settings.trusted_proxies, settings.proxy_protocol) == (("10.0.0.0/8",), True)
