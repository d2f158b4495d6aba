"""The store: whatever comes in whatever order, what it knows is the newest, and ghosts do not stay."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest

from sse_operator.cluster.kinds import CONFIG_MAPS, NAMESPACES, PODS, SECRETS, SSE_APIS, SSE_GATEWAYS
from sse_operator.cluster.store import UNATTACHED, Store
from sse_operator.compiler.model import DefaultGateway


def api(name: str = "prices", *, version: int, uid: str = "u1", namespace: str = "shop", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "sse-gateway.dev/v1alpha1",
        "kind": "SseApi",
        "metadata": {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": str(version)},
        "spec": {"contextPath": f"/{name}", "target": "https://origin.example/sse", **spec},
    }


def config_map(name: str, *, version: int, gateway: str | None = "default") -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": "shop",
        "uid": name,
        "resourceVersion": str(version),
        "managedFields": [{"manager": "sse-gateway"}],
    }
    if gateway:
        metadata["annotations"] = {"sse-gateway.dev/gateway": gateway}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def secret(name: str = "ably", *, version: int, usable: bool = True, namespace: str = "shop") -> dict[str, Any]:
    labels = {"sse-gateway.dev/use": "true"} if usable else {}
    metadata = {
        "name": name, "namespace": namespace, "uid": name, "resourceVersion": str(version), "labels": labels
    }  # fmt: skip
    return {"metadata": metadata, "data": {"token": "c2stMQ=="}}


def namespace(name: str, *, version: int, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": name, "resourceVersion": str(version), "labels": labels}}


@pytest.fixture
def store() -> Store:
    return Store(DefaultGateway())


def took_list(store: Store, documents: list[dict[str, Any]], version: int, namespace: str | None = None) -> None:
    store.evict(SSE_APIS, store.put_listed(SSE_APIS, documents), version, namespace)


def names(store: Store) -> list[str]:
    return [each.metadata.name for each in store.apis.of_gateway("shop/default")]


def test_only_news_concern_a_gateway(store: Store) -> None:
    assert store.put(SSE_APIS, api(version=5)) == {"shop/default"}
    assert store.put(SSE_APIS, api(version=5)) == set()
    assert store.put(SSE_APIS, api(version=4, suspend=True)) == set()
    known = store.apis.get(("shop", "prices"))
    assert known
    assert known.spec
    assert known.spec.suspend is None


def test_an_api_that_moves_concerns_both_gateways(store: Store) -> None:
    store.put(SSE_APIS, api(version=1))
    moved = api(version=2, gatewayRef={"name": "edge", "namespace": "infra"})
    assert store.put(SSE_APIS, moved) == {"shop/default", "infra/edge"}
    assert names(store) == []
    assert store.gateway_keys() == {"infra/edge"}


def test_an_api_with_a_faulty_reference_belongs_to_none(store: Store) -> None:
    assert store.put(SSE_APIS, api(version=1, gatewayRef={"name": "No Name"})) == {UNATTACHED}


def test_a_list_evicts_what_was_deleted_while_the_watch_was_broken(store: Store) -> None:
    store.put(SSE_APIS, api("ghost", version=1))
    store.put(SSE_APIS, api("stays", version=2, uid="u2"))
    took_list(store, [api("stays", version=2, uid="u2")], 9)
    assert names(store) == ["stays"]


def test_an_older_list_neither_deletes_nor_brings_back_what_is_newer(store: Store) -> None:
    store.put(SSE_APIS, api("new", version=20))
    store.put(SSE_APIS, api("gone", version=5, uid="u2"))
    store.delete(SSE_APIS, api("gone", version=15, uid="u2"))
    store.put(SSE_APIS, api("edited", version=18, uid="u3", suspend=True))
    older = [api("gone", version=5, uid="u2"), api("edited", version=4, uid="u3")]
    took_list(store, older, 10)
    assert names(store) == ["edited", "new"]
    edited = store.apis.get(("shop", "edited"))
    assert edited
    assert edited.spec
    assert edited.spec.suspend


def test_a_late_event_brings_nothing_back_that_a_list_did_not_have(store: Store) -> None:
    took_list(store, [], 10)
    assert store.put(SSE_APIS, api(version=7)) == set()
    assert names(store) == []
    assert store.put(SSE_APIS, api(version=11)) == {"shop/default"}


def test_a_list_comes_in_pages(store: Store) -> None:
    store.put(SSE_APIS, api("ghost", version=1))
    listed = store.put_listed(SSE_APIS, [api("first", version=2, uid="u2")])
    listed |= store.put_listed(SSE_APIS, [api("second", version=3, uid="u3")])
    assert names(store) == ["first", "ghost", "second"]
    store.evict(SSE_APIS, listed, 9, None)
    assert names(store) == ["first", "second"]


def test_a_list_of_one_namespace_says_nothing_of_others(store: Store) -> None:
    store.put(SSE_APIS, api(version=1))
    took_list(store, [], 10, "other")
    assert names(store) == ["prices"]
    took_list(store, [], 10, "shop")
    assert names(store) == []


def test_an_object_made_anew_is_not_deleted_by_its_forerunners_end(store: Store) -> None:
    events: list[Callable[[], object]] = [
        lambda: store.put(SSE_APIS, api(version=1, uid="before")),
        lambda: store.delete(SSE_APIS, api(version=2, uid="before")),
        lambda: store.put(SSE_APIS, api(version=3, uid="now")),
    ]
    for order in permutations(events):
        store = Store(DefaultGateway())
        for event in order:
            event()
        known = store.apis.get(("shop", "prices"))
        assert known
        assert known.metadata.uid == "now"


def test_children_lead_to_their_gateway_without_bookkeeping_of_fields(store: Store) -> None:
    assert store.put(CONFIG_MAPS, config_map("sse-default-config", version=1)) == {"shop/default"}
    assert store.put(CONFIG_MAPS, config_map("stray", version=1, gateway=None)) == set()
    (child,) = store.children[CONFIG_MAPS].of_gateway("shop/default")
    assert "managedFields" not in child["metadata"]
    assert store.gateway_keys() == {"shop/default"}
    assert store.delete(CONFIG_MAPS, config_map("sse-default-config", version=2)) == {"shop/default"}
    assert store.gateway_keys() == set()


BEARER = {"credentials": {"bearer": {"secretRef": {"name": "ably"}}}}


def test_a_secret_concerns_the_gateways_of_the_apis_that_refer_to_it(store: Store) -> None:
    assert store.put(SECRETS, secret(version=1)) == set()
    store.put(SSE_APIS, api("one", version=2, uid="u1", upstream=BEARER))
    edge = {"name": "edge", "namespace": "infra"}
    store.put(SSE_APIS, api("two", version=3, uid="u2", upstream=BEARER, gatewayRef=edge))
    store.put(SSE_APIS, api("three", version=4, uid="u3", namespace="other", upstream=BEARER))
    assert store.put(SECRETS, secret(version=5)) == {"shop/default", "infra/edge"}
    assert store.put(SECRETS, secret(version=5)) == set()
    assert store.put(SECRETS, secret("other", version=6)) == set()
    store.put(SSE_APIS, api("two", version=7, uid="u2"))
    assert store.delete(SECRETS, secret(version=8)) == {"shop/default"}


def test_apis_use_labelled_secrets_of_their_namespace_only(store: Store) -> None:
    store.put(SSE_APIS, api(version=1, upstream=BEARER))
    apis = store.apis.of_gateway("shop/default")
    assert store.usable(SECRETS, apis) == {}
    store.put(SECRETS, secret(version=2, namespace="other"))
    store.put(SECRETS, secret("else", version=3))
    store.put(SECRETS, secret(version=4, usable=False))
    assert store.usable(SECRETS, apis) == {}
    store.put(SECRETS, secret(version=5))
    assert {name: found.data for name, found in store.usable(SECRETS, apis).items()} == {
        "shop/ably": {"token": b"sk-1"}
    }


def test_a_gateway_uses_labelled_secrets_too(store: Store) -> None:
    metadata = {"name": "edge", "namespace": "shop", "uid": "g", "resourceVersion": "1"}
    store.put(SSE_GATEWAYS, {"metadata": metadata, "spec": {"tls": {"certificateRefs": [{"name": "ably"}]}}})
    assert store.put(SECRETS, secret(version=2)) == {"shop/edge"}
    gateway = store.gateway("shop/edge")
    assert gateway
    assert list(store.usable(SECRETS, [gateway])) == ["shop/ably"]
    assert store.put(SECRETS, secret(version=3, usable=False)) == {"shop/edge"}
    assert store.usable(SECRETS, [gateway]) == {}


def test_a_namespaces_labels_concern_gateways_in_it_and_those_it_attaches_to(store: Store) -> None:
    store.put(SSE_APIS, api(version=1, gatewayRef={"name": "edge", "namespace": "infra"}))
    gateway = {"metadata": {"name": "own", "namespace": "shop", "uid": "g", "resourceVersion": "1"}, "spec": {}}
    store.put(SSE_GATEWAYS, gateway)
    assert store.put(NAMESPACES, namespace("shop", version=1, team="a")) == {"infra/edge", "shop/own"}
    assert store.put(NAMESPACES, namespace("shop", version=2, team="a")) == set()
    assert store.put(NAMESPACES, namespace("shop", version=3, team="b")) == {"infra/edge", "shop/own"}
    known = store.namespace("shop")
    assert known
    assert known.labels == {"team": "b"}
    assert not known.terminating


@pytest.mark.parametrize(
    ("change", "serves"),
    [
        ({}, True),
        ({"status": {"podIP": "10.0.0.1", "conditions": []}}, False),
        ({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, False),
        ({"deleted": True}, False),
        (
            {"status": {"phase": "Failed", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}},
            False,
        ),
    ],
)
def test_which_pods_serve(store: Store, change: dict[str, Any], serves: bool) -> None:
    metadata = config_map("pod", version=1)["metadata"]
    if change.pop("deleted", False):
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    ready = {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}
    spec = {"containers": [{"ports": [{"name": "http", "containerPort": 1}, {"name": "admin", "containerPort": 7}]}]}
    store.put(PODS, {"metadata": metadata, "spec": spec, "status": ready, **change})
    (pod,) = store.pods.of_gateway("shop/default")
    assert pod.serves is serves
    assert pod.admin_port == 7
