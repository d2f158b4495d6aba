"""The command `sse-gateway`: one sub-command per thing it can be. A sub-command's module is imported only when used."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module, metadata
from typing import NoReturn


@dataclass(frozen=True, slots=True)
class SubCommand:
    """A module with `add_arguments(parser)` and `main(arguments) -> exit code`."""

    module: str
    summary: str
    extra: str | None = None
    """The extra of the distribution that it needs."""


SUB_COMMANDS = {
    "run": SubCommand("sse_operator.local.run", "serve manifests on this machine, without a cluster"),
    "validate": SubCommand("sse_operator.local.validate", "tell every fault of manifests, with file and line"),
    "demo-source": SubCommand("sse_operator.local.demo_source", "a small SSE origin to try the gateway against"),
    "proxy": SubCommand("sse_proxy.main", "serve a compiled config from a folder, as the proxy pods do"),
    "operator": SubCommand("sse_operator.cluster.main", "run the Kubernetes operator", extra="operator"),
}
DISTRIBUTION = "sse-gateway"


class Parser(argparse.ArgumentParser):
    """Tells wrong usage in one line and exits with 2."""

    def error(self, message: str) -> NoReturn:
        """Exits with 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a sub-command: its exit code, or SystemExit where argparse has the last word."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    chosen = next((argument for argument in arguments if not argument.startswith("-")), None)
    parser = Parser(prog=DISTRIBUTION, description="Server-Sent Events through your own gateway.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"%(prog)s {metadata.version(DISTRIBUTION)}")
    used = parser
    parsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for name, command in SUB_COMMANDS.items():
        sub_parser = parsers.add_parser(name, help=command.summary, description=command.summary, allow_abbrev=False)
        if name == chosen:
            used = sub_parser
            try:
                module = import_module(command.module)
            except ModuleNotFoundError as missing:
                if command.extra is None or (missing.name or "").startswith(("sse_operator", "sse_proxy")):
                    raise
                print(
                    f"{DISTRIBUTION} {name}: {missing.name} is not installed: "
                    f"pip install '{DISTRIBUTION}[{command.extra}]'",
                    file=sys.stderr,
                )
                return 1
            module.add_arguments(sub_parser)
            sub_parser.set_defaults(main=module.main)
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        used.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        return int(parsed.main(parsed))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # who read our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to fail at exit
        return 128 + signal.SIGPIPE


if __name__ == "__main__":
    sys.exit(main())
