"""The operator against a real API server, with real proxies behind it: from YAML to served, changed and gone."""

import asyncio
import base64
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from apiserver.control_plane import ApiError, ControlPlane
from apiserver.node import Node, RunningPod
from apiserver.operator_process import USER, OperatorProcess
from sse_operator.local.demo_source import DemoSource
from sse_proxy.config import shard_of

API_VERSION = "sse-gateway.dev/v1alpha1"
CHILD_KINDS = (
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("apps/v1", "Deployment"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
)
USABLE = {"sse-gateway.dev/use": "true"}
PLURALS = {"NetworkPolicy": "networkpolicies", "Ingress": "ingresses"}
DEMO = {"Authorization": "Basic " + base64.b64encode(b"demo:demo").decode()}

Document = dict[str, Any]


@pytest.fixture(scope="module")
def operator(operator_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """One operator for all tests, with the rights of deploy/rbac.yaml and no others."""
    log = tmp_path_factory.mktemp("operator") / "log"
    flags = ["--default-gateway-grace=1s", "--sweep-interval=1h"]
    with OperatorProcess(operator_kubeconfig, log, flags=flags) as process:
        yield process
        code = process.stop()
    assert code == 0, log.read_text()[-3000:]
    unexpected = [line for line in process.lines() if line["level"] == "error" or ": 403 " in line["message"]]
    assert not unexpected


class Cluster:
    """What a user does and sees in one namespace."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self.control_plane = control_plane
        self.namespace = namespace

    async def apply(self, kind: str, name: str, spec: Document, namespace: str | None = None) -> Document:
        metadata = {"name": name, "namespace": namespace or self.namespace}
        manifest = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
        (applied,) = await asyncio.to_thread(self.control_plane.apply, manifest)
        return dict(applied)

    async def get(self, kind: str, name: str, api_version: str = API_VERSION) -> Document | None:
        return await asyncio.to_thread(self.control_plane.get, api_version, kind, self.namespace, name)

    async def request(self, method: str, kind: str, name: str, api_version: str = API_VERSION, **more: Any) -> Document:
        metadata = {"name": name, "namespace": self.namespace}
        path = self.control_plane.resource_path({"apiVersion": api_version, "kind": kind, "metadata": metadata})
        return dict(await asyncio.to_thread(self.control_plane.request, method, path, **more))

    async def merge(self, kind: str, name: str, patch: Document, api_version: str = API_VERSION) -> Document:
        content_type = "application/merge-patch+json"
        return await self.request("PATCH", kind, name, api_version, body=patch, content_type=content_type)

    async def apply_secret(self, name: str, labels: Mapping[str, str] | None = None, **data: str) -> None:
        """A Secret that SseApis may use, unless `labels` are given."""
        metadata = {"name": name, "namespace": self.namespace, "labels": dict(USABLE if labels is None else labels)}
        manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
        await asyncio.to_thread(self.control_plane.apply, manifest)

    async def until(
        self, kind: str, name: str, holds: Callable[[Document], bool], api_version: str = API_VERSION
    ) -> Document:
        """The object, once it exists and `holds` of it."""
        document: Document | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(15):
                while True:
                    document = await self.get(kind, name, api_version)
                    if document and holds(document):
                        return document
                    await asyncio.sleep(0.02)
        raise AssertionError(f"{kind} {name} did not become as expected: {document}")

    async def until_gone(self, kind: str, name: str, api_version: str = API_VERSION) -> None:
        async with asyncio.timeout(15):
            while True:
                if await self.get(kind, name, api_version) is None:
                    return
                await asyncio.sleep(0.02)

    async def children(self) -> list[Document]:
        """Everything in the namespace of the kinds that a gateway owns."""
        found = []
        for api_version, kind in CHILD_KINDS:
            prefix = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
            plural = PLURALS.get(kind, f"{kind.lower()}s")
            path = f"{prefix}/namespaces/{self.namespace}/{plural}"
            listed = await asyncio.to_thread(self.control_plane.request, "GET", path)
            found += [{**item, "kind": kind} for item in listed["items"]]
        return found

    def writes(self) -> list[str]:
        """What the operator wrote so far, in any namespace, its lease and Events aside."""
        return [
            f"{event['verb']} {event['requestURI']} {event['responseStatus']['code']}"
            for event in self.control_plane.audit_events()
            if event["user"]["username"] == USER
            and event["verb"] not in ("get", "list", "watch")
            and event["objectRef"]["resource"] not in ("leases", "events")
        ]


@pytest.fixture
def cluster(control_plane: ControlPlane, operator: OperatorProcess, namespace: str) -> Cluster:
    return Cluster(control_plane, namespace)


@pytest.fixture
async def node(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Node]:
    async with Node(cluster.control_plane, cluster.namespace, tmp_path) as node:
        yield node


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=None, sock_read=10)
    async with aiohttp.ClientSession(headers=DEMO, timeout=timeout) as session:
        yield session


@pytest.fixture
async def source() -> AsyncIterator[DemoSource]:
    async with DemoSource() as source:
        yield source


def condition(document: Document, kind: str) -> Document:
    """The condition of that type; an empty one where there is none."""
    conditions = document.get("status", {}).get("conditions", [])
    return next((dict(each) for each in conditions if each["type"] == kind), {})


def ready(document: Document) -> bool:
    """Ready, as `kubectl wait` would see it, for the object as it is now."""
    judged = document["status"]["observedGeneration"] == document["metadata"]["generation"]
    return judged and condition(document, "Ready").get("status") == "True"


def refused(reason: str) -> Callable[[Document], bool]:
    return lambda document: condition(document, "Ready").get("reason") == reason


async def answers(client: aiohttp.ClientSession, pod: RunningPod, path: str, status: int) -> aiohttp.ClientResponse:
    """The first response of the pod at `path` that has this status."""
    async with asyncio.timeout(15):
        while True:
            response = await client.get(f"http://{pod.address}:8080{path}")
            if response.status == status:
                return response
            response.close()
            await asyncio.sleep(0.01)


async def event(response: aiohttp.ClientResponse) -> str:
    """The next event of a stream."""
    async with asyncio.timeout(10):
        return (await response.content.readuntil(b"\n\n")).decode()


async def test_from_yaml_to_served_changed_and_gone(
    cluster: Cluster, node: Node, client: aiohttp.ClientSession, source: DemoSource, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = {"contextPath": "/sseconsumer", "target": source.url("one"), "timeouts": {"idle": "70s"}}
    await cluster.apply("SseApi", "ably", spec)
    (pod,) = await node.ready()
    made = await cluster.until("SseApi", "ably", ready)
    assert made["status"]["urls"] == [f"http://sse-default.{cluster.namespace}.svc/sseconsumer"]
    assert made["status"]["gateway"] == f"{cluster.namespace}/default"
    gateway = await cluster.until("SseGateway", "default", ready)
    assert gateway["status"]["attached"] == gateway["status"]["readyReplicas"] == 1
    deployment = await cluster.get("Deployment", "sse-default", "apps/v1")
    assert deployment

    stream = await answers(client, pod, "/sseconsumer", 200)
    await source.subscribed("one")
    source.publish("one", "first")
    assert '"data": "first"' in await event(stream)

    began = time.monotonic()
    await cluster.apply("SseApi", "second", {"contextPath": "/second", "target": source.url("two")})
    (await answers(client, pod, "/second", 200)).close()
    served = time.monotonic() - began
    await cluster.until("SseApi", "second", ready)
    programmed = time.monotonic() - began

    began = time.monotonic()
    await cluster.apply("SseApi", "ably", {**spec, "target": f"http://{source.address}/nowhere"})
    (await answers(client, pod, "/sseconsumer", 404)).close()
    edited = time.monotonic() - began
    source.publish("one", "still here")
    assert '"data": "still here"' in await event(stream)
    await cluster.until("SseApi", "ably", ready)

    began = time.monotonic()
    await cluster.request("DELETE", "SseApi", "second")
    async with asyncio.timeout(15):
        while (response := await client.get(f"http://{pod.address}:8080/second")).status != 404:
            response.close()
            await asyncio.sleep(0.01)
    deleted = time.monotonic() - began
    assert "application/problem+json" in response.headers["Content-Type"]
    response.close()
    source.publish("one", "and here")
    assert '"data": "and here"' in await event(stream)
    stream.close()

    after = await cluster.get("Deployment", "sse-default", "apps/v1")
    assert after
    assert after["metadata"]["generation"] == deployment["metadata"]["generation"]
    assert after["spec"]["template"] == deployment["spec"]["template"]
    assert list(node.pods) == [pod.name]
    with capsys.disabled():
        print(
            f"\n  from apply to served {served:.2f} s, to Programmed {programmed:.2f} s;"
            f" from edit to served {edited:.2f} s; from delete to gone {deleted:.2f} s"
        )
    assert max(served, edited, deleted) < 10  # the kubelet by itself would take a minute


async def test_a_secret_is_served_rotated_and_missed(
    cluster: Cluster, node: Node, source: DemoSource, operator: OperatorProcess
) -> None:
    """Credentials for upstream, from a Secret that SseApis may use; the demo source lets nobody else in."""
    secrets_name = f"sse-default-secrets-{shard_of(cluster.namespace, 'ably')}"
    spec = {
        "contextPath": "/sseconsumer",
        "target": source.url("one"),
        "upstream": {"credentials": {"basic": {"secretRef": {"name": "ably"}}}},
    }
    await cluster.apply_secret("ably", labels={}, username="demo", password="demo")
    await cluster.apply("SseApi", "ably", spec)
    (pod,) = await node.ready()
    missing = await cluster.until("SseApi", "ably", refused("SecretNotFound"))
    label = f"kubectl label secret -n {cluster.namespace} ably sse-gateway.dev/use=true"
    assert condition(missing, "ResolvedRefs")["message"].endswith(label)
    async with aiohttp.ClientSession() as client:
        (await answers(client, pod, "/sseconsumer", 503)).close()
        deployment = await cluster.get("Deployment", "sse-default", "apps/v1")
        assert deployment

        await cluster.apply_secret("ably", username="demo", password="demo")
        stream = await answers(client, pod, "/sseconsumer", 200)
        await cluster.until("SseApi", "ably", ready)
        assert await cluster.get("Secret", secrets_name, "v1")

        await cluster.apply_secret("ably", username="demo", password="canary-not-demo")
        (await answers(client, pod, "/sseconsumer", 401)).close()
        source.publish("one", "still here")
        assert '"data": "still here"' in await event(stream)
        stream.close()
        await cluster.apply_secret("ably", username="demo", password="demo")
        (await answers(client, pod, "/sseconsumer", 200)).close()

        await cluster.request("DELETE", "Secret", "ably", "v1")
        gone = await cluster.until("SseApi", "ably", refused("SecretNotFound"))
        assert condition(gone, "ResolvedRefs")["status"] == "False"
        (await answers(client, pod, "/sseconsumer", 503)).close()
    await cluster.until_gone("Secret", secrets_name, "v1")
    after = await cluster.get("Deployment", "sse-default", "apps/v1")
    assert after
    assert after["metadata"]["generation"] == deployment["metadata"]["generation"]
    assert "canary" not in operator.log.read_text() + (pod.folder / "log").read_text()


async def test_a_gateways_certificate_comes_is_renewed_and_missed(
    cluster: Cluster, node: Node, source: DemoSource, client: aiohttp.ClientSession
) -> None:
    authority = trustme.CA()
    tls = ssl.create_default_context()
    authority.configure_trust(tls)

    async def renew() -> bytes:
        """A new certificate in the Secret; its serial number as DER."""
        issued = authority.issue_cert("events.example")
        chain = "".join(each.bytes().decode() for each in issued.cert_chain_pems)
        await cluster.apply_secret("events", **{"tls.crt": chain, "tls.key": issued.private_key_pem.bytes().decode()})
        return ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())

    async def shown(pod: RunningPod, wanted: bytes) -> None:
        async with asyncio.timeout(15):
            while True:
                with contextlib.suppress(ssl.SSLError):
                    opened = asyncio.open_connection(pod.address, 8443, ssl=tls, server_hostname="events.example")
                    _, writer = await opened
                    got = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
                    writer.transport.abort()  # a TLS goodbye would outlast the test's event loop
                    if got == wanted:
                        return
                await asyncio.sleep(0.02)

    await cluster.apply("SseGateway", "default", {})
    await cluster.apply("SseApi", "prices", {"contextPath": "/prices", "target": source.url("one")})
    (pod,) = await node.ready()
    await cluster.until("SseApi", "prices", ready)
    deployment = await cluster.get("Deployment", "sse-default", "apps/v1")
    assert deployment
    stream = await answers(client, pod, "/prices", 200)

    await cluster.apply("SseGateway", "default", {"tls": {"certificateRefs": [{"name": "events"}]}})
    missing = await cluster.until("SseGateway", "default", refused("SecretNotFound"))
    assert condition(missing, "Accepted")["status"] == "True"
    await shown(pod, await renew())
    await cluster.until("SseGateway", "default", ready)
    inside = f"sse-default.{cluster.namespace}.svc"
    urls = [f"https://{inside}/prices", f"http://{inside}/prices"]
    await cluster.until("SseApi", "prices", lambda document: document["status"]["urls"] == urls)
    service = await cluster.get("Service", "sse-default", "v1")
    assert service
    assert [each["port"] for each in service["spec"]["ports"]] == [80, 443]

    renewed = await renew()
    await shown(pod, renewed)
    await cluster.request("DELETE", "Secret", "events", "v1")
    await cluster.until("SseGateway", "default", refused("SecretNotFound"))
    await cluster.merge("SseApi", "prices", {"spec": {"version": "2"}})
    await cluster.until("SseApi", "prices", ready)
    await shown(pod, renewed)

    source.publish("one", "still here")
    assert '"data": "still here"' in await event(stream)
    stream.close()
    after = await cluster.get("Deployment", "sse-default", "apps/v1")
    assert after
    assert after["metadata"]["generation"] == deployment["metadata"]["generation"]


async def test_a_key_lets_in_until_it_is_taken_out(cluster: Cluster, node: Node, source: DemoSource) -> None:
    keys = {"alice": "canary-of-alice", "bob": "canary-of-bob"}
    await cluster.apply_secret("keys", **keys)
    await cluster.apply_secret("ably", username="demo", password="demo")
    spec = {
        "contextPath": "/sseconsumer",
        "target": source.url("one"),
        "upstream": {"credentials": {"basic": {"secretRef": {"name": "ably"}}}},
        "plan": {"type": "ApiKey", "apiKey": {"secretRefs": [{"name": "keys"}]}},
    }
    await cluster.apply("SseApi", "ably", spec)
    (pod,) = await node.ready()
    await cluster.until("SseApi", "ably", ready)
    async with (
        aiohttp.ClientSession() as anybody,
        aiohttp.ClientSession(headers={"X-API-Key": keys["alice"]}) as alice,
        aiohttp.ClientSession(headers={"X-API-Key": keys["bob"]}) as bob,
    ):
        refused_answer = await answers(anybody, pod, "/sseconsumer", 401)
        assert refused_answer.headers["WWW-Authenticate"] == 'ApiKey realm="/sseconsumer"'
        alices, bobs = [await answers(each, pod, "/sseconsumer", 200) for each in (alice, bob)]

        began = time.monotonic()
        await cluster.merge("Secret", "keys", {"data": {"alice": None}}, "v1")
        with pytest.raises(aiohttp.ClientPayloadError):
            async with asyncio.timeout(15):
                await alices.read()
        assert time.monotonic() - began < 7
        (await answers(alice, pod, "/sseconsumer", 401)).close()
        source.publish("one", "for bob")
        assert '"data": "for bob"' in await event(bobs)
        bobs.close()

    config_maps = [json.dumps(each) for each in await cluster.children() if each["kind"] == "ConfigMap"]
    assert any("/sseconsumer" in each for each in config_maps)
    shown = [*config_maps, (pod.folder / "log").read_text()]
    assert not [text for text in shown for key in keys.values() if key in text]
    assert '"consumer":"bob"' in shown[-1]


async def test_what_proxies_see_is_a_warning_until_it_is_mended(
    cluster: Cluster, node: Node, client: aiohttp.ClientSession, source: DemoSource
) -> None:
    """A proxy refuses streams because of a cap; any look at the gateway brings that into the status, once."""
    spec = {"contextPath": "/sseconsumer", "target": source.url("one"), "upstream": {"maxConnections": 1}}
    await cluster.apply("SseApi", "ably", spec)
    (pod,) = await node.ready()
    await cluster.until("SseApi", "ably", ready)
    stream = await answers(client, pod, "/sseconsumer", 200)
    (await answers(client, pod, "/sseconsumer", 503)).close()
    await cluster.apply("SseApi", "look", {"contextPath": "/look", "target": "https://origin.example/sse"})
    warned = await cluster.until("SseApi", "ably", lambda each: bool(each["status"].get("warnings")))
    (warning,) = warned["status"]["warnings"]
    assert warning["reason"] == condition(warned, "Warning")["reason"] == "MaxConnectionsReached"
    assert "upstream.maxConnections allows, 1, were in use" in warning["message"]
    assert condition(warned, "Ready")["status"] == "True"

    for _ in range(3):
        (await answers(client, pod, "/sseconsumer", 503)).close()
    await cluster.apply("SseApi", "look", {"contextPath": "/look/again", "target": "https://origin.example/sse"})
    await cluster.until("SseApi", "look", lambda each: ready(each) and "/look/again" in each["status"]["urls"][0])
    again = await cluster.get("SseApi", "ably")
    assert again
    assert again["metadata"]["resourceVersion"] == warned["metadata"]["resourceVersion"]

    await cluster.apply("SseApi", "ably", {**spec, "upstream": {"maxConnections": 9}})
    await cluster.until("SseApi", "ably", lambda each: ready(each) and not each["status"].get("warnings"))
    stream.close()


async def test_what_a_gateway_owns(cluster: Cluster) -> None:
    await cluster.apply("SseApi", "prices", {"contextPath": "/prices", "target": "https://origin.example/sse"})
    gateway = await cluster.until("SseGateway", "default", refused("NoReadyProxy"))
    children = await cluster.children()
    assert sorted({child["kind"] for child in children}) == sorted(kind for _, kind in CHILD_KINDS)
    for child in children:
        metadata = child["metadata"]
        (owner,) = metadata["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("SseGateway", gateway["metadata"]["uid"])
        assert owner["controller"]
        assert "finalizers" not in metadata
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "sse-gateway"
        assert {entry["manager"] for entry in metadata["managedFields"]} == {"sse-gateway"}
    assert "finalizers" not in gateway["metadata"]
    shards = [child["metadata"]["name"] for child in children if child["kind"] == "ConfigMap"]
    assert len(shards) == 2

    await cluster.request("DELETE", "SseApi", "prices")
    (shard,) = set(shards) - {"sse-default-config"}
    await cluster.until_gone("ConfigMap", shard, "v1")


async def test_the_holder_keeps_a_context_path_and_the_next_takes_over(cluster: Cluster) -> None:
    spec = {"contextPath": "/prices", "target": "https://origin.example/sse"}
    await cluster.apply("SseApi", "holder", spec)
    await cluster.until("SseApi", "holder", refused("NoReadyProxy"))
    await cluster.apply("SseApi", "a-late-one", spec)
    late = await cluster.until("SseApi", "a-late-one", refused("ContextPathConflict"))
    assert f"{cluster.namespace}/holder" in condition(late, "Accepted")["message"]
    holder = await cluster.get("SseApi", "holder")
    assert holder
    assert condition(holder, "Accepted")["status"] == "True"
    await cluster.request("DELETE", "SseApi", "holder")
    await cluster.until("SseApi", "a-late-one", lambda api: condition(api, "Accepted").get("status") == "True")


async def test_other_namespaces_attach_only_where_they_may(
    cluster: Cluster, control_plane: ControlPlane, request: pytest.FixtureRequest
) -> None:
    guest = Cluster(control_plane, control_plane.create_namespace(f"{cluster.namespace}-guest"))
    request.addfinalizer(lambda: control_plane.delete_namespace(guest.namespace))
    spec = {
        "contextPath": "/prices",
        "target": "https://origin.example/sse",
        "gatewayRef": {"name": "edge", "namespace": cluster.namespace},
    }
    await guest.apply("SseApi", "prices", spec)
    missing = await guest.until("SseApi", "prices", refused("GatewayNotFound"))
    assert f"{cluster.namespace}/edge" in condition(missing, "Ready")["message"]
    assert not await cluster.get("SseGateway", "default")

    await cluster.apply("SseGateway", "edge", {})
    await guest.until("SseApi", "prices", refused("NotAllowedByGateway"))

    team = {"matchLabels": {"team": "streams"}}
    await cluster.apply("SseGateway", "edge", {"allowedNamespaces": {"from": "Selector", "selector": team}})
    await guest.until("SseApi", "prices", refused("NotAllowedByGateway"))
    await asyncio.to_thread(
        control_plane.request,
        "PATCH",
        f"/api/v1/namespaces/{guest.namespace}",
        {"metadata": {"labels": {"team": "streams"}}},
        content_type="application/merge-patch+json",
    )
    await guest.until("SseApi", "prices", refused("NoReadyProxy"))

    await cluster.apply("SseApi", "own", {**spec, "gatewayRef": {"name": "edge"}})
    conflict = await cluster.until("SseApi", "own", refused("ContextPathConflict"))
    assert f"{guest.namespace}/prices" in condition(conflict, "Accepted")["message"]


async def test_suspended_and_while_the_operator_is_away(
    cluster: Cluster, node: Node, operator: OperatorProcess, client: aiohttp.ClientSession, source: DemoSource
) -> None:
    stays = {"closeOnRemoval": False}
    spec: Document = {"contextPath": "/prices", "target": source.url("one"), "stream": stays}
    await cluster.apply("SseGateway", "default", {"replicas": 2})
    await cluster.apply("SseApi", "prices", spec)
    pods = await node.ready(2)
    await cluster.until("SseApi", "prices", ready)
    stream = await answers(client, pods[0], "/prices", 200)
    await source.subscribed("one")

    await cluster.apply("SseApi", "prices", {**spec, "suspend": True})
    await cluster.until("SseApi", "prices", lambda api: ready(api) and refused("Suspended")(api))
    for pod in pods:  # `Ready` says that every proxy has it
        suspended = await client.get(f"http://{pod.address}:8080/prices")
        assert suspended.status == 503
        assert int(suspended.headers["Retry-After"]) > 0
        suspended.close()
    await cluster.apply("SseApi", "prices", {**spec, "suspend": False})
    await cluster.until("SseApi", "prices", lambda api: ready(api) and refused("Ready")(api))

    assert operator.stop() == 0
    try:
        source.publish("one", "nobody is missed")
        assert "nobody is missed" in await event(stream)
        (await answers(client, pods[1], "/prices", 200)).close()
        await cluster.request("DELETE", "SseApi", "prices")
        assert await cluster.get("SseApi", "prices") is None  # no finalizer holds it
        (await answers(client, pods[1], "/prices", 200)).close()
    finally:
        operator.start()
    for pod in pods:
        (await answers(client, pod, "/prices", 404)).close()
    stream.close()


async def test_a_second_look_writes_nothing(cluster: Cluster, operator: OperatorProcess) -> None:
    for name in ("prices", "orders"):
        await cluster.apply("SseApi", name, {"contextPath": f"/{name}", "target": "https://origin.example/sse"})
    await cluster.apply("SseApi", "second", {"contextPath": "/prices", "target": "https://origin.example/sse"})
    for name, reason in (("prices", "NoReadyProxy"), ("orders", "NoReadyProxy"), ("second", "ContextPathConflict")):
        await cluster.until("SseApi", name, refused(reason))
    operator.stop()
    await asyncio.sleep(0.5)  # until what it wrote is in the audit log
    before = cluster.writes()
    operator.start()
    # It is through with its first look at everything when it has taken note of something newer.
    await cluster.apply("SseApi", "new", {"contextPath": "/new", "target": "https://origin.example/sse"})
    await cluster.until("SseApi", "new", refused("NoReadyProxy"))
    later: list[str] = []
    async with asyncio.timeout(15):
        # A request is in the audit log only some time after it was answered.
        while not any("/sseapis/new/" in write for write in later):
            await asyncio.sleep(0.05)
            later = [write for write in cluster.writes()[len(before) :] if f"/{cluster.namespace}/" in write]
    assert not [
        write
        for write in later
        if not any(part in write for part in ("/sseapis/new/", "/configmaps/", "/ssegateways/default/status"))
    ]
    assert len(later) == 4  # its shard, the index, the gateway's status with the new revision, its own status


async def test_what_is_changed_by_hand_comes_back_and_what_others_add_stays(cluster: Cluster) -> None:
    await cluster.apply("SseApi", "prices", {"contextPath": "/prices", "target": "https://origin.example/sse"})
    await cluster.until("SseApi", "prices", refused("NoReadyProxy"))
    service = await cluster.get("Service", "sse-default", "v1")
    assert service
    await cluster.merge(
        "Service",
        "sse-default",
        {"metadata": {"annotations": {"admins": "note"}}, "spec": {"selector": {"hijacked": "yes"}}},
        "v1",
    )
    # The extra selector field is nobody's business but its owner's; ours must be there.
    await cluster.merge("Service", "sse-default", {"spec": {"selector": {"sse-gateway.dev/gateway": "other"}}}, "v1")
    back = await cluster.until(
        "Service", "sse-default", lambda it: it["spec"]["selector"]["sse-gateway.dev/gateway"] == "default", "v1"
    )
    assert back["metadata"]["annotations"]["admins"] == "note"
    assert back["metadata"]["uid"] == service["metadata"]["uid"]

    await cluster.request("DELETE", "ConfigMap", "sse-default-config", "v1")
    index = await cluster.until("ConfigMap", "sse-default-config", lambda _: True, "v1")
    gateway = await cluster.until("SseGateway", "default", lambda it: it["status"]["revision"] == 2)
    assert gateway["status"]["revision"] == 2  # it only grows, also when the index got lost
    assert '"revision":2' in index["data"]["index.json"]


async def test_an_autoscaler_takes_the_replicas_over_and_gives_them_back(cluster: Cluster) -> None:
    await cluster.apply("SseGateway", "edge", {"replicas": 3})
    await cluster.until("Deployment", "sse-edge", lambda it: it["spec"]["replicas"] == 3, "apps/v1")
    await cluster.apply("SseGateway", "edge", {"autoscaling": {"maxReplicas": 9}})
    scaler = await cluster.until("HorizontalPodAutoscaler", "sse-edge", lambda _: True, "autoscaling/v2")
    assert scaler["spec"]["maxReplicas"] == 9
    kept = await cluster.get("Deployment", "sse-edge", "apps/v1")
    assert kept
    assert kept["spec"]["replicas"] == 3  # streams are not cut because nobody names a number any more

    scale = {"spec": {"replicas": 7}}  # as the autoscaler does
    path = f"/apis/apps/v1/namespaces/{cluster.namespace}/deployments/sse-edge/scale"
    await asyncio.to_thread(
        cluster.control_plane.request, "PATCH", path, scale, content_type="application/merge-patch+json"
    )
    limits = {"cpu": "2000m", "memory": "1.5Gi"}
    await cluster.apply("SseGateway", "edge", {"autoscaling": {"maxReplicas": 9}, "resources": {"limits": limits}})

    def limited(deployment: Document) -> bool:
        return "limits" in deployment["spec"]["template"]["spec"]["containers"][0]["resources"]

    scaled = await cluster.until("Deployment", "sse-edge", limited, "apps/v1")
    assert scaled["spec"]["replicas"] == 7

    await cluster.apply("SseGateway", "edge", {"replicas": 2})
    await cluster.until("Deployment", "sse-edge", lambda it: it["spec"]["replicas"] == 2, "apps/v1")
    await cluster.until_gone("HorizontalPodAutoscaler", "sse-edge", "autoscaling/v2")


async def test_an_ingress_comes_and_goes(cluster: Cluster) -> None:
    asked = {"controller": "nginx", "hosts": ["events.example.com"]}
    await cluster.apply("SseGateway", "edge", {"ingress": asked})
    made = await cluster.until("Ingress", "sse-edge", lambda _: True, "networking.k8s.io/v1")
    assert made["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    await cluster.apply("SseGateway", "edge", {"replicas": 1})
    await cluster.until_gone("Ingress", "sse-edge", "networking.k8s.io/v1")


async def test_somebody_elses_object_is_left_alone(cluster: Cluster, operator: OperatorProcess) -> None:
    runs = 'sse_gateway_operator_reconcile_seconds_count{result="refused"}'
    refused_before = (await asyncio.to_thread(operator.metrics))[runs]
    ports = [{"port": 9999}]
    foreign = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "sse-default", "namespace": cluster.namespace},
        "spec": {"ports": ports},
    }
    (before,) = await asyncio.to_thread(cluster.control_plane.apply, foreign)
    await cluster.apply("SseApi", "prices", {"contextPath": "/prices", "target": "https://origin.example/sse"})
    gateway = await cluster.until("SseGateway", "default", refused("ApplyFailed"))
    assert f"Service {cluster.namespace}/sse-default exists" in condition(gateway, "Ready")["message"]
    assert await cluster.get("Service", "sse-default", "v1") == before
    await cluster.request("DELETE", "Service", "sse-default", "v1")
    await cluster.until("SseGateway", "default", refused("NoReadyProxy"))
    assert (await asyncio.to_thread(operator.metrics))[runs] > refused_before


async def test_the_default_gateway_goes_with_its_last_user_unless_somebody_adopts_it(cluster: Cluster) -> None:
    spec = {"contextPath": "/prices", "target": "https://origin.example/sse"}
    await cluster.apply("SseApi", "prices", spec)
    gateway = await cluster.until("SseGateway", "default", lambda _: True)
    assert gateway["metadata"]["labels"]["sse-gateway.dev/auto-created"] == "true"
    await cluster.until("SseApi", "prices", refused("NoReadyProxy"))
    await cluster.request("DELETE", "SseApi", "prices")
    await cluster.until_gone("SseGateway", "default")

    await cluster.apply("SseApi", "prices", spec)
    await cluster.until("SseApi", "prices", refused("NoReadyProxy"))
    await cluster.merge("SseGateway", "default", {"metadata": {"labels": {"sse-gateway.dev/auto-created": None}}})
    await cluster.request("DELETE", "SseApi", "prices")
    await cluster.until("SseGateway", "default", lambda it: it["status"].get("attached") == 0)
    await asyncio.sleep(1.5)  # the grace period of this operator, and something
    assert await cluster.get("SseGateway", "default")


async def test_events_tell_the_story_once(cluster: Cluster) -> None:
    spec = {"contextPath": "/prices", "target": "https://origin.example/sse", "gatewayRef": {"name": "edge"}}
    await cluster.apply("SseApi", "prices", spec)
    await cluster.until("SseApi", "prices", refused("GatewayNotFound"))
    await cluster.apply("SseGateway", "edge", {"replicas": 0})
    await cluster.until("SseGateway", "edge", refused("ScaledToZero"))
    await cluster.apply("SseGateway", "edge", {"replicas": 1})
    await cluster.until("SseGateway", "edge", refused("NoReadyProxy"))

    async def events() -> list[tuple[str, str, str, int]]:
        path = f"/api/v1/namespaces/{cluster.namespace}/events"
        listed = await asyncio.to_thread(cluster.control_plane.request, "GET", path)
        items = sorted(listed["items"], key=lambda it: int(it["metadata"]["resourceVersion"]))
        return [(it["involvedObject"]["name"], it["type"], it["reason"], it["count"]) for it in items]

    expected = [
        ("prices", "Warning", "GatewayNotFound", 1),
        ("edge", "Normal", "ScaledToZero", 1),
        ("edge", "Warning", "NoReadyProxy", 1),
    ]
    async with asyncio.timeout(10):
        while (seen := await events()) != expected:
            assert len(seen) <= len(expected), seen
            await asyncio.sleep(0.05)


async def test_what_the_operator_counts(cluster: Cluster, operator: OperatorProcess) -> None:
    await cluster.apply("SseApi", "prices", {"contextPath": "/prices", "target": "https://origin.example/sse"})
    await cluster.until("SseApi", "prices", refused("NoReadyProxy"))
    metrics = await asyncio.to_thread(operator.metrics)
    assert metrics["sse_gateway_operator_leader"] == 1
    assert 0 <= metrics["sse_gateway_operator_sweep_age_seconds"] < 3600
    assert metrics["sse_gateway_operator_queue_depth"] >= 0
    assert metrics['sse_gateway_operator_reconcile_seconds_count{result="done"}'] > 0
    assert metrics['sse_gateway_operator_api_requests_total{code="200",verb="watch"}'] > 0
    assert metrics['sse_gateway_operator_api_requests_total{code="201",verb="patch"}'] > 0


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"contextPath": "prices", "target": "https://a.example"}, "must start with /"),
        ({"contextPath": "/p", "target": "https://user:word@a.example"}, "must not carry credentials"),
        ({"contextPath": "/p", "target": "https://a.example", "timeouts": {"idle": "70"}}, "units such as 70s"),
        ({"contextPath": "/p"}, "exactly one of target and endpoints"),
    ],
)
async def test_what_cannot_be_right_is_refused_at_once(cluster: Cluster, spec: Document, message: str) -> None:
    with pytest.raises(ApiError, match=message):
        await cluster.apply("SseApi", "prices", spec)
