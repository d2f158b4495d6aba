"""A node in miniature, since the test's API server has no controllers: it runs the pods of proxy Deployments.

What it plays, as the real ones do: the Deployment controller (pods from the template, one per replica, replaced when
the template changes), the kubelet (starts each pod's command with its arguments; mounts its Secret; projects its
ConfigMaps and Secrets into a folder, atomically, when the pod starts and again only when the pod object changes; probes
readiness and writes the pod's status). Each pod gets a loopback address of its own, on which a real proxy process
listens.
"""

import asyncio
import base64
import contextlib
import hashlib
import itertools
import json
import os
import random
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_kube_config

from apiserver.control_plane import ApiError, ControlPlane

TEMPLATE_HASH = "pod-template-hash"
_addresses = (
    f"127.{random.randrange(64, 192)}.{third}.{fourth}"
    for third, fourth in itertools.product(range(random.randrange(200), 256), range(1, 255))
)


@dataclass
class RunningPod:
    """A pod's process and its folder."""

    name: str
    address: str
    folder: Path
    process: asyncio.subprocess.Process
    probes: asyncio.Task[None]
    annotations: dict[str, str] = field(default_factory=dict)
    projections: int = 0


class Node:
    """Runs the proxy pods of one namespace. An async context manager."""

    def __init__(self, control_plane: ControlPlane, namespace: str, folder: Path) -> None:
        self.pods: dict[str, RunningPod] = {}
        self._control_plane = control_plane
        self._namespace = namespace
        self._folder = folder
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        configuration = Configuration()
        await load_kube_config(
            config_file=str(self._control_plane.kubeconfig), client_configuration=configuration, persist_config=False
        )
        self._client = ApiClient(configuration)
        self._http = aiohttp.ClientSession()
        self._tasks = [
            asyncio.create_task(self._watch(f"/apis/apps/v1/namespaces/{self._namespace}/deployments", self._deploy)),
            asyncio.create_task(self._watch(f"/api/v1/namespaces/{self._namespace}/pods", self._run)),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        for name in list(self.pods):
            await self._end(name)
        await self._http.close()
        await self._client.close()
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def ready(self, pods: int = 1) -> list[RunningPod]:
        """The running pods, once this many are ready and no other runs."""
        async with asyncio.timeout(30):
            while True:
                changed = self._changed
                running = [pod for pod in self.pods.values() if pod.probes.done()]
                if len(running) == pods == len(self.pods):
                    return running
                await changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        return await asyncio.to_thread(self._control_plane.request, method, path, body, content_type=content_type)

    async def _watch(self, path: str, handle: Callable[[str, dict[str, Any]], Awaitable[None]]) -> None:
        url = f"{self._control_plane.url}{path}?watch=1"
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                answer = await self._client.rest_client.request(
                    "GET", url, _request_timeout=aiohttp.ClientTimeout(total=None, sock_connect=5)
                )
                async for line in _lines(answer.response):
                    event = json.loads(line)
                    await handle(event["type"], event["object"])
            await asyncio.sleep(0.1)  # the API server was stopped

    # The Deployment controller

    async def _deploy(self, event: str, deployment: dict[str, Any]) -> None:
        metadata, spec = deployment["metadata"], deployment["spec"]
        template = spec["template"]
        digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
        wanted = (
            {}
            if event == "DELETED"
            else {f"{metadata['name']}-{digest}-{number}": template for number in range(spec["replicas"])}
        )
        pods = f"/api/v1/namespaces/{self._namespace}/pods"
        existing = {pod["metadata"]["name"] for pod in (await self._request("GET", pods))["items"]}
        for name in wanted.keys() - existing:
            labels = {**template["metadata"]["labels"], TEMPLATE_HASH: digest}
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {**template["metadata"], "name": name, "labels": labels},
                "spec": template["spec"],
            }
            await self._request("POST", pods, pod)
        for name in existing - wanted.keys():
            if name.startswith(f"{metadata['name']}-"):
                with contextlib.suppress(ApiError):
                    await self._request("DELETE", f"{pods}/{name}")

    # The kubelet

    async def _run(self, event: str, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        running = self.pods.get(name)
        if event == "DELETED":
            await self._end(name)
        elif running is None:
            await self._start(pod)
        elif running.annotations != pod["metadata"].get("annotations", {}):
            running.annotations = pod["metadata"].get("annotations", {})
            await self._project(pod, running.folder)
            running.projections += 1
            self._tell()

    async def _start(self, pod: dict[str, Any]) -> None:
        name, spec = pod["metadata"]["name"], pod["spec"]
        folder = self._folder / name
        await self._mount_secrets(spec, folder)
        await self._project(pod, folder)
        container = spec["containers"][0]
        address = next(_addresses)
        arguments = [*container["command"][1:], *container["args"]]
        for mount in container["volumeMounts"]:
            arguments = [each.replace(mount["mountPath"], str(folder / mount["name"])) for each in arguments]
        arguments = [each.replace("0.0.0.0:", f"{address}:") for each in arguments]
        with (folder / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "sse_operator.command", *arguments,
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        probe = container["readinessProbe"]["httpGet"]
        url = f"http://{address}:{ports[probe['port']]}{probe['path']}"
        probes = asyncio.create_task(self._probe(name, address, url))
        self.pods[name] = RunningPod(name, address, folder, process, probes, pod["metadata"].get("annotations", {}))
        self._tell()

    async def _probe(self, name: str, address: str, url: str) -> None:
        """Until it is ready once, which is all that the tests need."""
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with self._http.get(url) as answer:
                    if answer.status == 200:
                        break
            await asyncio.sleep(0.02)
        status = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        path = f"/api/v1/namespaces/{self._namespace}/pods/{name}/status"
        await self._request("PATCH", path, {"status": status}, "application/merge-patch+json")
        asyncio.get_running_loop().call_soon(self._tell)

    async def _end(self, name: str) -> None:
        pod = self.pods.pop(name, None)
        if pod is None:
            return
        pod.probes.cancel()
        await asyncio.gather(pod.probes, return_exceptions=True)
        with contextlib.suppress(ProcessLookupError):
            pod.process.kill()  # a drain would only take time
        await pod.process.wait()
        self._tell()

    async def _mount_secrets(self, spec: dict[str, Any], folder: Path) -> None:
        for volume in spec["volumes"]:
            if "secret" in volume:
                path = f"/api/v1/namespaces/{self._namespace}/secrets/{volume['secret']['secretName']}"
                secret = await self._request("GET", path)
                mount = folder / volume["name"]
                mount.mkdir(parents=True, exist_ok=True)  # of an earlier pod of that name
                for key, value in secret["data"].items():
                    (mount / key).write_bytes(base64.b64decode(value))

    async def _project(self, pod: dict[str, Any], folder: Path) -> None:
        """Write the projected volume as the kubelet does: a new folder, then one rename of the link `..data`."""
        (volume,) = (each for each in pod["spec"]["volumes"] if "projected" in each)
        listed: dict[str, dict[str, dict[str, bytes]]] = {}
        for kind, plural in (("configMap", "configmaps"), ("secret", "secrets")):
            items = (await self._request("GET", f"/api/v1/namespaces/{self._namespace}/{plural}"))["items"]
            decode = base64.b64decode if kind == "secret" else str.encode
            listed[kind] = {
                each["metadata"]["name"]: {key: decode(value) for key, value in each.get("data", {}).items()}
                for each in items
            }
        files = {
            item["path"]: listed[kind][projected["name"]][item["key"]]
            for source in volume["projected"]["sources"]
            for kind, projected in source.items()
            if projected["name"] in listed[kind]
            for item in projected["items"]
        }
        mount = folder / volume["name"]
        mount.mkdir(parents=True, exist_ok=True)
        data = mount / "..data"
        before = data.resolve() if data.exists() else None
        fresh = mount / f"..{os.urandom(6).hex()}"
        fresh.mkdir()
        for path, content in files.items():
            (fresh / path).write_bytes(content)
        link = mount / "..data_tmp"
        link.symlink_to(fresh.name)
        link.rename(data)
        for path in files:
            if not (mount / path).is_symlink():
                (mount / path).symlink_to(f"..data/{path}")
        for entry in mount.iterdir():
            if not entry.name.startswith("..") and entry.name not in files:
                entry.unlink()
        if before:
            shutil.rmtree(before)


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The lines of a watch, each of any length."""
    rest = b""
    try:
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line
    finally:
        if response.connection is not None and response.connection.transport is not None:
            response.connection.transport.abort()  # a TLS goodbye could outlast the test's event loop
        response.close()
