"""What the cluster has to be, told from the manifests alone, and how it differs from that.

The judge is the compiler and the renderer, over what a user wrote and nothing else: the operator's own memory, order of
events and history must not show.
"""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from apiserver.control_plane import ControlPlane
from sse_operator.api.reading import read_sse_api, read_sse_gateway
from sse_operator.cluster.kinds import CHILDREN, CONFIG_MAPS, HTTP_ROUTES, SSE_APIS, SSE_GATEWAYS, Kind
from sse_operator.compiler.attach import gateway_key_of
from sse_operator.compiler.gateway import compile_gateway
from sse_operator.compiler.model import DefaultGateway, Environment, GatewayInputs
from sse_operator.resources.admin_token import TOKEN_SUFFIX
from sse_operator.resources.config_maps import INDEX_SUFFIX, shard_suffix, written_config
from sse_operator.resources.deployment import ProxyPods
from sse_operator.resources.names import MANAGED_BY, MANAGER, child_name
from sse_operator.resources.workload import Workload, workload
from sse_proxy.config import digest_of, encode

STALLED = {"InvalidSpec", "InternalError"}

Document = dict[str, Any]


class Truth:
    """Of these namespaces. `uncompiled` names SseApis that the operator under test cannot compile."""

    def __init__(self, control_plane: ControlPlane, *namespaces: str, image: str = "sse-gateway:test") -> None:
        self._control_plane = control_plane
        self._namespaces = namespaces
        self.image = image
        self.uncompiled: set[str] = set()

    def listed(self, kind: Kind) -> list[Document]:
        """All objects of a kind in the namespaces."""
        found = []
        for namespace in self._namespaces:
            for item in self._control_plane.request("GET", kind.path(namespace))["items"]:
                found.append({**item, "apiVersion": kind.api_version, "kind": kind.name})  # noqa: PERF401
        return found

    def deviations(self) -> list[str]:
        """What is not as it has to be; nothing where all is."""
        apis = [read_sse_api(document) for document in self.listed(SSE_APIS)]
        gateways = {gateway.metadata.key: gateway for gateway in map(read_sse_gateway, self.listed(SSE_GATEWAYS))}
        children = {
            kind: [each for each in self.listed(kind) if each["metadata"].get("labels", {}).get(MANAGED_BY) == MANAGER]
            for kind in CHILDREN
            if kind is not HTTP_ROUTES
        }
        found: list[str] = []
        expected: set[tuple[str, str, str]] = set()
        keys = {gateway_key_of(api, DefaultGateway()) for api in apis} | set(gateways)
        for key in sorted(key for key in keys if key):
            gateway = gateways.get(key)
            own = [api for api in apis if gateway_key_of(api, DefaultGateway()) == key]
            compiled = compile_gateway(GatewayInputs(key, gateway, own), Environment(), datetime.now(UTC))
            for api in own:
                found += self._status(api, compiled.results[api.metadata.key].accepted.status)
            if gateway is None or gateway.spec is None:
                continue
            namespace, name = gateway.metadata.namespace, gateway.metadata.name
            found += self._settled("SseGateway", gateway)
            objects = workload(gateway, gateway.spec, Workload(ProxyPods(self.image), "sse-gateway"))
            expected |= {(each["kind"], namespace, each["metadata"]["name"]) for each in objects}
            maps = [each for each in children[CONFIG_MAPS] if each["metadata"]["namespace"] == namespace]
            index, shards = written_config(name, maps)
            wanted = {entry.key: entry.model_copy(update={"revision": 0}) for entry in compiled.entries}
            written = {
                entry.key: entry.model_copy(update={"revision": 0}) for shard in shards.values() for entry in shard.apis
            }
            for api_key in sorted(wanted.keys() | written.keys()):
                if api_key in self.uncompiled:
                    continue
                if wanted.get(api_key) != written.get(api_key):
                    found.append(f"{key}: the config has {api_key} {'otherwise' if api_key in written else 'not'}")
            digests = {shard_id: digest_of(encode(shard)) for shard_id, shard in shards.items()}
            if index is None or index.shards != digests:
                found.append(f"{key}: the index does not name the shards that are there")
            suffixes = [INDEX_SUFFIX, *(shard_suffix(shard_id) for shard_id in shards)]
            expected |= {("ConfigMap", namespace, child_name(name, suffix)) for suffix in suffixes}
            expected.add(("Secret", namespace, child_name(name, TOKEN_SUFFIX)))
        there = set()
        for kind, documents in children.items():
            for document in documents:
                metadata = document["metadata"]
                there.add((kind.name, metadata["namespace"], metadata["name"]))
                if metadata.get("finalizers"):
                    found.append(f"{kind.name} {metadata['name']} has finalizers")
                owner = metadata["ownerReferences"][0]
                alive = gateways.get(f"{metadata['namespace']}/{owner['name']}")
                if alive and owner["uid"] != alive.metadata.uid:
                    found.append(f"{kind.name} {metadata['name']} belongs to a gateway that is no more")
        found += [f"{kind} {namespace}/{name} is missing" for kind, namespace, name in sorted(expected - there)]
        orphans = {each for each in there - expected if self._gateway_lives(each, gateways)}
        found += [f"{kind} {namespace}/{name} is an orphan" for kind, namespace, name in sorted(orphans)]
        return found

    @staticmethod
    def _gateway_lives(child: tuple[str, str, str], gateways: dict[str, Any]) -> bool:
        """What a gateway left that is gone is the garbage collector's, which is not here."""
        _, namespace, name = child
        return any(
            gateway.metadata.namespace == namespace and name.startswith(child_name(gateway.metadata.name))
            for gateway in gateways.values()
        )

    def _status(self, api: Any, accepted: str) -> list[str]:
        found = self._settled("SseApi", api)
        said = next((each.status for each in api.status.conditions if each.type == "Accepted"), "")
        if said != accepted and api.metadata.key not in self.uncompiled:
            found.append(f"SseApi {api.metadata.key}: Accepted is {said or 'not told'}, not {accepted}")
        return found

    def _settled(self, kind: str, resource: Any) -> list[str]:
        key, status = resource.metadata.key, resource.status
        found = []
        if status.observed_generation != resource.metadata.generation:
            found.append(f"{kind} {key}: nobody has looked at generation {resource.metadata.generation}")
        ready = next((each.reason for each in status.conditions if each.type == "Ready"), "")
        if any(each.type == "Stalled" for each in status.conditions) and ready not in STALLED:
            found.append(f"{kind} {key} is Stalled for {ready}")
        if ready == "ApplyFailed":
            found.append(f"{kind} {key}: ApplyFailed")
        return found

    def holds_within(self, seconds: float, also: Callable[[], Iterable[str]] = lambda: ()) -> float:
        """Seconds until nothing deviates any more. AssertionError where that takes longer than `seconds`."""
        began = time.monotonic()
        while True:
            found = [*self.deviations(), *also()]
            took = time.monotonic() - began
            if not found:
                return took
            assert took < seconds, "\n".join(found)
            time.sleep(0.1)
