"""kubectl and helm, as a person would use them; KUBECONFIG says on which cluster."""

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

Document = dict[str, Any]
T = TypeVar("T")

TIMEOUT = 120.0
"""Seconds that `until` waits, unless told otherwise."""


class KubectlError(Exception):
    """What kubectl or helm said."""


def call(*command: str, stdin: str | None = None, timeout: float = TIMEOUT) -> str:
    """What the command printed. Raises KubectlError."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=timeout)
    if done.returncode:
        raise KubectlError(f"{' '.join(command)}: {done.stderr or done.stdout}")
    return done.stdout


def kubectl(*arguments: str, stdin: str | None = None, timeout: float = TIMEOUT) -> str:
    return call("kubectl", *arguments, stdin=stdin, timeout=timeout)


def until(what: str, ask: Callable[[], T], *, timeout: float = TIMEOUT, pause: float = 0.1) -> T:
    """The first answer that is true. Raises TimeoutError, with the last one."""
    deadline = time.monotonic() + timeout
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:.0f} s; last: {answer!r}")
        time.sleep(pause)


class Namespace:
    """A namespace of the tests, under the Pod Security Standard `restricted`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def create(self) -> None:
        """Make it. What is left of an earlier one is deleted first."""
        self.delete()
        labels = {"pod-security.kubernetes.io/enforce": "restricted", "sse-gateway.dev/e2e": "true"}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name, "labels": labels}})

    def delete(self, *, wait: bool = True) -> None:
        """Delete it with all that is in it."""
        kubectl("delete", "namespace", self.name, "--ignore-not-found", f"--wait={str(wait).lower()}")

    def apply(self, *documents: Document) -> None:
        """kubectl apply."""
        kubectl("apply", "--namespace", self.name, "-f", "-", stdin="\n---\n".join(map(json.dumps, documents)))

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = TIMEOUT) -> str:
        return kubectl("--namespace", self.name, *arguments, stdin=stdin, timeout=timeout)

    def get(self, kind: str, name: str) -> Document:
        """The object as it is now; empty where there is none."""
        told = self.kubectl("get", kind, name, "--ignore-not-found", "-o", "json")
        return dict(json.loads(told)) if told else {}

    def list(self, kind: str, selector: str = "") -> list[Document]:
        """The objects of a kind."""
        return list(json.loads(self.kubectl("get", kind, "--selector", selector, "-o", "json"))["items"])


def api(name: str, target: str, **spec: Any) -> Document:
    """An SseApi whose context-path is its name."""
    return {
        "apiVersion": "sse-gateway.dev/v1alpha1",
        "kind": "SseApi",
        "metadata": {"name": name},
        "spec": {"contextPath": f"/{name}", "target": target, **spec},
    }


def gateway(name: str, **spec: Any) -> Document:
    """An SseGateway."""
    return {
        "apiVersion": "sse-gateway.dev/v1alpha1",
        "kind": "SseGateway",
        "metadata": {"name": name},
        "spec": spec,
    }


def condition(document: Document, kind: str) -> Document:
    """The condition of that type; an empty one where there is none."""
    conditions = document.get("status", {}).get("conditions", [])
    return next((dict(each) for each in conditions if each["type"] == kind), {})


def settled(document: Document, kind: str = "Ready") -> bool:
    """Whether the condition is True for the object as it is now."""
    status = document.get("status", {})
    observed = status.get("observedGeneration") == document.get("metadata", {}).get("generation")
    return bool(observed and condition(document, kind).get("status") == "True")


def knows_routes() -> bool:
    """Whether the cluster has the Gateway API."""
    try:
        kubectl("get", "crd", "httproutes.gateway.networking.k8s.io")
    except KubectlError:
        return False
    return True
