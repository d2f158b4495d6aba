"""Which gateway an SseApi belongs to, and whether that lets it in."""

from typing import Any

import pytest

from sse_operator.api.reading import read_sse_api
from sse_operator.api.sse_gateway import AllowedNamespaces, LabelSelector
from sse_operator.compiler.attach import gateway_key_of, may_attach, selects
from sse_operator.compiler.model import DefaultGateway

CLAIM = {"gateway": "shop/held", "contextPath": "/a", "since": "2026-01-01T00:00:00Z"}


def key(gateway_ref: Any, default: DefaultGateway | None = None, **status: Any) -> str | None:
    document = {
        "metadata": {"name": "a", "namespace": "shop"},
        "spec": {"contextPath": "/a", "target": "http://h", "gatewayRef": gateway_ref},
        "status": status,
    }
    return gateway_key_of(read_sse_api(document), default or DefaultGateway())


def test_the_gateway_of_an_api() -> None:
    assert key(None) == "shop/default"
    assert key(None, DefaultGateway("infra", "edge")) == "infra/edge"
    assert key(None, DefaultGateway(name="edge")) == "shop/edge"
    assert key({}) == "shop/default"
    assert key({"name": "edge"}, DefaultGateway("infra", "other")) == "shop/edge"
    assert key({"name": "edge", "namespace": "infra"}) == "infra/edge"


def test_a_faulty_reference_keeps_the_gateway_that_the_path_is_held_on() -> None:
    assert key({"name": "A"}) is None
    assert key({"name": "A"}, claim=CLAIM) == "shop/held"
    assert key({"name": "edge"}, claim=CLAIM) == "shop/edge"


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        (None, False),
        ({}, False),
        ({"from": "Same"}, False),
        ({"from": "All"}, True),
        ({"from": "Selector", "selector": {}}, True),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "b"}}}, True),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "c"}}}, False),
        ({"from": "Selector", "selector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}, True),
    ],
)
def test_permission(allowed: Any, expected: bool) -> None:
    model = None if allowed is None else AllowedNamespaces.model_validate(allowed)
    assert may_attach("other", "own", model, {"team": "b"}) is expected
    assert may_attach("own", "own", model, {}), "its own namespace always may"


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ({"key": "a", "operator": "Exists"}, True),
        ({"key": "z", "operator": "Exists"}, False),
        ({"key": "a", "operator": "DoesNotExist"}, False),
        ({"key": "z", "operator": "DoesNotExist"}, True),
        ({"key": "a", "operator": "In", "values": ["0", "1"]}, True),
        ({"key": "a", "operator": "In", "values": ["2"]}, False),
        ({"key": "z", "operator": "In", "values": [""]}, False),
        ({"key": "a", "operator": "NotIn", "values": ["1"]}, False),
        ({"key": "a", "operator": "NotIn", "values": ["2"]}, True),
        ({"key": "z", "operator": "NotIn", "values": ["1"]}, True),
    ],
)
def test_requirements_as_kubernetes_has_them(requirement: Any, expected: bool) -> None:
    assert selects(LabelSelector.model_validate({"matchExpressions": [requirement]}), {"a": "1"}) is expected


def test_all_of_a_selector_must_match() -> None:
    selector = {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}
    assert selects(LabelSelector.model_validate(selector), {"a": "1", "b": ""})
    assert not selects(LabelSelector.model_validate(selector), {"a": "1"})
    assert not selects(LabelSelector.model_validate(selector), {"b": ""})
