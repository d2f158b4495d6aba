"""The whole status, and that it is equal to the one before where nothing changed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sse_operator.api.objects import SseApi
from sse_operator.api.reading import read_sse_api, read_sse_gateway
from sse_operator.api.sse_api import Claim, SseApiStatus
from sse_operator.compiler.gateway import compile_gateway
from sse_operator.compiler.model import Environment, GatewayInputs, Programmed
from sse_operator.compiler.status import sse_api_status, sse_gateway_status, urls_of
from sse_operator.compiler.verdicts import api_verdicts, gateway_verdicts
from unit.compiler.scenario import NOW

GATEWAY = read_sse_gateway({"metadata": {"name": "default", "namespace": "shop", "generation": 2}})
API = read_sse_api(
    {
        "metadata": {"name": "a", "namespace": "shop", "generation": 3},
        "spec": {"contextPath": "/a", "target": "http://h", "version": "1.0"},
    }
)
LOADED = Programmed(1, {"p": {"": 1}})


def status(api: SseApi, programmed: Programmed | None = LOADED, *, minutes_later: int = 0) -> SseApiStatus:
    now = NOW + timedelta(minutes=minutes_later)
    compiled = compile_gateway(GatewayInputs("shop/default", GATEWAY, [api]), Environment(), now)
    result = compiled.results["shop/a"]
    verdicts = api_verdicts(result, programmed, 1)
    return sse_api_status(result, verdicts, gateway_key="shop/default", base_urls=["http://gateway"], now=now)


def test_a_status_says_what_is_served_and_where() -> None:
    written = status(API)
    assert written.observed_generation == 3
    assert {each.observed_generation for each in written.conditions} == {3}
    assert (written.gateway, written.urls, written.version) == ("shop/default", ["http://gateway/a"], "1.0")


def test_it_is_equal_while_nothing_changes() -> None:
    first = status(API)
    assert status(replace(API, status=first), minutes_later=5) == first


def test_a_transition_is_timed_only_where_the_status_flips() -> None:
    pending = status(API, Programmed(0, {}))
    ready = status(replace(API, status=pending), minutes_later=5)
    times = {each.type: each.last_transition_time for each in ready.conditions}
    assert times["Accepted"] == "2026-06-01T12:00:00Z"
    assert times["Ready"] == times["Programmed"] == "2026-06-01T12:05:00Z"
    assert "Reconciling" not in times


def test_it_survives_the_way_through_the_api_server() -> None:
    first = status(API)
    document = {
        "metadata": {"name": "a", "namespace": "shop", "generation": 3},
        "spec": {"contextPath": "/a", "target": "http://h", "version": "1.0"},
        "status": first.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
    assert read_sse_api(document).status == first
    assert status(read_sse_api(document), minutes_later=5) == first


def test_a_gateway_s_status_is_equal_while_nothing_changes() -> None:
    compiled = compile_gateway(GatewayInputs("shop/default", GATEWAY, [API]), Environment(), NOW)
    verdicts = gateway_verdicts(GATEWAY, compiled, LOADED, 1)
    first = sse_gateway_status(GATEWAY, verdicts, revision=1, attached=1, ready_replicas=1, address="gateway", now=NOW)
    assert first.observed_generation == 2
    later = sse_gateway_status(
        replace(GATEWAY, status=first),
        verdicts,
        revision=1,
        attached=1,
        ready_replicas=1,
        address="gateway",
        now=NOW + timedelta(minutes=5),
    )
    assert later == first


@pytest.mark.parametrize(
    ("base", "hostnames", "urls"),
    [
        ("http://sse-default.shop.svc", [], ["http://sse-default.shop.svc/a"]),
        ("http://sse-default.shop.svc:80", [], ["http://sse-default.shop.svc/a"]),
        ("https://gateway:443", [], ["https://gateway/a"]),
        ("http://127.0.0.1:8080", [], ["http://127.0.0.1:8080/a"]),
        ("http://[::1]:8080", [], ["http://[::1]:8080/a"]),
        ("http://127.0.0.1:8080", ["x.example", "*.y"], ["http://x.example:8080/a", "http://*.y:8080/a"]),
        ("http://gateway", ["x.example"], ["http://x.example/a"]),
    ],
)
def test_urls(base: str, hostnames: list[str], urls: list[str]) -> None:
    claim = Claim(gateway="shop/default", context_path="/a", hostnames=hostnames, since="2026-01-01T00:00:00Z")
    assert urls_of(claim, [base]) == urls


def test_the_same_host_on_two_addresses_is_told_once() -> None:
    claim = Claim(gateway="g/g", context_path="/a", hostnames=["x.example"], since="2026-01-01T00:00:00Z")
    assert urls_of(claim, ["http://one", "http://two"]) == ["http://x.example/a"]
