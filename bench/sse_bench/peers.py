"""The proxies that are compared: how each is found, configured, started and told of a new config."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sse_bench.gateway import ConfigFolder
from sse_bench.machine import most_streams
from sse_proxy.config import Replay, Stream

_BENCH = Path(__file__).resolve().parents[1]
_INSTALL = "run bench/install-peers"


@dataclass(frozen=True)
class Place:
    """Where one run of a peer takes place."""

    folder: Path
    port: int
    admin_port: int
    origin_port: int
    load_program: Path
    cache: Path
    open_files: int
    """That one process may have."""
    shared: bool = False
    """Whether ours shares the streams that it can."""


class Peer(ABC):
    """One proxy at one place."""

    name: ClassVar[str]
    title: ClassVar[str]
    many_routes: ClassVar[bool] = False
    """Whether its config here has one entry per route; the others relay every path."""
    relays: ClassVar[bool] = True
    """Whether each client gets what the origin sends it; a hub has one stream for many, and nothing else."""
    environment: ClassVar[dict[str, str]] = {}
    reload_signal: ClassVar[signal.Signals | None] = None
    """What has it read its config again; None where it watches its files, or has no config."""

    def __init__(self, place: Place) -> None:
        self.place = place

    @classmethod
    @abstractmethod
    def program(cls, cache: Path) -> Path | None:
        """The file to run; None where it is not installed."""

    @classmethod
    @abstractmethod
    def remedy(cls) -> str:
        """What to do where it is not installed."""

    @classmethod
    def version(cls, cache: Path) -> str:
        """What the program says of itself."""
        return ""

    @abstractmethod
    def configure(self, routes: list[str]) -> None:
        """Write the config that has these routes."""

    @abstractmethod
    def command(self) -> list[str]:
        """Starts it, in the foreground."""

    def _program(self) -> str:
        program = self.program(self.place.cache)
        if program is None:
            raise FileNotFoundError(self.remedy())
        return str(program)

    def _fill(self, template: str, to: str, routes: str = "") -> None:
        text = (_BENCH / "peers" / template).read_text()
        for token, value in {
            "FOLDER": str(self.place.folder),
            "PORT": str(self.place.port),
            "ORIGIN_PORT": str(self.place.origin_port),
            "MOST_STREAMS": str(most_streams(self.place.open_files)),
            "USER": "root" if os.geteuid() == 0 else "nobody",
            "ROUTES": routes,
        }.items():
            text = text.replace(f"@{token}@", value)
        new = self.place.folder / f".{to}.new"
        new.write_text(text)
        new.rename(self.place.folder / to)


def _on_path(name: str) -> Path | None:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None


def _said(command: list[str], pattern: str) -> str:
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(pattern, told.stdout + told.stderr)
    return found[1] if found else "?"


class Nginx(Peer):
    name = "nginx"
    title = "nginx"
    many_routes = True
    reload_signal = signal.SIGHUP

    @classmethod
    def program(cls, cache: Path) -> Path | None:
        return _on_path("nginx")

    @classmethod
    def remedy(cls) -> str:
        return f"{_INSTALL}, or apt-get install nginx-light"

    @classmethod
    def version(cls, cache: Path) -> str:
        return _said([str(cls.program(cache)), "-v"], r"nginx/(\S+)")

    def configure(self, routes: list[str]) -> None:
        blocks = (f"        location {route}/ {{ proxy_pass http://origin; }}" for route in routes)
        self._fill("nginx.conf", "nginx.conf", "\n".join(blocks))

    def command(self) -> list[str]:
        folder = str(self.place.folder)
        return [self._program(), "-p", folder, "-c", f"{folder}/nginx.conf", "-e", "stderr"]


class HAProxy(Peer):
    name = "haproxy"
    title = "HAProxy"
    many_routes = True
    reload_signal = signal.SIGUSR2

    @classmethod
    def program(cls, cache: Path) -> Path | None:
        return _on_path("haproxy")

    @classmethod
    def remedy(cls) -> str:
        return f"{_INSTALL}, or apt-get install haproxy"

    @classmethod
    def version(cls, cache: Path) -> str:
        return _said([str(cls.program(cache)), "-v"], r"version (\d+\.\d+\.\d+)")

    def configure(self, routes: list[str]) -> None:
        (self.place.folder / "routes.map").write_text("".join(f"{route}/ origin\n" for route in routes))
        self._fill("haproxy.cfg", "haproxy.cfg")

    def command(self) -> list[str]:
        return [self._program(), "-W", "-f", f"{self.place.folder}/haproxy.cfg"]


class _FromPyPI(Peer):
    @classmethod
    def program(cls, cache: Path) -> Path | None:
        program = cache / "bench-peers" / "bin" / cls.name
        return program if program.exists() else _on_path(cls.name)

    @classmethod
    def remedy(cls) -> str:
        return _INSTALL


class Envoy(_FromPyPI):
    name = "envoy"
    title = "Envoy"
    many_routes = True

    @classmethod
    def version(cls, cache: Path) -> str:
        return _said([str(cls.program(cache)), "--version"], r"/(\d+\.\d+\.\d+)/")

    def configure(self, routes: list[str]) -> None:
        entry = '          - {{match: {{prefix: "{}/"}}, route: {{cluster: origin, timeout: 0s}}}}'
        self._fill("envoy-routes.yaml", "routes.yaml", "\n".join(entry.format(route) for route in routes))
        self._fill("envoy.yaml", "envoy.yaml")

    def command(self) -> list[str]:
        options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
        return [self._program(), "-c", f"{self.place.folder}/envoy.yaml", *options]


class Caddy(_FromPyPI):
    name = "caddy"
    title = "Caddy"
    environment = {"GOMAXPROCS": "1"}

    @classmethod
    def version(cls, cache: Path) -> str:
        return _said([str(cls.program(cache)), "version"], r"v(\S+)")

    def configure(self, routes: list[str]) -> None:
        self._fill("Caddyfile", "Caddyfile")

    def command(self) -> list[str]:
        return [self._program(), "run", "--adapter", "caddyfile", "--config", f"{self.place.folder}/Caddyfile"]


class _Unconfigured(Peer):
    """Relays every path to the origin that its command line names."""

    @classmethod
    def remedy(cls) -> str:
        return "it is part of the bench"

    def configure(self, routes: list[str]) -> None:
        pass

    def _addresses(self) -> list[str]:
        return ["--listen", f"127.0.0.1:{self.place.port}", "--target", f"http://127.0.0.1:{self.place.origin_port}"]


class GoReverseProxy(_Unconfigured):
    name = "go"
    title = "Go ReverseProxy"
    environment = {"GOMAXPROCS": "1"}

    @classmethod
    def program(cls, cache: Path) -> Path | None:
        return cache

    def command(self) -> list[str]:
        return [str(self.place.load_program), "proxy", *self._addresses()]


class Naive(_Unconfigured):
    name = "naive"
    title = "naive aiohttp"

    @classmethod
    def program(cls, cache: Path) -> Path | None:
        return Path(sys.executable)

    def command(self) -> list[str]:
        return [self._program(), str(_BENCH / "naive_proxy.py"), *self._addresses()]


class Hub(_Unconfigured):
    """Fans out what one connection says, and nothing else; see bench/hub."""

    name = "hub"
    title = "r3labs/sse"
    environment = {"GOMAXPROCS": "1"}
    relays = False

    @classmethod
    def program(cls, cache: Path) -> Path | None:
        program = cache / "bench-peers" / "bin" / cls.name
        return program if program.exists() else None

    @classmethod
    def remedy(cls) -> str:
        return _INSTALL

    def command(self) -> list[str]:
        return [self._program(), *self._addresses()]


class Ours(Peer):
    name = "ours"
    title = "sse-gateway"
    many_routes = True

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        stream = Stream(mode="Shared", replay=Replay()) if place.shared else Stream()
        self._config = ConfigFolder(place.folder / "config", f"http://127.0.0.1:{place.origin_port}", stream)

    @classmethod
    def program(cls, cache: Path) -> Path | None:
        beside = Path(sys.executable).with_name("sse-gateway")
        return beside if beside.exists() else None

    @classmethod
    def remedy(cls) -> str:
        return f"{sys.executable} -m pip install -e ."

    @classmethod
    def version(cls, cache: Path) -> str:
        return _said([str(cls.program(cache)), "--version"], r"sse-gateway (\S+)")

    def configure(self, routes: list[str]) -> None:
        self._config.write(routes)

    def command(self) -> list[str]:
        place = self.place
        addresses = ["--listen", f"127.0.0.1:{place.port}", "--admin", f"127.0.0.1:{place.admin_port}"]
        return [
            self._program(),
            "proxy",
            "--config-dir",
            f"{place.folder}/config",
            *addresses,
            "--drain-period",
            "1s",
        ]


PEERS: dict[str, type[Peer]] = {
    peer.name: peer for peer in (Nginx, HAProxy, Envoy, Caddy, GoReverseProxy, Naive, Hub, Ours)
}
BASELINE = Nginx.name
"""The peer that ratios are to."""
