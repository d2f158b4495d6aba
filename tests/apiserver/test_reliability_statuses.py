"""Statuses, at every version of every object: what kstatus and a patient reader may rely on."""

import asyncio
import contextlib
import http.client
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apiserver.control_plane import ControlPlane
from apiserver.manifests import sse_api
from apiserver.node import Node
from apiserver.operator_process import OperatorProcess
from apiserver.truth import Truth
from sse_operator.cluster.kinds import PODS, SSE_APIS, SSE_GATEWAYS

ABNORMAL = ("Reconciling", "Stalled")


class History(threading.Thread):
    """Every version of the SseApis and SseGateways of a namespace, from a watch of its own."""

    def __init__(self, control_plane: ControlPlane, path: str) -> None:
        super().__init__(daemon=True)
        self.versions: list[dict[str, Any]] = []
        context = ssl.create_default_context(cafile=str(control_plane.folder / "ca.crt"))
        with control_plane.administrator() as certificate:
            context.load_cert_chain(certificate)
        self._connection = http.client.HTTPSConnection("127.0.0.1", control_plane.port, context=context, timeout=120)
        self._connection.request("GET", f"{path}?watch=1")
        self._response = self._connection.getresponse()

    def run(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError, AttributeError):
            for line in self._response:
                event = json.loads(line)
                if event["type"] in ("ADDED", "MODIFIED"):
                    self.versions.append(event["object"])

    def close(self) -> None:
        if self._connection.sock:
            self._connection.sock.shutdown(2)
        self.join(10)
        self._connection.close()


@pytest.fixture
def history(control_plane: ControlPlane, namespace: str) -> Iterator[list[History]]:
    histories = [History(control_plane, kind.path(namespace)) for kind in (SSE_APIS, SSE_GATEWAYS)]
    for each in histories:
        each.start()
    yield histories
    for each in histories:
        each.close()


def conditions(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["type"]: each for each in document["status"].get("conditions", [])}


def faults_of(versions: list[dict[str, Any]]) -> list[str]:
    """Where the history of objects breaks a rule."""
    found = []
    before: dict[str, dict[str, Any]] = {}
    for document in versions:
        metadata, status, now = document["metadata"], document["status"], conditions(document)
        where = f"{document['kind']} {metadata['name']} at {metadata['resourceVersion']}"
        observed = status["observedGeneration"]
        old = before.get(metadata["uid"])
        before[metadata["uid"]] = document
        if observed == -1:
            if now:
                found.append(f"{where}: conditions of what nobody has looked at")
            continue
        if observed > metadata["generation"]:
            found.append(f"{where}: observedGeneration is ahead")
        if any(each["observedGeneration"] != observed for each in now.values()):
            found.append(f"{where}: a condition is of another generation than the status")
        abnormal = [kind for kind in ABNORMAL if kind in now]
        if any(now[kind]["status"] != "True" for kind in abnormal) or len(abnormal) > 1:
            found.append(f"{where}: {abnormal}")
        if (now["Ready"]["status"] == "True") == bool(abnormal):
            found.append(f"{where}: Ready is {now['Ready']['status']} beside {abnormal}")
        if now["Ready"]["status"] == "True" and now["Programmed"]["status"] != "True":
            found.append(f"{where}: Ready but not Programmed")
        if old is None or old["status"]["observedGeneration"] == -1:
            continue
        if observed < old["status"]["observedGeneration"]:
            found.append(f"{where}: observedGeneration went back")
        for kind, condition in now.items():
            was = conditions(old).get(kind)
            if was is None:
                continue
            same = was["status"] == condition["status"]
            if same and was["lastTransitionTime"] != condition["lastTransitionTime"]:
                found.append(f"{where}: {kind} did not flip, its time did")
        if old["status"] == status and old["metadata"]["generation"] == metadata["generation"]:
            found.append(f"{where}: written without a change")
    return found


def told(versions: list[dict[str, Any]], name: str, kind: str) -> list[str]:
    """What a condition said one after the other, but for what only passes."""
    said: list[str] = []
    for document in versions:
        if document["metadata"]["name"] == name and kind in (now := conditions(document)):
            state = f"{now[kind]['status']}/{now[kind]['reason']}"
            # A proxy that has just been killed may be asked before the operator hears that its pod has gone.
            if said[-1:] != [state] and not state.endswith(("NotAsked", "Pending", "ProxyUnreachable")):
                said.append(state)
    return said


async def test_at_every_step(
    control_plane: ControlPlane,
    namespace: str,
    truth: Truth,
    begin: Callable[..., OperatorProcess],
    history: list[History],
    tmp_path: Path,
) -> None:
    async def settled(reason: str, generation: int) -> None:
        async with asyncio.timeout(20):
            while True:
                listed = await asyncio.to_thread(truth.listed, SSE_APIS)
                prices = next(each for each in listed if each["metadata"]["name"] == "prices")
                if (
                    prices["status"]["observedGeneration"] == generation
                    and conditions(prices)["Ready"]["reason"] == reason
                ):
                    return
                await asyncio.sleep(0.05)

    flags = (f"--namespaces={namespace}", "--lease-name=", "--sweep-interval=1s")
    await asyncio.to_thread(begin, *flags)
    async with Node(control_plane, namespace, tmp_path / "node") as node:
        steps = [
            (sse_api(namespace, "prices"), "Ready"),
            (sse_api(namespace, "prices", version="2"), "Ready"),
            (sse_api(namespace, "prices", version="2", suspend=True), "Suspended"),
            (sse_api(namespace, "prices", version="3", suspend=False), "Ready"),
        ]
        for generation, (manifest, reason) in enumerate(steps, 1):
            await asyncio.to_thread(control_plane.apply, manifest)
            await settled(reason, generation)
        (pod,) = await node.ready()
        await asyncio.to_thread(control_plane.request, "DELETE", PODS.path(namespace, pod.name))
        await settled("NoReadyProxy", len(steps))
        await asyncio.sleep(2.5)  # sweeps that find nothing new

    apis, gateways = (each.versions for each in history)
    assert faults_of(apis) == []
    assert faults_of(gateways) == []
    assert told(apis, "prices", "Accepted") == ["True/Accepted"]
    ready = told(apis, "prices", "Ready")
    assert ready == ["False/NoReadyProxy", "True/Ready", "True/Suspended", "True/Ready", "False/NoReadyProxy"]
