"""What Flux (kstatus) and Argo CD (our Lua) make of every state that an SseApi or SseGateway can be in.

The statuses are those that the compiler builds. tests/e2e asks the same of statuses from a real cluster.
"""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from sse_operator.api.reading import read_sse_api, read_sse_gateway
from sse_operator.compiler.gateway import compile_gateway
from sse_operator.compiler.model import CompiledGateway, Environment, GatewayInputs, Programmed, Revised
from sse_operator.compiler.revisions import revise
from sse_operator.compiler.status import sse_api_status, sse_gateway_status
from sse_operator.compiler.verdicts import api_verdicts, gateway_verdicts
from unit.compiler.scenario import NOW
from unit.gitops.argo import SCRIPT, argo_health
from unit.gitops.kstatus import kstatus

Document = dict[str, Any]
KEY = "shop/default"
LOADED = 10**6
"""A revision that no test reaches: the proxy has whatever there is."""


def api(name: str, **spec: Any) -> Document:
    return {
        "apiVersion": "sse-gateway.dev/v1alpha1",
        "kind": "SseApi",
        "metadata": {
            "namespace": "shop",
            "name": name,
            "uid": name,
            "generation": 3,
            "creationTimestamp": f"2026-01-01T00:00:0{len(name)}Z",
        },
        "spec": {"contextPath": "/prices", "target": "https://origin.example/sse", **spec},
    }


def gateway(**spec: Any) -> Document:
    return {
        "apiVersion": "sse-gateway.dev/v1alpha1",
        "kind": "SseGateway",
        "metadata": {"namespace": "shop", "name": "default", "uid": "g", "generation": 3},
        "spec": spec,
    }


def compiled(gateway_document: Document, *apis: Document) -> tuple[CompiledGateway, Revised]:
    inputs = GatewayInputs(KEY, read_sse_gateway(gateway_document), [read_sse_api(each) for each in apis])
    result = compile_gateway(inputs, Environment(), NOW)
    return result, revise(result, None, {})


def judged(document: Document, *others: Document, proxies: Programmed | None) -> Document:
    """The SseApi with the status that it gets beside the others, when the proxies said this."""
    result, revised = compiled(gateway(), document, *others)
    key = f"shop/{document['metadata']['name']}"
    verdicts = api_verdicts(result.results[key], proxies, revised.revisions.get(key, 0))
    status = sse_api_status(result.results[key], verdicts, gateway_key=KEY, base_urls=["http://gateway"], now=NOW)
    return {**document, "status": status.model_dump(mode="json", by_alias=True, exclude_none=True)}


def judged_gateway(document: Document, *, proxies: Programmed | None, refusal: str = "") -> Document:
    result, revised = compiled(document)
    revision = revised.index.revision
    read = read_sse_gateway(document)
    verdicts = gateway_verdicts(read, result, proxies, revision, apply_failure=refusal)
    status = sse_gateway_status(read, verdicts, revision=revision, attached=0, ready_replicas=0, address=None, now=NOW)
    return {**document, "status": status.model_dump(mode="json", by_alias=True, exclude_none=True)}


ALL_LOADED = Programmed(1, {"proxy-0": {"": LOADED}})
OLD = Programmed(1, {"proxy-0": {"": 0}})
READY = judged(api("prices"), proxies=ALL_LOADED)
HOLDER = judged(api("one"), proxies=ALL_LOADED)
UNSEEN = {"observedGeneration": -1}  # what the CRD defaults


def changed(document: Document, **metadata: Any) -> Document:
    return {**document, "metadata": {**document["metadata"], **metadata}}


CASES: Mapping[str, tuple[Document, str, str]] = {
    "new": ({**api("prices"), "status": UNSEEN}, "InProgress", "Progressing"),
    "progressing": (judged(api("prices"), proxies=OLD), "InProgress", "Progressing"),
    "no proxy yet": (judged(api("prices"), proxies=Programmed(0, {})), "InProgress", "Progressing"),
    "proxy does not answer": (
        judged(api("prices"), proxies=Programmed(1, {}, ("proxy-0",))),
        "InProgress",
        "Progressing",
    ),
    "ready": (READY, "Current", "Healthy"),
    "refused": (judged(api("prices", target="ftp://origin.example"), proxies=ALL_LOADED), "Failed", "Degraded"),
    "conflict": (judged(api("prices"), HOLDER, proxies=ALL_LOADED), "InProgress", "Degraded"),
    "stale generation": (changed(READY, generation=4), "InProgress", "Progressing"),
    "suspended": (judged(api("prices", suspend=True), proxies=ALL_LOADED), "Current", "Suspended"),
    "deleted": (changed(READY, deletionTimestamp="2026-06-01T12:00:00Z"), "Terminating", "Progressing"),
    "gateway: new": ({**gateway(), "status": UNSEEN}, "InProgress", "Progressing"),
    "gateway: progressing": (judged_gateway(gateway(), proxies=Programmed(0, {})), "InProgress", "Progressing"),
    "gateway: ready": (judged_gateway(gateway(), proxies=ALL_LOADED), "Current", "Healthy"),
    "gateway: refused": (judged_gateway(gateway(replicas=-1), proxies=ALL_LOADED), "Failed", "Degraded"),
    "gateway: an object refused": (
        judged_gateway(gateway(), proxies=ALL_LOADED, refusal="quota exceeded"),
        "InProgress",
        "Progressing",
    ),
    "gateway: scaled to zero": (judged_gateway(gateway(replicas=0), proxies=None), "Current", "Suspended"),
}


@pytest.mark.parametrize("case", CASES)
def test_health(case: str) -> None:
    document, flux, argo = CASES[case]
    assert (kstatus(document), argo_health(document)) == (flux, argo)


def test_a_warning_is_told_but_does_not_make_it_unhealthy() -> None:
    warned = {"type": "Warning", "status": "True", "reason": "IdleTimeoutTooShort", "message": "raise it"}
    document = {**READY, "status": {**READY["status"], "conditions": [*READY["status"]["conditions"], warned]}}
    assert (kstatus(document), argo_health(document)) == ("Current", "Healthy")


def test_argocd_cm_has_the_script_for_both_kinds() -> None:
    data = yaml.safe_load((SCRIPT.parent / "argocd-cm.yaml").read_text())["data"]
    assert data == {
        f"resource.customizations.health.sse-gateway.dev_{kind}": SCRIPT.read_text()
        for kind in ("SseApi", "SseGateway")
    }


def test_the_examples_are_valid_and_named_where_they_are_awaited() -> None:
    folder = SCRIPT.parents[1]
    resources = yaml.safe_load((folder / "apis" / "kustomization.yaml").read_text())["resources"]
    documents = [yaml.safe_load((folder / "apis" / name).read_text()) for name in resources]
    for document in documents:
        placed = {**document, "metadata": {**document["metadata"], "namespace": "shop"}}
        read = read_sse_api(placed) if document["kind"] == "SseApi" else read_sse_gateway(placed)
        assert not read.faults
    checks = [
        (check["kind"], check["name"])
        for flux in yaml.safe_load_all((folder / "flux" / "apis.yaml").read_text())
        for check in flux["spec"]["healthChecks"]
        if check["kind"] != "HelmRelease"
    ]
    assert sorted(checks) == sorted((each["kind"], each["metadata"]["name"]) for each in documents)
