"""The cluster itself: created by kind, with the stock node image where a registry answers, else with ours."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import kube_assets
from kind_cluster import engine, node_image, python_image
from kind_cluster.engine import Engine
from kind_cluster.places import CLUSTER, HERE, KUBECONFIG, PROGRAMS, RUN
from kind_cluster.progress import ClusterError, call, say, step

LOCK = RUN.with_suffix(".lock")
STOCK_NODE_IMAGE = "kindest/node:{version}"
AUDIT_POLICY = "/etc/kubernetes/audit-policy.yaml"
AUDIT_LOG = "/var/log/kubernetes/audit.log"  # `kubectl get --raw /api/v1/nodes/NODE/proxy/logs/kubernetes/audit.log`
READY_TIMEOUT = "180s"
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
CONTROL_PLANE_CPU = "50m"  # for each: kubeadm requests 650m in all, a third of a machine with two cores
PATCHES = "/kind/patches"


def up() -> bool:
    """Bring the cluster up; False if it was. What a failed or interrupted try made is taken down again."""
    with kube_assets.locked(LOCK):
        docker = engine.find()
        try:
            RUN.mkdir(parents=True, exist_ok=True)
            if _healthy(docker):
                say("the cluster is up already")
                return False
            _create(docker)
            return True
        except BaseException:
            say("taking down what was made")
            _down(docker)
            raise


def down() -> None:
    """Take the cluster down, and the engine if it is ours; what is not there is no error."""
    with kube_assets.locked(LOCK):
        docker = engine.running()
        if not (docker and docker.own) and (RUN / "exec").exists():
            docker = engine.find()  # ours was killed; its containers may live on, and only an engine can end them
        if docker:
            _down(docker)
        shutil.rmtree(RUN, ignore_errors=True)


def load(images: Sequence[str]) -> None:
    """Copy images from the engine to the node, so that pods can use them (with `imagePullPolicy: IfNotPresent`)."""
    docker = _require()
    with step(f"loading {', '.join(images)}", "5 s each"):
        _kind(docker, "load", "docker-image", "--name", CLUSTER, *images)


def status() -> str:
    """What there is, for people."""
    docker = engine.running()
    if not docker:
        return "no Docker engine, no cluster"
    kind = "our own, started by this script" if docker.own else "the machine's"
    node = f"{CLUSTER}-control-plane"
    if not _containers(docker):
        return f"Docker engine: {kind}\ncluster: none"
    state = _kubectl("get", "nodes,pods", "--all-namespaces", "--output=wide") if KUBECONFIG.exists() else "unknown"
    usage = docker.docker("stats", "--no-stream", "--format", "{{.CPUPerc}} of a core, {{.MemUsage}}", node).strip()
    return f"Docker engine: {kind}\nnode: {usage}\n{state}"


def settings() -> dict[str, str]:
    """The environment for what works with the cluster: KUBECONFIG, DOCKER_HOST, and docker, kind, kubectl in PATH."""
    docker = _require()
    with_cluster = {**docker.environment(), "KUBECONFIG": str(KUBECONFIG)}
    with_cluster["PATH"] = f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {name: value for name, value in with_cluster.items() if os.environ.get(name) != value}


def _require() -> Engine:
    docker = engine.running()
    if not docker or not _containers(docker):
        raise ClusterError("there is no cluster: scripts/kind-cluster up")
    return docker


def _create(docker: Engine) -> None:
    assets = kube_assets.built(["kind", "kubectl"])
    PROGRAMS.mkdir(exist_ok=True)
    for name, target in {
        "kind": assets / "kind",
        "kubectl": assets / "kubectl",
        "docker": Path(shutil.which(docker.client) or docker.client),
    }.items():
        (PROGRAMS / name).unlink(missing_ok=True)
        (PROGRAMS / name).symlink_to(target)
    stock = STOCK_NODE_IMAGE.format(version=kube_assets.pinned("kubernetes", kube_assets.KUBERNETES))
    local = not _registry_has(docker, stock)
    image = node_image.ensure(docker) if local else stock
    if local:
        python_image.ensure(docker)
    _delete(docker)  # one that is not healthy
    configuration = RUN / "kind.json"
    configuration.write_text(json.dumps(_configuration(image, local=local)))
    with step("creating the cluster", "30 s"):
        _kind(
            docker,
            "create",
            "cluster",
            f"--name={CLUSTER}",
            f"--config={configuration}",
            f"--kubeconfig={KUBECONFIG}",
            f"--wait={READY_TIMEOUT}",
        )
    with step("waiting for CoreDNS", "10 s"):
        _kubectl("--namespace=kube-system", "scale", "deployment/coredns", "--replicas=1")
        _kubectl("--namespace=kube-system", "rollout", "status", "deployment/coredns", f"--timeout={READY_TIMEOUT}")


def _configuration(image: str, *, local: bool) -> dict[str, object]:
    """kind's configuration: an audit log, and what our own node image needs (see `node_image`)."""
    cluster = {
        "kind": "ClusterConfiguration",
        "apiServer": {
            "extraArgs": [
                {"name": "audit-policy-file", "value": AUDIT_POLICY},
                {"name": "audit-log-path", "value": AUDIT_LOG},
            ],
            "extraVolumes": [
                {"name": "audit-policy", "hostPath": AUDIT_POLICY, "mountPath": AUDIT_POLICY, "readOnly": True},
                {
                    "name": "audit-log",
                    "hostPath": str(Path(AUDIT_LOG).parent),
                    "mountPath": str(Path(AUDIT_LOG).parent),
                    "pathType": "DirectoryOrCreate",
                },
            ],
        },
    }
    kubelet: dict[str, object] = {
        "kind": "KubeletConfiguration",
        "syncFrequency": "30s",  # half of what is usual: a test waits for mounts that nobody nudges
    }
    if local:
        kubelet |= {
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": "/",
            "failCgroupV1": False,
            "localStorageCapacityIsolation": False,
        }
    # A folder of its own: an engine that starts again after it was killed makes folders of the old node's mounts.
    mounted = Path(tempfile.mkdtemp(prefix="mounted-", dir=RUN))
    patches = mounted / "patches"
    patches.mkdir()
    for name in CONTROL_PLANE:
        container = {"name": name, "resources": {"requests": {"cpu": CONTROL_PLANE_CPU}}}
        (patches / f"{name}+strategic.json").write_text(json.dumps({"spec": {"containers": [container]}}))
    # A copy, because the checkout may be on a file system that the engine does not see.
    policy = shutil.copy(HERE / "audit-policy.yaml", mounted)
    mounts = [
        {"hostPath": str(policy), "containerPath": AUDIT_POLICY, "readOnly": True},
        {"hostPath": str(patches), "containerPath": PATCHES, "readOnly": True},
    ]
    init = {"kind": "InitConfiguration", "patches": {"directory": PATCHES}}
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"disableDefaultCNI": local},
        "kubeadmConfigPatches": [json.dumps(document) for document in (cluster, init, kubelet)],
        "nodes": [{"role": "control-plane", "image": image, "extraMounts": mounts}],
    }


def _registry_has(docker: Engine, image: str) -> bool:
    """Whether the engine has the image, or a registry answers and gives it."""
    if docker.has(image):
        return True
    with contextlib.suppress(ClusterError), step(f"asking the registry for {image}", "some seconds"):
        docker.docker("pull", "--quiet", image)
        return True
    say("no registry gives it: making a node image here")
    return False


def _containers(docker: Engine) -> list[str]:
    return docker.docker("ps", "--all", "--quiet", "--filter", f"label=io.x-k8s.kind.cluster={CLUSTER}").split()


def _healthy(docker: Engine) -> bool:
    if not _containers(docker) or not KUBECONFIG.exists():
        return False
    with contextlib.suppress(ClusterError):
        _kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=5s", "--request-timeout=5s")
        return True
    return False


def _delete(docker: Engine) -> None:
    if _containers(docker):
        with step("deleting the cluster", "5 s"):
            docker.docker("rm", "--force", "--volumes", *_containers(docker))
    KUBECONFIG.unlink(missing_ok=True)


def _down(docker: Engine) -> None:
    _delete(docker)
    docker.stop()


def _kind(docker: Engine, *arguments: str) -> str:
    # kind starts whatever `docker` it finds.
    path = f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return call([PROGRAMS / "kind", *arguments], environment={**docker.environment(), "PATH": path})


def _kubectl(*arguments: str) -> str:
    return call([PROGRAMS / "kubectl", f"--kubeconfig={KUBECONFIG}", *arguments])
