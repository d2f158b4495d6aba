"""What streams through the gateways while the tests work: the demo source, and clients that read from it.

Both are pods of the cluster, so that the clients reach the gateway through its Service on any cluster.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.kube import Document, Namespace, until

CLIENT = Path(__file__).with_name("stream_client.py")
RESTRICTED_POD = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
RESTRICTED_CONTAINER = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
ASK = (
    "import sys, urllib.request, urllib.error, base64\n"
    "credentials = 'Basic ' + base64.b64encode(b'demo:demo').decode()\n"
    "request = urllib.request.Request(sys.argv[1], headers={'Authorization': credentials})\n"
    "try:\n"
    "    answer = urllib.request.urlopen(request, timeout=float(sys.argv[2]))\n"
    "    print(answer.status)\n"
    "except urllib.error.HTTPError as error:\n"
    "    print(error.code)\n"
    "except OSError as error:\n"
    "    print(0)\n"
)


def pod(name: str, image: str, container: Document, volumes: list[Document]) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": RESTRICTED_POD,
            "containers": [
                {
                    "name": name,
                    "image": image,
                    "securityContext": RESTRICTED_CONTAINER,
                    "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
                    **container,
                }
            ],
            "volumes": volumes,
        },
    }


class Source:
    """The demo source in a namespace, behind a Service of its own."""

    def __init__(self, namespace: Namespace, image: str) -> None:
        self.namespace = namespace
        self._image = image
        self._address = f"http://source.{namespace.name}.svc:8081"

    def start(self) -> None:
        container = {
            "args": ["demo-source", "--listen=0.0.0.0:8081", "--keep-alive=5s"],
            "readinessProbe": {"tcpSocket": {"port": 8081}, "periodSeconds": 1},
        }
        service = {"selector": {"app": "source"}, "ports": [{"port": 8081}]}
        self.namespace.apply(
            pod("source", self._image, container, []),
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "source"}, "spec": service},
        )

    def wait(self) -> None:
        self.namespace.kubectl("wait", "pod/source", "--for=condition=Ready", "--timeout=120s")

    def url(self, channel: str) -> str:
        return f"{self._address}/sse?channel={channel}&v=1.1"

    def messages(self, channel: str) -> str:
        return f"{self._address}/channels/{channel}/messages"


@dataclass(frozen=True)
class Summary:
    """What a group of clients counted until now."""

    at: float
    open: int
    events: int
    lost: int
    repeated: int
    ended: int
    errors: int
    refused: int


class Clients:
    """A pod of clients. Its log is what they saw."""

    def __init__(self, namespace: Namespace, image: str, name: str) -> None:
        self.namespace = namespace
        self.name = name
        self._image = image

    def start(self, url: str, *, streams: int, publish: str = "", rate: float = 2.0, authority: str = "") -> None:
        """Start them, and return when all stream. `authority`: the certificate (PEM) of whom they trust, where not as
        the image does."""
        files = {"stream_client.py": CLIENT.read_text(), **({"ca.crt": authority} if authority else {})}
        arguments = ["/client/stream_client.py", url, f"--streams={streams}", f"--rate={rate}"]
        if publish:
            arguments.append(f"--publish={publish}")
        container = {
            "command": ["/opt/sse-gateway/bin/python", *arguments],
            "env": [{"name": "SSL_CERT_FILE", "value": "/client/ca.crt"}] if authority else [],
            "volumeMounts": [{"name": "client", "mountPath": "/client"}],
        }
        volume = {"name": "client", "configMap": {"name": f"{self.name}-client"}}
        self.namespace.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{self.name}-client"}, "data": files},
            pod(self.name, self._image, container, [volume]),
        )
        self.namespace.kubectl("wait", f"pod/{self.name}", "--for=condition=Ready", "--timeout=60s")
        self.all_open(streams)

    def stop(self) -> None:
        self.namespace.kubectl("delete", "pod", self.name, "--ignore-not-found", "--wait=true")

    def all_open(self, streams: int, timeout: float = 60) -> Summary:
        """Wait until all stream: the summary that says so."""

        def asked() -> Summary | None:
            summary = self.summary()
            return summary if summary and summary.open == streams else None

        return until(f"{streams} open streams", asked, timeout=timeout, pause=0.3)  # type: ignore[return-value]

    def summary(self) -> Summary | None:
        """The newest summary."""
        lines = self._lines("--tail=1000")
        newest = next((line for line in reversed(lines) if line["kind"] == "summary"), None)
        return Summary(**{name: value for name, value in newest.items() if name != "kind"}) if newest else None

    def fresh(self) -> Summary:
        """A summary of now."""
        began = time.time()

        def asked() -> Summary | None:
            summary = self.summary()
            return summary if summary and summary.at >= began else None

        return until("a summary", asked, timeout=30, pause=0.2)  # type: ignore[return-value]

    def back(self, since: float) -> list[dict[str, Any]]:
        """The streams that were broken after this time and read again: `broke` and `after`, in seconds."""
        return [line for line in self._lines() if line["kind"] == "back" and line["broke"] >= since]

    def _lines(self, *arguments: str) -> list[dict[str, Any]]:
        told = self.namespace.kubectl("logs", self.name, *arguments)
        return [json.loads(line) for line in told.splitlines() if line.startswith("{")]

    def ask(self, url: str, timeout: float = 3.0) -> int:
        """The status that a new request gets; 0 where nobody answers in time."""
        command = ["exec", self.name, "--", "/opt/sse-gateway/bin/python", "-c", ASK, url, str(timeout)]
        return int(self.namespace.kubectl(*command))
