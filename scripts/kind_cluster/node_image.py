"""The node image where no registry answers: Debian with systemd and containerd, Kubernetes' programs, its images.

Three steps, each kept by the engine: a Debian (`debian`), on it `node/Dockerfile`, and in that the control plane's
images (`archive`), imported by the containerd of a container that is then committed. It does what kind and kubeadm ask
of a node and no more: one node, a bridge for the pods. It was run on a host with cgroup v1.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import kube_assets
from kind_cluster import archive, debian
from kind_cluster.engine import Engine
from kind_cluster.places import HERE
from kind_cluster.progress import ClusterError, call, step

# Debian 12: the systemd of later releases does not start on a host with cgroup v1.
SUITE = "bookworm"
PACKAGES = [
    *("systemd", "systemd-sysv", "containerd", "runc", "containernetworking-plugins", "ca-certificates"),
    *("iptables", "nftables", "ipset", "iproute2", "conntrack", "ethtool", "socat", "kmod", "mount", "util-linux"),
    *("catatonit", "procps", "curl", "jq"),
]
ON_THE_NODE = ("kubelet", "kubeadm", "kubectl")
# What kube-proxy runs, and what that needs to run.
KUBE_PROXY_TOOLS = r"""
set -e
tools="$(echo /usr/sbin/xtables-*-multi) /usr/sbin/conntrack /usr/sbin/ipset"
plugins=$(dirname "$(find /usr/lib -name libxt_comment.so)")
libraries=$(ldd $tools "$plugins"/*.so | grep -o '/[^ ]*' | grep -v ':$' | sort -u | while read -r library; do
  echo "$(realpath "$(dirname "$library")")/$(basename "$library")"; realpath "$library"; done | sort -u)
links=$(find /usr/sbin /etc/alternatives -name 'ip*tables*' -type l)
tar --create --absolute-names /bin /sbin /lib /lib64 $tools $plugins $links $libraries
"""
REPOSITORY = "sse-gateway/kind-node"
CONTAINER = "sse-gateway-kind-node-build"
CONTAINERD_TIMEOUT = 30.0  # seconds


def ensure(engine: Engine) -> str:
    """The node image's name; it is made if the engine does not have it."""
    assets = kube_assets.built(list(kube_assets.PROGRAMS))
    version = kube_assets.pinned("kubernetes", kube_assets.KUBERNETES)
    recipe = [HERE / "archive.py", Path(__file__), *(path for path in sorted((HERE / "node").iterdir()))]
    digest = hashlib.sha256(assets.name.encode() + b"".join(path.read_bytes() for path in recipe)).hexdigest()
    image = f"{REPOSITORY}:{version}-{digest[:10]}"
    if engine.has(image):
        return image
    with step("node image from Debian's packages and Go modules", "2 min"):
        base = _base(engine)
        with tempfile.TemporaryDirectory(prefix="sse-gateway-node-") as folder:
            _build(engine, base, assets, version, Path(folder), image)
    engine.remove_other_tags(image)
    return image


def _base(engine: Engine) -> str:
    digest = hashlib.sha256(" ".join([SUITE, *PACKAGES]).encode()).hexdigest()
    image = f"{REPOSITORY}-base:{SUITE}-{digest[:10]}"
    if not engine.has(image):
        with step(f"Debian {SUITE} for the node", "30 s"):
            engine.import_output(debian.root_file_system(SUITE, PACKAGES), image)
        engine.remove_other_tags(image)
    return image


def _build(engine: Engine, base: str, assets: Path, version: str, folder: Path, image: str) -> None:
    names = call([assets / "kubeadm", "config", "images", "list", f"--kubernetes-version={version}"]).split()
    pause = next(name for name in names if "/pause:" in name)
    context = folder / "context"
    shutil.copytree(HERE / "node", context)
    for program in ON_THE_NODE:
        _link(assets / program, context / program)
    arguments = {"BASE": base, "KUBERNETES_VERSION": version, "PAUSE": pause}
    with step("node file system", "15 s"):
        settings = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        stage = engine.docker("build", "--quiet", *settings, context).split()[-1]
    with _container(engine, stage, folder):
        with step("control-plane images", "20 s"):
            archive.write(folder / "images.tar", list(_images(engine, assets, names, folder)))
        with step("control-plane images into the node image", "30 s"):
            _import(engine)
            entry_point = 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]'
            engine.docker("commit", "--change", entry_point, CONTAINER, image)


def _link(source: Path, target: Path) -> None:
    """A hard link where the file system lets one; these files are large."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@contextlib.contextmanager
def _container(engine: Engine, image: str, folder: Path) -> Iterator[None]:
    """A container of this image that does nothing, sees the folder as /build, and is removed in the end."""
    with contextlib.suppress(ClusterError):
        engine.docker("rm", "--force", "--volumes", CONTAINER)  # of a run that was killed
    run = ["run", "--detach", "--privileged", "--name", CONTAINER, "--volume", f"{folder}:/build"]
    engine.docker(*run, "--entrypoint", "sleep", image, "infinity")
    try:
        yield
    finally:
        engine.docker("rm", "--force", "--volumes", CONTAINER)


def _images(engine: Engine, assets: Path, names: Sequence[str], folder: Path) -> Iterator[archive.Image]:
    """What `kubeadm config images list` names, each as one program; kube-proxy has iptables with it."""
    inside = "exec", CONTAINER, "sh", "-c"
    engine.docker(*inside, f"({KUBE_PROXY_TOOLS}) > /build/kube-proxy-tools.tar && cp /usr/bin/catatonit /build/pause")
    for name in names:
        program = name.rsplit("/", 1)[1].split(":")[0]
        match program:
            case "pause":
                yield archive.Image(name, folder / "pause", "/pause", ["/pause", "-P"])
            case "coredns":
                yield archive.Image(name, assets / program, "/coredns", ["/coredns"])
            case "kube-proxy":
                below = folder / "kube-proxy-tools.tar"
                yield archive.Image(name, assets / program, f"/usr/local/bin/{program}", below=below)
            case _:
                yield archive.Image(name, assets / program, f"/usr/local/bin/{program}")


def _import(engine: Engine) -> None:
    engine.docker("exec", "--detach", CONTAINER, "containerd")
    deadline = time.monotonic() + CONTAINERD_TIMEOUT
    while True:
        try:
            engine.docker("exec", CONTAINER, "ctr", "version")
            break
        except ClusterError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
    engine.docker("exec", CONTAINER, "ctr", "-n", "k8s.io", "images", "import", "--no-unpack", "/build/images.tar")
    engine.docker("exec", CONTAINER, "pkill", "--exact", "containerd")
    while engine.docker("exec", CONTAINER, "sh", "-c", "pgrep --exact containerd || true").strip():
        time.sleep(0.1)
