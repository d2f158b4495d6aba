"""`sse-gateway validate`: every fault of the manifests, as `file:line: kind/name: field: what and how to mend`."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from sse_operator.local.compilation import compile_manifests
from sse_operator.local.manifests import read_manifests


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `sse-gateway validate`."""
    parser.add_argument(
        "-f",
        "--file",
        dest="sources",
        action="extend",
        nargs="+",
        required=True,
        metavar="FILE_OR_DIR",
        help="manifests to check: files, folders (their *.yaml, *.yml and *.json), or - for standard input",
    )


def main(arguments: argparse.Namespace) -> int:
    """0 and one line where all is well; else 1, and every fault on standard output, sorted by file and line."""
    manifests = read_manifests(arguments.sources)
    compilation = compile_manifests(
        manifests.objects, manifests.namespace_labels, manifests.data, claims={}, now=datetime.now(UTC)
    )
    told = [fault for _, fault in compilation.refusals()] + [fault for _, fault in compilation.gateway_refusals()]
    faults = sorted([*manifests.all_faults(), *told])
    for fault in faults:
        print(fault)
    if faults:
        return 1
    apis = len(manifests.apis)
    gateways = len(manifests.objects) - apis
    print(f"valid: {_counted(apis, 'SseApi')} and {_counted(gateways, 'SseGateway')}")
    return 0


def _counted(number: int, kind: str) -> str:
    return f"{number} {kind}{'' if number == 1 else 's'}"
