"""`sse-gateway run`: serves manifests on this machine and follows their changes.

Standard output has the table of APIs, again after each change; standard error has the faults, each once, and the
access log.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

import uvloop

from sse_operator.compiler.model import Programmed
from sse_operator.compiler.status import urls_of
from sse_operator.compiler.verdicts import api_verdicts
from sse_operator.local.addresses import Address, address_of
from sse_operator.local.compilation import Outcome
from sse_operator.local.gateway import LocalGateway
from sse_operator.local.manifests import STDIN, FileFault
from sse_operator.local.table import table
from sse_operator.local.workspace import GatewayChoiceError, NothingToServeError, Reading
from sse_proxy.errors import ListenError

PROXY = "local"
"""What the one proxy is called where the compiler counts pods."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `sse-gateway run`."""
    parser.add_argument(
        "-f",
        "--file",
        dest="sources",
        action="extend",
        nargs="+",
        required=True,
        metavar="FILE_OR_DIR",
        help="manifests to serve: files, or folders (their *.yaml, *.yml and *.json)",
    )
    parser.add_argument(
        "--listen", type=address_of, default="127.0.0.1:8080", metavar="ADDR", help="host:port (%(default)s)"
    )
    parser.add_argument(
        "--listen-tls",
        type=address_of,
        metavar="ADDR",
        help="host:port for TLS, with the certificates of the SseGateway's spec.tls (none)",
    )
    parser.add_argument(
        "--admin", type=address_of, metavar="ADDR", help="host:port of /livez, /readyz, /metrics and /config (none)"
    )
    parser.add_argument(
        "--gateway",
        type=_gateway_key,
        metavar="NAMESPACE/NAME",
        help="which SseGateway this is, where the SseApis belong to several",
    )


def _gateway_key(text: str) -> str:
    namespace, slash, name = text.partition("/")
    if not namespace or not slash or not name or "/" in name:
        raise argparse.ArgumentTypeError(f"{text} is not NAMESPACE/NAME")
    return text


def main(arguments: argparse.Namespace) -> int:
    """Serves until SIGINT or SIGTERM; 1 where it cannot, 2 where the flags do not say enough."""
    if STDIN in arguments.sources:
        return _refuse("standard input has no changes to follow: put it into a file", 2)
    report = Report()
    try:
        gateway = LocalGateway(
            arguments.sources,
            arguments.gateway,
            listen=arguments.listen,
            listen_tls=arguments.listen_tls,
            admin=arguments.admin,
            report=report,
            access_log=_to_stderr,
        )
    except NothingToServeError as error:
        report.tell_faults(error.faults)
        return _refuse(str(error), 1)
    except GatewayChoiceError as error:
        return _refuse(str(error), 2)
    return uvloop.run(_serve(gateway))


async def _serve(gateway: LocalGateway) -> int:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()

    def stop() -> None:
        stopping.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)  # a second one ends it at once

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        await gateway.start()
    except ListenError as error:
        return _refuse(str(error), 1)
    await gateway.follow(stopping)
    await gateway.stop()
    return 0


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _refuse(message: str, code: int) -> int:
    print(f"sse-gateway run: {message}", file=sys.stderr)
    return code


class Report:
    """Tells people what became of their files: a table on standard output, each new fault once on standard error."""

    def __init__(self) -> None:
        self._told: frozenset[FileFault] = frozenset()
        self._shown = ""
        self._revision = 0

    def __call__(self, reading: Reading, listen: Address) -> None:
        """Tells what is new in `reading`, which is served at `listen`."""
        mended = self._told and not reading.faults
        self.tell_faults(reading.faults)
        shown = api_table(reading, listen)
        if shown != self._shown:
            print(f"{shown}\n", flush=True)
        elif reading.config.revision != self._revision or mended:
            print(f"reloaded: revision {reading.config.revision}\n", flush=True)
        self._shown, self._revision = shown, reading.config.revision

    def tell_faults(self, faults: Sequence[FileFault]) -> None:
        """Prints those that were not there the last time."""
        for fault in faults:
            if fault not in self._told:
                print(fault, file=sys.stderr, flush=True)
        self._told = frozenset(faults)


def api_table(reading: Reading, listen: Address) -> str:
    """The SseApis with their URLs, targets and condition; `listen` is where the gateway is reached."""
    rows = [row for outcome in reading.outcomes for row in _rows(outcome, reading, listen)]
    return table(("SSEAPI", "URL", "TARGET", "CONDITION"), rows)


def _rows(outcome: Outcome, reading: Reading, listen: Address) -> list[tuple[str, str, str, str]]:
    result = outcome.result
    key = result.api.metadata.key
    entry = result.entry
    claim = result.claim if entry is not None else None
    urls = urls_of(claim, [f"http://{_reachable(listen)}"]) if claim else ["-"]
    targets = ", ".join(endpoint.url for endpoint in entry.endpoints) if entry else ""
    condition = _condition(outcome, reading, key in reading.kept)
    first, *others = urls
    return [(key, first, targets or "-", condition), *(("", url, "", "") for url in others)]


def _condition(outcome: Outcome, reading: Reading, kept: bool) -> str:
    revision = reading.revisions.get(outcome.result.api.metadata.key, 0)
    loaded = Programmed(ready_pods=1, loaded={PROXY: {"": reading.config.revision}})
    verdicts = {verdict.type: verdict for verdict in api_verdicts(outcome.result, loaded, revision)}
    ready = verdicts["Ready"]
    if kept:
        return f"{ready.reason}, as before its last edit, which has faults"
    return ready.reason if ready.status == "True" else f"{ready.reason}: {ready.message}"


def _reachable(listen: Address) -> Address:
    """An address that listens on all interfaces is reached from here as localhost."""
    return Address("localhost", listen.port) if listen.host in {"0.0.0.0", "::"} else listen
