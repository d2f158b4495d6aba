"""A kubeconfig that is of no use ends the operator with one line that says so."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NO_CERTIFICATE = """
current-context: here
contexts: [{name: here, context: {cluster: here, user: me}}]
clusters: [{name: here, cluster: {server: "https://127.0.0.1:1", certificate-authority-data: "bm9uZQ=="}}]
users: [{name: me, user: {}}]
"""


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "the kubeconfig cannot be used"),
        ("- a list", "the kubeconfig cannot be used"),
        ("{", "expected the node content"),
        ("kind: Config", "current-context"),
        (NO_CERTIFICATE, ""),
    ],
)
def test_a_kubeconfig_of_no_use(tmp_path: Path, content: str, told: str) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(content)
    environment = {name: value for name, value in os.environ.items() if name != "KUBERNETES_SERVICE_HOST"}
    ended = subprocess.run(
        [sys.executable, "-m", "sse_operator.command", "operator", "--health-address=127.0.0.1:0"],
        env={**environment, "KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    message = json.loads(line)["message"]
    assert message.startswith("ending: no way to log in: ")
    assert told in message
