"""What the golden files do not show: one object that cannot be compiled, and the guard of targets."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from sse_operator.api.objects import SseApi
from sse_operator.api.reading import read_sse_api, read_sse_gateway
from sse_operator.api.sse_api import SseApiSpec
from sse_operator.compiler.gateway import compile_gateway
from sse_operator.compiler.model import Environment, GatewayInputs, Programmed
from sse_operator.compiler.targets import cluster_guard, local_guard
from sse_operator.compiler.verdicts import api_verdicts
from sse_proxy.config import TargetGuard
from unit.compiler.scenario import NOW

GATEWAY = read_sse_gateway({"metadata": {"name": "default", "namespace": "shop"}})


def api(name: str) -> SseApi:
    return read_sse_api(
        {
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"contextPath": f"/{name}", "target": "http://h"},
        }
    )


def test_one_that_cannot_be_compiled_harms_no_other() -> None:
    unforeseen = SseApiSpec.model_construct(context_path="/poison", target=["no string"])
    poison = replace(api("poison"), spec=unforeseen)
    compiled = compile_gateway(GatewayInputs("shop/default", GATEWAY, [poison, api("well")]), Environment(), NOW)
    assert compiled.results["shop/well"].served
    result = compiled.results["shop/poison"]
    assert result.entry is not None
    assert result.entry.context_path == "/poison"
    assert result.entry.unavailable is not None
    assert result.entry.unavailable.reason == "InternalError"
    verdicts = {each.type: each for each in api_verdicts(result, Programmed(1, {"p": {"": 1}}), 1)}
    assert verdicts["Stalled"].reason == "InternalError"
    assert "ValidationError" in verdicts["Ready"].message
    assert "\n" not in verdicts["Ready"].message


def test_the_environment_s_guard_is_in_the_settings() -> None:
    guard = cluster_guard(["10.96.0.1"])
    compiled = compile_gateway(GatewayInputs("shop/default", GATEWAY, []), Environment(targets=guard), NOW)
    assert compiled.settings.targets == guard


def denied(guard: TargetGuard, address: str) -> bool:
    return any(ip_address(address) in ip_network(network) for network in guard.deny) and not any(
        ip_address(address) in ip_network(network) for network in guard.allow
    )


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16", "fe80::1"],
)
def test_metadata_and_link_local_are_denied_everywhere(address: str) -> None:
    assert denied(cluster_guard([]), address)
    assert denied(local_guard(), address)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::"])
def test_loopback_is_denied_in_a_cluster_only(address: str) -> None:
    assert denied(cluster_guard([]), address)
    assert not denied(local_guard(), address)


@pytest.mark.parametrize("address", ["10.0.0.7", "192.168.1.1", "93.184.216.34", "2001:db8::1", "fd12::1"])
def test_other_addresses_are_not_denied(address: str) -> None:
    assert not denied(cluster_guard(["10.96.0.1"]), address)


def test_the_api_server_is_denied_and_settings_may_exempt() -> None:
    guard = cluster_guard(["10.96.0.1", "fd12::1"], allow=["169.254.20.10", "127.0.0.0/8"])
    assert denied(guard, "10.96.0.1")
    assert denied(guard, "fd12::1")
    assert not denied(guard, "169.254.20.10")
    assert not denied(guard, "127.0.0.1")
    assert guard == cluster_guard(["fd12::1", "10.96.0.1"], allow=["169.254.20.10/32", "127.0.0.0/8"])
    with pytest.raises(ValueError, match="nonsense"):
        cluster_guard(["nonsense"])
