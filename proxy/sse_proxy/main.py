"""The proxy as a process of its own: what a proxy pod runs.

It serves the config of a folder, and follows the folder. SIGTERM and SIGINT drain it: readiness goes first, then the
streams, then the process, with exit code 0. A second signal ends it at once.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import re
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import uvloop

from sse_proxy.access_log import Output
from sse_proxy.errors import ConfigError, ListenError, ProxyError
from sse_proxy.loader import ConfigFolder
from sse_proxy.proxy import Address, ConfigState, Proxy, ProxyOptions

_log = logging.getLogger(__name__)

LEAD_SECONDS = 2.0
"""From becoming not ready to the first stream's end: what endpoints need to get around, so that clients that come back
meet another pod."""

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@dataclass(frozen=True)
class _Settings:
    options: ProxyOptions
    log: Output
    """Takes the lines of the access log."""
    folder: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's arguments."""
    parser.add_argument(
        "--config-dir", type=Path, required=True, metavar="DIR", help="folder with index.json and shards"
    )
    parser.add_argument("--listen", type=address, required=True, metavar="ADDR", help="host:port for clients")
    parser.add_argument(
        "--listen-tls",
        type=address,
        metavar="ADDR",
        help="host:port for clients that speak TLS, with the certificates of the config (none)",
    )
    parser.add_argument("--admin", type=address, required=True, metavar="ADDR", help="host:port of the admin port")
    parser.add_argument(
        "--admin-token-file", type=Path, metavar="FILE", help="holds the bearer token for /config and /streams"
    )
    parser.add_argument(
        "--drain-period",
        type=duration,
        default=30.0,
        metavar="DURATION",
        help="how long streams have to end after SIGTERM (30s)",
    )


def main(arguments: argparse.Namespace) -> int:
    """Run until a signal ends it; the exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    try:
        # An exchange makes many objects and no cycle, so that looking for cycles less often costs no memory.
        gc.set_threshold(10_000, 20, 50)
        return uvloop.run(_serve(_settings(arguments)))
    except (ListenError, ConfigError) as error:
        print(f"sse-gateway proxy: {error}", file=sys.stderr)
        return 1


def address(text: str) -> Address:
    """An argument `host:port`, `[address]:port` or `:port` (every interface)."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]*)):([0-9]{1,5})", text)
    if match is None or int(match[3]) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no address: write host:port, such as 127.0.0.1:8080")
    return match[1] or match[2] or "0.0.0.0", int(match[3])


def duration(text: str) -> float:
    """An argument in the notation of Gateway API durations (`30s`, `1m30s`), in seconds."""
    if not re.fullmatch(r"([0-9]{1,5}(h|m|s|ms)){1,4}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write one with units, such as 30s or 1m30s")
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)(ms|h|m|s)", text))


def _settings(arguments: argparse.Namespace) -> _Settings:
    token = None
    if arguments.admin_token_file is not None:
        try:
            token = arguments.admin_token_file.read_text().strip()
        except OSError as error:
            raise ConfigError(f"the admin token cannot be read: {error}") from None
        if not token:
            raise ConfigError(f"the admin token file {arguments.admin_token_file} is empty")
    if not arguments.config_dir.is_dir():
        raise ConfigError(f"{arguments.config_dir} is no folder: --config-dir is where the gateway's config is mounted")
    log = Output(sys.stdout)
    return _Settings(
        ProxyOptions(
            listen=arguments.listen,
            listen_tls=arguments.listen_tls,
            admin=arguments.admin,
            admin_token=token,
            drain_period=arguments.drain_period,
            drain_lead=min(LEAD_SECONDS, arguments.drain_period / 2),
            access_log=log.take,
        ),
        log,
        arguments.config_dir,
    )


async def _serve(settings: _Settings) -> int:
    stopping, at_once = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: at_once.set() if stopping.is_set() else stopping.set())
    proxy = Proxy(settings.options)
    await proxy.start()
    following = loop.create_task(_follow(ConfigFolder(settings.folder), proxy))
    try:
        await _first(following, loop.create_task(stopping.wait()))
        if following.done():
            # Without it the config would never change again: better a restart.
            following.result()
            return 1
        _log.info("draining for at most %g s", settings.options.drain_period)
        await _first(loop.create_task(proxy.drain()), loop.create_task(at_once.wait()))
        return 0
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError, ProxyError):
            await following
        try:
            await proxy.stop()
        finally:
            settings.log.flush()


async def _first(*tasks: asyncio.Task[object] | asyncio.Task[None] | asyncio.Task[bool]) -> None:
    """Wait for the first of several tasks."""
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def _follow(folder: ConfigFolder, proxy: Proxy) -> None:
    """Load what the folder gives, for ever."""
    async for given in folder.follow():
        if isinstance(given, ConfigError):
            _log.error("the configuration stays as it is: %s", given)
            proxy.load_failed()
            continue
        try:
            await proxy.load_in_turns(given.config, ConfigState(given.complete, given.lagging, given.faults))
        except ConfigError as error:
            _log.error("the configuration stays as it is: %s", error)
            proxy.load_failed()
            continue
        _log.info("serving revision %d with %d APIs", given.config.revision, len(given.config.apis))
        for fault in given.faults:
            _log.warning("%s", fault)
