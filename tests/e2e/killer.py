"""kill -9 of a process on the node, by a privileged pod that sees them all. Nothing less is a sudden death: a pod that
is deleted without grace gets a SIGTERM first.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from e2e.kube import KubectlError, kubectl, until
from e2e.traffic import pod

NAMESPACE = "kube-system"
FIND_AND_KILL = """
import os, signal, sys
kind, sought = sys.argv[1:]
found = 0
for pid in filter(str.isdecimal, os.listdir("/proc")):
    try:
        name = open(f"/proc/{pid}/comm").read().strip()
        groups = open(f"/proc/{pid}/cgroup").read().replace("_", "-")
    except OSError:
        continue
    if name == sought if kind == "name" else sought in groups and name != "pause" and name != "catatonit":
        os.kill(int(pid), signal.SIGKILL)
        found += 1
sys.exit(0 if found else "no such process")
"""


@contextmanager
def killed(image: str, kind: str, sought: str) -> Iterator[None]:
    """Kill the processes of a `name`, or of the `pod` with this uid. Within the context the kill is under way."""
    killer = pod("killer", image, {"command": ["/opt/sse-gateway/bin/python", "-c", FIND_AND_KILL, kind, sought]}, [])
    killer["metadata"]["namespace"] = NAMESPACE
    killer["spec"] |= {"hostPID": True, "restartPolicy": "Never", "tolerations": [{"operator": "Exists"}]}
    killer["spec"]["securityContext"] = {"runAsUser": 0}
    killer["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    kubectl("apply", "-f", "-", stdin=json.dumps(killer))
    try:
        yield
    finally:
        until("the killer to go", _removed, timeout=120)


def kill_pod(image: str, uid: str) -> None:
    """Kill the processes of a pod, and return when it is done. Their container is started again."""
    with killed(image, "pod", uid):
        done = "--for=jsonpath={.status.phase}=Succeeded"
        kubectl("wait", "pod/killer", f"--namespace={NAMESPACE}", done, "--timeout=60s")


def _removed() -> bool:
    try:
        kubectl("delete", "pod", "killer", f"--namespace={NAMESPACE}", "--ignore-not-found", "--now")
    except KubectlError:  # the API server may be what was killed
        return False
    return True
