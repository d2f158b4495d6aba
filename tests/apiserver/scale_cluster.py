"""What surrounds the operator at scale: gateways with SseApis in many namespaces, and a stand-in for their proxies.

The stand-in is one server for all pods, told apart by their loopback addresses. As a proxy does, a pod says at
`/config` which revision it has, once its gateway's index is there, and only then it is ready. It loads at once what the
API server has: how long a kubelet takes is no work of the operator.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_kube_config

from apiserver.control_plane import ControlPlane
from apiserver.manifests import Document, sse_api, sse_gateway
from sse_operator.api.reading import read_sse_gateway
from sse_operator.cluster.kinds import CONFIG_MAPS, PODS, SSE_APIS, SSE_GATEWAYS, Kind
from sse_operator.resources.deployment import ADMIN_PORT_NAME, ProxyPods, deployment
from sse_operator.resources.names import GATEWAY, gateway_key_of_child

CONCURRENT = 16  # objects made at the same time
MERGE = "application/merge-patch+json"

Key = tuple[str, str]  # namespace, name


class Cluster:
    """An async context manager. All times are seconds of `time.monotonic`."""

    def __init__(self, control_plane: ControlPlane, apis: int, namespaces: int, gateways: int) -> None:
        self.namespaces = [f"team-{number:03d}" for number in range(namespaces)]
        self.apis = [(self.namespaces[number % namespaces], f"api-{number:05d}") for number in range(apis)]
        self.gateways = [(self.namespaces[number % namespaces], f"edge-{number:02d}") for number in range(gateways)]
        self.latencies: list[float] = []
        """From the moment before an edit to its ConfigMap's arrival here."""
        self._control_plane = control_plane
        self._edited: dict[Key, tuple[int, float]] = {}
        """Edits that no ConfigMap has yet: generation, and when."""
        self._configured: dict[Key, int] = {}
        self._settled: dict[Key, bool] = {}
        """Whether an SseApi's status is of its generation, and Ready."""
        self._revisions: dict[str, int] = {}
        """Of the gateways' indexes."""
        self._told: dict[str, int] = {}
        """The revisions that the gateways' statuses tell of, as far as they are Ready: up to three seconds after their
        SseApis'."""
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        configuration = Configuration()
        path = str(self._control_plane.kubeconfig)
        await load_kube_config(config_file=path, client_configuration=configuration, persist_config=False)
        self._client = ApiClient(configuration)
        self._runner = web.ServerRunner(web.Server(self._say, access_log=None))
        await self._runner.setup()
        await web.TCPSite(self._runner, "0.0.0.0", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._runner.cleanup()
        await self._client.close()

    async def fill(self) -> None:
        """Make everything that users make, and the pods; then watch what becomes of it."""
        for namespace in self.namespaces:
            self._control_plane.create_namespace(namespace)
        for number, (namespace, name) in enumerate(self.gateways):
            made = await self._create(SSE_GATEWAYS, sse_gateway(namespace, name, allowedNamespaces={"from": "All"}))
            await self._create(PODS, self._pod(made, number))
        slots = asyncio.Semaphore(CONCURRENT)

        async def make(number: int, namespace: str, name: str) -> None:
            home, gateway = self.gateways[number % len(self.gateways)]
            api = sse_api(
                namespace,
                name,
                contextPath=f"/{namespace}/{name}",
                target=f"https://{name}.example/sse?channel={name}",
                gatewayRef={"namespace": home, "name": gateway},
                timeouts={"idle": "70s"},
            )
            async with slots:
                await self._create(SSE_APIS, api)

        await asyncio.gather(*(make(number, *key) for number, key in enumerate(self.apis)))
        self._settled = dict.fromkeys(self.apis, False)
        self._tasks = [
            asyncio.create_task(self._watch(SSE_APIS, self._judge)),
            asyncio.create_task(self._watch(SSE_GATEWAYS, self._judge_gateway)),
            asyncio.create_task(self._watch(CONFIG_MAPS, self._load)),
        ]

    async def edit(self, key: Key, version: str) -> None:
        """Change the SseApi's config entry."""
        began = time.monotonic()
        self._settled[key] = False
        document = await self._request("PATCH", SSE_APIS.path(*key), {"spec": {"version": version}}, MERGE)
        generation = document["metadata"]["generation"]
        if self._configured.get(key, 0) >= generation:
            self.latencies.append(time.monotonic() - began)
        else:
            self._edited[key] = (generation, began)

    def unwritten(self) -> int:
        """How many edits no ConfigMap has yet."""
        return len(self._edited)

    async def settled(self, timeout: float) -> float:
        """Seconds until every SseApi is Ready as it is now, and every gateway with the config that it has. Raises
        TimeoutError."""
        began = time.monotonic()
        async with asyncio.timeout(timeout):
            while self._edited or not all(self._settled.values()) or self._told != self._revisions:
                self._changed.clear()
                await self._changed.wait()
        return time.monotonic() - began

    # The proxies

    def _pod(self, gateway: Document, number: int) -> Document:
        parsed = read_sse_gateway(gateway)
        assert parsed.spec
        template = deployment(parsed, parsed.spec, ProxyPods("sse-gateway:test"))["spec"]["template"]
        for port in template["spec"]["containers"][0]["ports"]:
            if port["name"] == ADMIN_PORT_NAME:
                port["containerPort"] = self._port
        metadata = {**template["metadata"], "namespace": gateway["metadata"]["namespace"], "name": f"proxy-{number}"}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}

    async def _say(self, request: web.BaseRequest) -> web.Response:
        number = int(str(request.url.host).rpartition(".")[2]) - 1
        revision = self._revisions.get("/".join(self.gateways[number]))
        return web.Response(status=503) if revision is None else web.json_response({"revision": revision})

    async def _make_ready(self, gateway: str) -> None:
        namespace, _, name = gateway.partition("/")
        number = self.gateways.index((namespace, name))
        address = f"127.0.0.{number + 1}"
        status = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        await self._request("PATCH", PODS.path(namespace, f"proxy-{number}", "status"), {"status": status}, MERGE)

    # What is watched

    async def _judge(self, api: Document) -> None:
        metadata = api["metadata"]
        self._settled[metadata["namespace"], metadata["name"]] = _is_ready(api)
        self._changed.set()

    async def _judge_gateway(self, gateway: Document) -> None:
        metadata, status = gateway["metadata"], gateway.get("status", {})
        self._told[f"{metadata['namespace']}/{metadata['name']}"] = status["revision"] if _is_ready(gateway) else 0
        self._changed.set()

    async def _load(self, config_map: Document) -> None:
        if GATEWAY not in config_map["metadata"].get("annotations", {}):
            return
        gateway = gateway_key_of_child(config_map["metadata"])
        for file, text in config_map.get("data", {}).items():
            content = json.loads(text)
            if file == "index.json" and gateway:
                first = gateway not in self._revisions
                self._revisions[gateway] = content["revision"]
                self._changed.set()
                if first:
                    await self._make_ready(gateway)
            for entry in content.get("apis", ()):
                self._configure((entry["namespace"], entry["name"]), entry["generation"])

    def _configure(self, key: Key, generation: int) -> None:
        self._configured[key] = generation
        edited = self._edited.get(key)
        if edited and edited[0] <= generation:
            del self._edited[key]
            self.latencies.append(time.monotonic() - edited[1])
            self._changed.set()

    async def _watch(self, kind: Kind, handle: Callable[[Document], Any]) -> None:
        """Every object of the kind as it is and becomes; what it was before is told again after a break."""
        query = f"watch=1&labelSelector={kind.selector.replace('=', '%3D')}" if kind.selector else "watch=1"
        url = f"{self._control_plane.url}{kind.path()}?{query}"
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                answer = await self._client.rest_client.request(
                    "GET", url, _request_timeout=aiohttp.ClientTimeout(total=None, sock_connect=5)
                )
                if answer.status != 200:  # it has just been started anew
                    await answer.read()
                    await asyncio.sleep(1)
                    continue
                async for line in _lines(answer.response):
                    event = json.loads(line)
                    if event["type"] in ("ADDED", "MODIFIED"):
                        await handle(event["object"])

    async def _create(self, kind: Kind, document: Document) -> Document:
        created = await self._request("POST", kind.path(document["metadata"]["namespace"]), document)
        return {**created, "apiVersion": kind.api_version, "kind": kind.name}

    async def _request(
        self, method: str, path: str, body: Document, content_type: str = "application/json"
    ) -> Document:
        headers = {"Content-Type": content_type}
        url = f"{self._control_plane.url}{path}"
        answer = await self._client.rest_client.request(method, url, headers=headers, body=body)
        text = await answer.read()
        if answer.status >= 400:
            raise AssertionError(f"{method} {path}: {answer.status} {text.decode()}")
        document: Document = json.loads(text)
        return document


def _is_ready(document: Document) -> bool:
    """As it is now."""
    metadata, status = document["metadata"], document.get("status", {})
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", ()))
    return ready and status.get("observedGeneration") == metadata["generation"]


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The lines of a watch, each of any length."""
    rest = b""
    async with response:
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line
