"""A gateway's objects are rendered only where their spec, or what is in the cluster, is not as it was."""

import itertools
from collections.abc import Callable
from typing import Any, cast

import pytest

from apiserver.manifests import Document, sse_gateway
from sse_operator.api.objects import SseGateway
from sse_operator.cluster import workloads
from sse_operator.cluster.apply import Applier
from sse_operator.cluster.errors import ApiServerError
from sse_operator.cluster.kinds import DEPLOYMENTS, SERVICES, SSE_GATEWAYS, Kind
from sse_operator.cluster.store import Store
from sse_operator.cluster.workloads import Workloads
from sse_operator.compiler.model import DefaultGateway
from sse_operator.resources.deployment import ProxyPods
from sse_operator.resources.workload import Workload, workload

KEY = "shop/edge"


class ApiServer:
    """Takes what is applied, and keeps what others set beside it."""

    def __init__(self, versions: Callable[[], int]) -> None:
        self.applied: list[str] = []
        self.refused = ""
        self._versions = versions

    async def apply(self, kind: Kind, document: Document) -> Document:
        if kind.name == self.refused:
            raise ApiServerError("PATCH", 422, "Invalid", "no")
        self.applied.append(kind.name)
        return {**document, "metadata": {**document["metadata"], "resourceVersion": str(self._versions())}}

    async def get(self, kind: Kind, namespace: str, name: str) -> Document:
        raise ApiServerError("GET", 404, "NotFound", "")


class Gateway:
    """A gateway whose objects are brought in order, and how often they were rendered for that."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rendered = 0
        self.store = Store(DefaultGateway())
        self._versions = itertools.count(1)
        self.api = ApiServer(lambda: next(self._versions))
        self._generations = itertools.count(1)
        self._workloads = Workloads(
            Applier(cast("Any", self.api), self.store), self.store, Workload(ProxyPods("sse-gateway:test"))
        )

        def counted(*arguments: Any) -> Any:
            self.rendered += 1
            return workload(*arguments)

        monkeypatch.setattr(workloads, "workload", counted)
        self.edit()

    def edit(self, **spec: Any) -> None:
        document = sse_gateway("shop", "edge", **spec)
        metadata = {**document["metadata"], "generation": next(self._generations)}
        self._put(SSE_GATEWAYS, {**document, "metadata": metadata})

    def change(self, kind: Kind, change: Callable[[Document], Document]) -> None:
        """Somebody changes the gateway's object of a kind."""
        (live,) = self.store.children[kind].of_gateway(KEY)
        self._put(kind, change(live))

    def delete(self, kind: Kind) -> None:
        (live,) = self.store.children[kind].of_gateway(KEY)
        version = str(next(self._versions))
        self.store.delete(kind, {**live, "metadata": {**live["metadata"], "resourceVersion": version}})

    async def apply(self) -> tuple[int, list[str]]:
        """How often it was rendered, and what was applied."""
        self.rendered, self.api.applied = 0, []
        gateway = cast("SseGateway", self.store.gateway(KEY))
        assert gateway.spec
        self.refusals, _ = await self._workloads.apply(gateway, gateway.spec)
        return self.rendered, self.api.applied

    def _put(self, kind: Kind, document: Document) -> None:
        metadata = {**document["metadata"], "uid": "uid", "resourceVersion": str(next(self._versions))}
        self.store.put(kind, {**document, "metadata": metadata})


@pytest.fixture
async def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    gateway = Gateway(monkeypatch)
    assert (await gateway.apply())[1] == ["ServiceAccount", "Service", "PodDisruptionBudget", "Deployment"]
    assert await gateway.apply() == (1, []), "what was just written is looked at once more"
    assert await gateway.apply() == (0, [])
    return gateway


async def test_a_new_spec_is_applied(gateway: Gateway) -> None:
    gateway.edit(replicas=3)
    assert await gateway.apply() == (1, ["Deployment"])


async def test_what_is_changed_or_deleted_comes_back(gateway: Gateway) -> None:
    gateway.change(SERVICES, lambda live: {**live, "spec": {**live["spec"], "ports": []}})
    assert await gateway.apply() == (1, ["Service"])
    gateway.delete(DEPLOYMENTS)
    assert await gateway.apply() == (1, ["Deployment"])


async def test_what_others_set_is_looked_at_and_stays(gateway: Gateway) -> None:
    gateway.change(DEPLOYMENTS, lambda live: {**live, "status": {"observedGeneration": 1}})
    assert await gateway.apply() == (1, [])
    assert await gateway.apply() == (0, [])


async def test_what_is_refused_is_tried_again(gateway: Gateway) -> None:
    gateway.delete(SERVICES)
    gateway.api.refused = "Service"
    assert await gateway.apply() == (1, [])
    assert await gateway.apply() == (1, [])
    assert gateway.refusals == ["PATCH: 422 Invalid: no"]
    gateway.api.refused = ""
    assert await gateway.apply() == (1, ["Service"])
    assert gateway.refusals == []
