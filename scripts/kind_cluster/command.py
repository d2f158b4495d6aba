"""What people type: scripts/kind-cluster."""

import argparse
import os
import shlex
import signal
import subprocess
import sys
from types import FrameType

from kind_cluster import cluster
from kind_cluster.places import KUBECONFIG
from kind_cluster.progress import ClusterError, say
from kube_assets import AssetsError

DESCRIPTION = """\
The kind cluster of the end-to-end tests, with or without an image registry.

  scripts/kind-cluster run COMMAND…    up, the command with KUBECONFIG set, and down again whatever happens
  scripts/kind-cluster up              bring it up (at once if it is); prints the path of its kubeconfig
  eval "$(scripts/kind-cluster env)"   KUBECONFIG, DOCKER_HOST and PATH for this shell
  scripts/kind-cluster load IMAGE…     copy images from the Docker engine to the node
  scripts/kind-cluster status          what there is
  scripts/kind-cluster down            take all of it down

Progress goes to standard error. See docs/testing.md."""


class InterruptedBySignalError(Exception):
    """By Ctrl-C or SIGTERM: what is being made is taken down first."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def on_signal(number: int, frame: FrameType | None) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):  # a second one must not stop the cleaning up
        signal.signal(each, signal.SIG_IGN)
    raise InterruptedBySignalError(number)


def run(command: list[str]) -> int:
    """Run a command against the cluster; its exit status. A cluster that was not there before goes with it."""
    ours = cluster.up()
    try:
        process = subprocess.Popen(command, env={**os.environ, **cluster.settings()})
        try:
            return process.wait()
        except InterruptedBySignalError as interrupted:
            process.send_signal(interrupted.number)
            process.wait()
            raise
    finally:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        if ours:
            cluster.down()


def carry_out(arguments: argparse.Namespace) -> int:
    match arguments.what:
        case "run":
            return run([arguments.command, *arguments.arguments])
        case "up":
            cluster.up()
            print(KUBECONFIG)
        case "down":
            cluster.down()
        case "load":
            cluster.load(arguments.images)
        case "env":
            for name, value in cluster.settings().items():
                print(f"export {name}={shlex.quote(value)}")
        case "status":
            print(cluster.status())
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="kind-cluster", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_subparsers(dest="what", required=True, metavar="run|up|env|load|status|down")
    for name in ("up", "env", "status", "down"):
        what.add_parser(name)
    what.add_parser("load").add_argument("images", nargs="+", metavar="IMAGE")
    running = what.add_parser("run")
    running.add_argument("command", metavar="COMMAND")
    running.add_argument("arguments", nargs=argparse.REMAINDER, metavar="…")
    arguments = parser.parse_args()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, on_signal)
    try:
        return carry_out(arguments)
    except (ClusterError, AssetsError) as error:
        say(str(error))
        return 1
    except InterruptedBySignalError as interrupted:
        say(f"ended by {interrupted}")
        return 128 + interrupted.number


if __name__ == "__main__":
    sys.exit(main())
