"""Who may connect. A plan looks at a request before anything is sent upstream.

`admit` gives the consumer, or the problem that the client gets instead (401, 403). A plan that has a credential of
its own also names the fields and parameters that must not go upstream. `plan_for` picks the plan of a config entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from sse_proxy import config
from sse_proxy.problem import Problem


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who connects, as logs and metrics name them; `""` is anybody."""

    name: str = ""


class Plan(Protocol):
    """One entry's plan, ready to judge requests."""

    async def admit(self, fields: Iterable[tuple[bytes, bytes]], query: str | None) -> Consumer | Problem: ...


class Keyless:
    """Lets everybody in and leaves the client's credentials to upstream."""

    _anybody = Consumer()

    async def admit(self, fields: Iterable[tuple[bytes, bytes]], query: str | None) -> Consumer | Problem:
        return self._anybody


_KEYLESS = Keyless()


def plan_for(plan: config.Plan) -> Plan:
    """The plan of a config entry."""
    return _KEYLESS
