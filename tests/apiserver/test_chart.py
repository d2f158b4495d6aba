"""The chart against a real API server: every manifest by its own schemas, rights and admission by its own judgement."""

import base64
import contextlib
import http.client
import json
import os
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from apiserver.control_plane import ControlPlane
from unit.chart.chart_render import CASES, CHART, VALUES, helm_program, objects, render

REVISION = "sse-gateway.dev/config-revision"
PROXY_LABELS = {"app.kubernetes.io/managed-by": "sse-gateway", "app.kubernetes.io/component": "proxy"}


@pytest.mark.parametrize("case", CASES)
def test_every_manifest_meets_the_servers_schema(case: str, control_plane: ControlPlane, namespace: str) -> None:
    restricted = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    control_plane.request(
        "PATCH", f"/api/v1/namespaces/{namespace}", restricted, content_type="application/merge-patch+json"
    )
    for manifest in objects(render(f"--values={VALUES / case}.yaml")):
        if manifest["kind"] == "PodMonitor":
            continue  # the Prometheus operator's, which is not here
        if "namespace" in manifest["metadata"]:
            manifest["metadata"]["namespace"] = namespace
        dry_run(control_plane, manifest)
        if manifest["kind"] == "Deployment":
            metadata = {"name": "pod", "namespace": namespace}
            pod_spec = manifest["spec"]["template"]["spec"]
            pod_spec.pop("priorityClassName", None)  # the class is in kube-system only
            dry_run(control_plane, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec})


def dry_run(control_plane: ControlPlane, manifest: dict[str, Any]) -> None:
    control_plane.request(
        "PATCH",
        control_plane.resource_path(manifest),
        manifest,
        content_type="application/apply-patch+yaml",
        dryRun="All",
        fieldManager="helm",
        force="true",
        fieldValidation="Strict",
    )


class Release:
    """The chart installed in a namespace, under its name. `notes` are what helm told."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self.namespace = namespace
        self._environment = {**os.environ, "KUBECONFIG": str(control_plane.kubeconfig)}
        # The CRDs are there already, and the cluster-wide objects must not meet those of another test.
        settings = ("--set=crds.enabled=false", f"--set=fullnameOverride={namespace}")
        self.notes = self._helm("install", "release", CHART, *settings).partition("NOTES:")[2]

    def uninstall(self) -> None:
        self._helm("uninstall", "release")

    def _helm(self, *arguments: str | Path) -> str:
        command = [helm_program(), *arguments, f"--namespace={self.namespace}"]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=self._environment).stdout


@pytest.fixture
def release(control_plane: ControlPlane, namespace: str) -> Iterator[Release]:
    # Its name is a value of the chart, which holds 52 characters.
    installed = Release(control_plane, namespace)
    yield installed
    installed.uninstall()


def test_notes_name_the_next_steps(release: Release) -> None:
    notes = release.notes
    assert f"kubectl -n {release.namespace} rollout status deployment/{release.namespace}" in notes
    assert "kind: SseApi" in notes
    assert f"helm test release --namespace {release.namespace}" in notes
    assert "{{" not in notes


class Account:
    """The ServiceAccount of a kubeconfig, who patches pods."""

    def __init__(self, control_plane: ControlPlane, kubeconfig: Path) -> None:
        document = yaml.safe_load(kubeconfig.read_text())
        self._token = document["users"][0]["user"]["token"]
        self._address = ("127.0.0.1", control_plane.port)
        authority = base64.b64decode(document["clusters"][0]["cluster"]["certificate-authority-data"])
        self._tls = ssl.create_default_context(cadata=authority.decode())

    def patch(self, namespace: str, pod: str, change: dict[str, Any]) -> str:
        """Empty, or what the API server said against it."""
        connection = http.client.HTTPSConnection(*self._address, context=self._tls, timeout=30)
        with contextlib.closing(connection):
            headers = {
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/merge-patch+json",
            }
            connection.request("PATCH", f"/api/v1/namespaces/{namespace}/pods/{pod}", json.dumps(change), headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        return "" if response.status == 200 else str(answer["message"])


def test_the_operator_may_patch_one_annotation_of_its_own_pods_and_nothing_else(
    release: Release, control_plane: ControlPlane
) -> None:
    namespace = release.namespace
    account = Account(control_plane, control_plane.service_account_kubeconfig(namespace, namespace))
    create_pod(control_plane, namespace, "ours", PROXY_LABELS)
    create_pod(control_plane, namespace, "theirs", {"app": "shop"})
    nudge = {"metadata": {"annotations": {REVISION: "1"}}}

    # A policy takes effect some moments after it was made.
    deadline = time.monotonic() + 30
    while not account.patch(namespace, "theirs", nudge) and time.monotonic() < deadline:
        time.sleep(0.1)

    assert "pods of its own proxies only" in account.patch(namespace, "theirs", nudge)
    assert account.patch(namespace, "ours", nudge) == ""
    assert account.patch(namespace, "ours", {"metadata": {"annotations": {REVISION: "2"}}}) == ""
    for change in (
        {"metadata": {"annotations": {REVISION: "3", "more": "x"}}},
        {"metadata": {"annotations": {"keep": None}}},
        {"metadata": {"annotations": {"keep": "changed"}}},
        {"metadata": {"labels": {"app": "shop"}}},
        {"metadata": {"labels": {"app.kubernetes.io/component": None}}},
        {"metadata": {"finalizers": ["example.com/stay"]}},
        {"spec": {"containers": [{"name": "proxy", "image": "other"}]}},
    ):
        assert "nothing of a pod but the annotation" in account.patch(namespace, "ours", change), change


def create_pod(control_plane: ControlPlane, namespace: str, name: str, labels: dict[str, str]) -> None:
    control_plane.request(
        "POST",
        f"/api/v1/namespaces/{namespace}/pods",
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels, "annotations": {"keep": "as it is"}},
            "spec": {"containers": [{"name": "proxy", "image": "sse-gateway-proxy"}]},
        },
    )
