"""The Docker engine: the one that answers here, else one of our own.

Our own has its socket, its process id and its log in the run folder and its images in the cache, so that it harms no
other and is warm the next time. It is Debian's `dockerd`, started by hand: a machine without a registry may well have
no systemd either. Taking it down leaves the network as it was found: dockerd itself leaves its bridges, its iptables
chains, `ip_forward` and a FORWARD policy of DROP behind.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from kind_cluster import debian, runc_available_caps
from kind_cluster.places import ENGINE_DATA, HERE, RUN
from kind_cluster.progress import ClusterError, call, say, step

SOCKET = RUN / "docker.sock"
PID_FILE = RUN / "docker.pid"
LOG = RUN / "dockerd.log"
BEFORE = RUN / "network-before.json"
IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
IPTABLES = ("iptables", "ip6tables")
CHAINS = {
    "filter": ["DOCKER-USER", "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2", "DOCKER"],
    "nat": ["DOCKER"],
}
DOCKERS_BRIDGE = re.compile(r"docker0|br-[0-9a-f]{12}")
START_TIMEOUT = 60.0  # seconds
STOP_TIMEOUT = 30.0  # seconds


class Engine:
    """How to talk to a running Docker engine. `own` tells whether it is ours, and so ours to stop."""

    def __init__(self, *, own: bool) -> None:
        self.own = own
        # Debian's client has the builder that its engine has; a newer one may need a plugin that is not there.
        self.client = "/usr/bin/docker" if own else "docker"

    def environment(self) -> dict[str, str]:
        if not self.own:
            return dict(os.environ)
        settings = {"DOCKER_HOST": f"unix://{SOCKET}", "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}
        return {**os.environ, **settings}

    def docker(self, *arguments: str | Path, stdin: bytes | None = None) -> str:
        """Run `docker ARGUMENTS` and return what it printed. Raises ClusterError."""
        return call([self.client, *arguments], environment=self.environment(), stdin=stdin)

    def answers(self) -> bool:
        with contextlib.suppress(ClusterError):
            self.docker("version", "--format", "{{.Server.Version}}")
            return True
        return False

    def label(self, image: str, name: str) -> str | None:
        """The value of an image's label, empty where it has none; None where there is no such image."""
        with contextlib.suppress(ClusterError):
            told = self.docker("image", "inspect", "--format", f'{{{{index .Config.Labels "{name}"}}}}', image)
            return told.strip()
        return None

    def has(self, image: str) -> bool:
        return self.label(image, "") is not None

    def import_output(self, command: Sequence[str], image: str) -> None:
        """Make an image of the root file system that this command writes as a tar. Raises ClusterError."""
        docker = [self.client, "import", "-", image]
        with tempfile.TemporaryFile() as told:
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told) as archive:
                assert archive.stdout
                imported = subprocess.run(
                    docker, stdin=archive.stdout, stdout=told, stderr=told, env=self.environment(), check=False
                )
                archive.stdout.close()
            if archive.returncode or imported.returncode:
                told.seek(0)
                lines = told.read().decode(errors="replace").splitlines()[-25:]
                raise ClusterError("\n".join([*lines, f"{command[0]} made no {image}: see above"]))

    def remove_other_tags(self, keep: str) -> None:
        """Remove what older versions of this script made under the same repository."""
        repository = keep.rsplit(":", 1)[0]
        for image in self.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository).split():
            if image != keep:
                self.docker("image", "rm", "--force", image)

    def stop(self) -> None:
        """Stop the engine if it is ours, and undo what it did to this machine but for its images."""
        if not self.own:
            return
        if pid := _pid():
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_TIMEOUT
            while _pid() and time.monotonic() < deadline:
                time.sleep(0.1)
            if pid := _pid():
                say("dockerd does not end: killing it")
                os.kill(pid, signal.SIGKILL)
        _end_orphans()
        _unmount()
        _restore_network()
        shutil.rmtree(RUN, ignore_errors=True)


def running() -> Engine | None:
    """The engine that `find` started before and that still answers, else the machine's."""
    own = Engine(own=True)
    if _pid() and own.answers():
        return own
    others = Engine(own=False)
    return others if shutil.which("docker") and others.answers() else None


def find() -> Engine:
    """The running engine, or our own, started now. Raises ClusterError."""
    found = running()
    if found:
        return found
    debian.install({"/usr/bin/docker": "docker.io", "dockerd": "docker.io", "iptables": "iptables", "ip": "iproute2"})
    if os.geteuid() != 0:
        raise ClusterError("no Docker engine answers, and only root can start one")
    own = Engine(own=True)
    with step("starting a Docker engine of our own", "5 s"):
        own.stop()  # what is left of one that was killed
        RUN.mkdir(parents=True, mode=0o755)
        ENGINE_DATA.mkdir(parents=True, exist_ok=True)
        _save_network()
        process = _start()
        try:
            deadline = time.monotonic() + START_TIMEOUT
            while not own.answers():
                if process.poll() is not None or time.monotonic() > deadline:
                    told = LOG.read_text(errors="replace").splitlines()[-15:]
                    raise ClusterError("\n".join([*told, "dockerd did not start: see above"]))
                time.sleep(0.2)
        except BaseException:
            process.terminate()
            process.wait()
            own.stop()
            raise
    return own


def _start() -> subprocess.Popen[bytes]:
    command: list[str | Path] = ["dockerd", "--host", f"unix://{SOCKET}", "--data-root", ENGINE_DATA]
    command += ["--exec-root", RUN / "exec", "--pidfile", PID_FILE, "--log-level", "warn"]
    if runc_available_caps.lacks_any():
        # A copy, since the engine may outlive the checkout.
        program = shutil.copy(HERE / "runc_available_caps.py", RUN)
        runtime = RUN / "runc-available-caps"
        runtime.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I {shlex.quote(str(program))} "$@"\n')
        runtime.chmod(0o755)
        command += ["--add-runtime", f"available-caps={runtime}", "--default-runtime", "available-caps"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
    with LOG.open("wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )


def _pid() -> int | None:
    """The process id of our dockerd while it lives (a number that another process has by now does not count)."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(PID_FILE.read_text())
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # where it is a child of this very process
        if str(SOCKET).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    return None


def _end_orphans() -> None:
    """End the containers of an engine that was killed: the children of those shims that were told of our run folder."""
    parents = {}
    shims = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            words = (entry / "cmdline").read_bytes()
            if b"containerd-shim" in words and f"{RUN}/exec/".encode() in words:
                shims.add(int(entry.name))
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    for pid in [*(pid for pid, parent in parents.items() if parent in shims), *shims]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _unmount() -> None:
    """What a killed engine leaves mounted below its two folders, the innermost first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in reversed(points):
        if f"{point}/".startswith((f"{RUN}/", f"{ENGINE_DATA}/")):
            with contextlib.suppress(ClusterError):
                call(["umount", "--lazy", point])


def _rules(program: str, table: str) -> list[str]:
    return call([program, "-t", table, "-S"]).splitlines()


def _bridges() -> list[str]:
    return [link["ifname"] for link in json.loads(call(["ip", "-json", "link", "show", "type", "bridge"])) if link]


def _save_network() -> None:
    policies = {program: call([program, "-S", "FORWARD"]).splitlines()[0].split()[2] for program in IPTABLES}
    before = {"ip_forward": IP_FORWARD.read_text(), "policies": policies, "bridges": _bridges()}
    BEFORE.write_text(json.dumps(before))


def _restore_network() -> None:
    try:
        before = json.loads(BEFORE.read_text())
    except (OSError, ValueError):
        return
    bridges = [name for name in _bridges() if name not in before["bridges"] and DOCKERS_BRIDGE.fullmatch(name)]
    for program in IPTABLES:
        for table, chains in CHAINS.items():
            _remove_rules(program, table, chains, {*chains, *bridges})
        call([program, "-P", "FORWARD", before["policies"][program]])
    for name in bridges:
        call(["ip", "link", "delete", name])
    IP_FORWARD.write_text(before["ip_forward"])


def _remove_rules(program: str, table: str, chains: list[str], names: set[str]) -> None:
    """Remove these chains, and from the other chains every rule that has one of these names in it."""
    for rule in map(shlex.split, _rules(program, table)):
        if rule[0] == "-A" and rule[1] not in chains and names & set(rule):
            call([program, "-t", table, "-D", *rule[1:]])
    present = [rule.split()[1] for rule in _rules(program, table) if rule.startswith("-N")]
    for action in ("-F", "-X"):
        for chain in chains:
            if chain in present:
                call([program, "-t", table, action, chain])
