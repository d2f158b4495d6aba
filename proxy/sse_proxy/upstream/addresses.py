"""The addresses of host names, remembered for seconds.

Whoever makes a connection gets addresses that are at most `REMEMBERED` seconds old. Whoever has a connection already
asks with `known`, which never waits: it answers from what was last seen, and looks again in the background. So both
follow a Service or a host name whose addresses change, and none of them waits for a name server more often than that.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

AddressInfo = tuple[int, int, int, str, tuple[object, ...]]
"""As `getaddrinfo` gives them: family, type, protocol, canonical name, socket address."""

REMEMBERED = 5.0
"""Seconds."""

OUTLASTED = 300.0
"""Seconds for which the last addresses are used while name servers do not answer."""

_MOST_HOSTS = 4096


@dataclass(slots=True)
class _Host:
    infos: list[AddressInfo]
    hosts: frozenset[str]
    at: float


class Addresses:
    """Lives in one event loop. `now` is a monotonic clock in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._hosts: OrderedDict[tuple[str, int], _Host] = OrderedDict()
        self._looking: dict[tuple[str, int], asyncio.Task[_Host]] = {}

    async def resolve(self, host: str, port: int) -> list[AddressInfo]:
        """Where `host` is to be reached, the next of its addresses first each time. Raises OSError."""
        if _is_address(host):
            return list(_numeric(host, port))
        found = self._hosts.get((host, port))
        if found is None or self._now() >= found.at + REMEMBERED:
            found = await self._fresh(host, port, found)
        infos = list(found.infos)
        found.infos.append(found.infos.pop(0))
        return infos

    def known(self, host: str, port: int) -> frozenset[str] | None:
        """The addresses that `host` had when it was last asked for; None where it never was, or is one itself."""
        found = self._hosts.get((host, port))
        if found is None:
            return None
        if self._now() >= found.at + REMEMBERED:
            self._look(host, port)
        return found.hosts

    async def close(self) -> None:
        """Ask for nothing any more."""
        looking = list(self._looking.values())
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)

    async def _fresh(self, host: str, port: int, last: _Host | None) -> _Host:
        try:
            # Shielded: others wait for the same answer.
            return await asyncio.shield(self._look(host, port))
        except socket.gaierror as error:
            if last is None or error.errno != socket.EAI_AGAIN or self._now() >= last.at + OUTLASTED:
                raise
            return last

    def _look(self, host: str, port: int) -> asyncio.Task[_Host]:
        key = (host, port)
        task = self._looking.get(key)
        if task is None:
            task = self._looking[key] = asyncio.get_running_loop().create_task(self._ask(host, port))
            task.add_done_callback(lambda done: self._looked(key, done))
        return task

    def _looked(self, key: tuple[str, int], done: asyncio.Task[_Host]) -> None:
        self._looking.pop(key, None)
        if not done.cancelled():
            # Who waits for it gets the failure too; in the background the next request asks again.
            done.exception()

    async def _ask(self, host: str, port: int) -> _Host:
        infos = await look_up(host, port)
        found = _Host(infos, frozenset(str(info[4][0]) for info in infos), self._now())
        if not found.infos:
            raise socket.gaierror(socket.EAI_NONAME, "the name has no address")
        self._hosts[host, port] = found
        self._hosts.move_to_end((host, port))
        if len(self._hosts) > _MOST_HOSTS:
            self._hosts.popitem(last=False)
        return found


async def look_up(host: str, port: int) -> list[AddressInfo]:
    """What the system says now. Raises OSError."""
    infos = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
    return [(int(info[0]), int(info[1]), info[2], info[3], info[4]) for info in infos]


@functools.lru_cache(_MOST_HOSTS)
def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


@functools.lru_cache(_MOST_HOSTS)
def _numeric(host: str, port: int) -> tuple[AddressInfo, ...]:
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return tuple((int(info[0]), int(info[1]), info[2], info[3], info[4]) for info in infos)
