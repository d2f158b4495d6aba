"""What is told of a gateway, when, and what is not told again; in virtual time, with the API server and the proxies as
far as statuses go."""

import asyncio
import itertools
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from apiserver.manifests import Document, sse_api, sse_gateway
from sse_operator.cluster.api_statuses import AT_ONCE, PATIENCE, TURN, ApiStatuses
from sse_operator.cluster.gateway_statuses import GatewayStatuses
from sse_operator.cluster.kinds import SSE_APIS, SSE_GATEWAYS, Kind
from sse_operator.cluster.nudges import Nudges
from sse_operator.cluster.pods import ProxyPod
from sse_operator.cluster.reports import Account, Reporter
from sse_operator.cluster.statuses import StatusWriter
from sse_operator.cluster.store import Store
from sse_operator.compiler.gateway import compile_gateway
from sse_operator.compiler.model import (
    CompiledGateway,
    DefaultGateway,
    Environment,
    GatewayInputs,
    Programmed,
    Revised,
)
from sse_operator.compiler.revisions import revise, with_revisions

KEY = "shop/edge"


class Cluster:
    """Holds SseApis and SseGateways, takes statuses, and says what the one proxy has loaded."""

    def __init__(self) -> None:
        self.store = Store(DefaultGateway())
        self.written: list[tuple[str, str]] = []
        """Kind and name of what got a status."""
        self.loaded = 0
        self.most_tasks = 0
        self._documents: dict[tuple[str, str], Document] = {}
        self._versions = itertools.count(1)

    def apply(self, document: Document) -> None:
        name = (document["kind"], document["metadata"]["name"])
        before = self._documents.get(name)
        generation = before["metadata"]["generation"] + 1 if before else 1
        status = before["status"] if before else {"observedGeneration": -1}
        metadata = {**document["metadata"], "uid": name[1], "generation": generation}
        self._take({**document, "metadata": metadata, "status": status})

    async def merge(self, kind: Kind, namespace: str, name: str, patch: Document, subresource: str) -> Document:
        assert subresource == "status"
        self.written.append((kind.name, name))
        self.most_tasks = max(self.most_tasks, len(asyncio.all_tasks()))
        document = self._documents[kind.name, name]
        return self._take({**document, "status": {**document["status"], **patch["status"]}})

    async def ask(self, pods: Iterable[ProxyPod], token: str) -> Programmed:
        return Programmed(ready_pods=1, loaded={"proxy": {"": self.loaded}})

    def _take(self, document: Document) -> Document:
        document = {**document, "metadata": {**document["metadata"], "resourceVersion": str(next(self._versions))}}
        self._documents[document["kind"], document["metadata"]["name"]] = document
        self.store.put(SSE_APIS if document["kind"] == "SseApi" else SSE_GATEWAYS, document)
        return document

    def reason(self, kind: str, name: str) -> str:
        conditions = self._documents[kind, name]["status"]["conditions"]
        return next(each["reason"] for each in conditions if each["type"] == "Ready")

    def status(self, kind: str, name: str) -> Document:
        return cast("Document", self._documents[kind, name]["status"])


class Gateway:
    """Compiles the gateway of a cluster, and has it told."""

    def __init__(self, cluster: Cluster) -> None:
        self.now = 1000.0
        self.again: list[float] = []
        self._cluster = cluster
        self._compiled: CompiledGateway | None = None
        self._revised: Revised | None = None
        nobody = cast("Any", None)
        events = cast("Any", type("Events", (), {"tell": staticmethod(lambda notice: None)}))
        writer = StatusWriter(cast("Any", cluster), cluster.store, events)
        clocks: Any = {"now": lambda: datetime.fromtimestamp(self.now, UTC), "clock": lambda: self.now}
        self.reporter = Reporter(
            cluster.store,
            cast("Any", cluster),
            Nudges(nobody, cluster.store, lambda: self.now, wanted=False),
            GatewayStatuses(writer, cluster.store, **clocks),
            ApiStatuses(writer, cluster.store, **clocks),
            again=lambda _, delay: self.again.append(delay),
        )

    async def written(self) -> int:
        """Tell of what it is now: the revision of its config."""
        store = self._cluster.store
        gateway = store.gateway(KEY)
        inputs = GatewayInputs(KEY, gateway, store.apis.of_gateway(KEY))
        compiled = compile_gateway(inputs, Environment(), datetime.fromtimestamp(self.now, UTC), self._compiled)
        before = self._revised
        self._revised = revise(compiled, before.index if before else None, before.shards if before else {})
        self._compiled = with_revisions(compiled, self._revised)
        await self.reporter.tell(
            Account(KEY, gateway, self._compiled, self._revised, self._revised.index_changed, "token")
        )
        return self._revised.index.revision


@pytest.fixture
async def cluster() -> Cluster:
    cluster = Cluster()
    cluster.apply(sse_gateway("shop", "edge"))
    return cluster


@pytest.fixture
async def gateway(cluster: Cluster) -> Gateway:
    """With one SseApi, of which all is told."""
    gateway = Gateway(cluster)
    cluster.apply(sse_api("shop", "prices", gatewayRef={"name": "edge"}))
    cluster.loaded = 1
    assert await gateway.written() == 1
    assert cluster.written == [("SseGateway", "edge"), ("SseApi", "prices")]
    assert cluster.reason("SseApi", "prices") == "Ready"
    await gateway.written()
    await gateway.reporter.work(KEY)
    cluster.written.clear()
    gateway.again.clear()
    gateway.now += 60
    return gateway


async def test_what_is_held_anew_is_told_before_anything_else_and_the_rest_in_its_turn(
    cluster: Cluster, gateway: Gateway
) -> None:
    cluster.apply(sse_api("shop", "prices", gatewayRef={"name": "edge"}, version="2"))
    cluster.loaded = await gateway.written()
    assert cluster.written == []
    assert gateway.again
    await gateway.reporter.work(KEY)
    assert cluster.written == [("SseGateway", "edge"), ("SseApi", "prices")]
    assert cluster.status("SseApi", "prices")["observedGeneration"] == 2

    cluster.apply(sse_api("shop", "prices", gatewayRef={"name": "edge"}, contextPath="/moved"))
    await gateway.written()
    assert cluster.status("SseApi", "prices")["claim"]["contextPath"] == "/moved"


async def test_what_was_told_is_not_told_again(cluster: Cluster, gateway: Gateway) -> None:
    cluster.apply(sse_api("shop", "prices", gatewayRef={"name": "edge"}, version="2"))
    cluster.loaded = await gateway.written()
    await gateway.reporter.work(KEY)
    cluster.written.clear()
    for _ in range(2):
        await gateway.reporter.work(KEY)
        await gateway.written()
    assert cluster.written == []


async def test_many_edits_are_told_of_at_once_and_the_gateways_status_waits_a_little(
    cluster: Cluster, gateway: Gateway
) -> None:
    began = gateway.now
    for number in range(12):
        cluster.apply(sse_api("shop", "prices", gatewayRef={"name": "edge"}, version=f"1.{number}"))
        cluster.loaded = await gateway.written()
        await gateway.reporter.work(KEY)
        gateway.now += 0.5
    assert gateway.now - began == 2 * PATIENCE
    assert cluster.written.count(("SseGateway", "edge")) == 2
    revision = cluster.loaded
    assert cluster.status("SseGateway", "edge")["revision"] < revision
    assert gateway.again[-1] <= PATIENCE
    gateway.now += gateway.again[-1]
    await gateway.reporter.work(KEY)
    assert cluster.status("SseGateway", "edge")["revision"] == revision


async def test_what_the_proxies_do_not_get_is_told_after_a_while(cluster: Cluster, gateway: Gateway) -> None:
    cluster.apply(sse_api("shop", "prices", gatewayRef={"name": "edge"}, version="2"))
    await gateway.written()
    await gateway.reporter.work(KEY)
    assert cluster.written == []
    gateway.now += PATIENCE
    await gateway.reporter.work(KEY)
    assert cluster.reason("SseGateway", "edge") == cluster.reason("SseApi", "prices") == "Pending"
    cluster.loaded = 2
    await gateway.reporter.work(KEY)
    assert cluster.reason("SseGateway", "edge") == cluster.reason("SseApi", "prices") == "Ready"


async def test_an_sse_api_that_went_to_another_gateway_is_not_told_of(cluster: Cluster, gateway: Gateway) -> None:
    cluster.apply(sse_api("shop", "prices", gatewayRef={"name": "edge"}, version="2"))
    cluster.loaded = await gateway.written()
    cluster.apply(sse_api("shop", "prices", gatewayRef={"name": "other"}))
    await gateway.reporter.work(KEY)
    assert ("SseApi", "prices") not in cluster.written


async def test_thousands_are_told_of_a_few_at_a_time_and_others_have_their_turn(
    cluster: Cluster, gateway: Gateway
) -> None:
    names = [f"api-{number}" for number in range(4 * TURN)]
    for name in names:
        cluster.apply(sse_api("shop", name, contextPath=f"/{name}", gatewayRef={"name": "edge"}))
    cluster.loaded = 9
    await gateway.written()
    assert [name for kind, name in cluster.written if kind == "SseApi"] == sorted(names)
    assert cluster.most_tasks < AT_ONCE + 8

    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(turn())
    anew = Gateway(cluster)
    await anew.written()
    await anew.reporter.work(KEY)
    other.cancel()
    assert [kind for kind, _ in cluster.written].count("SseApi") == len(names), "of them nothing is new"
    assert turns >= 4
