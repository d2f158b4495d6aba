"""What is told of a gateway and its SseApis: the proxies are asked which config they have, and the statuses written.

Apart from the config, and after it, so that a gateway's next edit waits for no status:

- Only the latest account of a gateway counts. Many edits in a row are told of at once.
- What SseApis hold (`status.claim`) decides who may have what the next time. So an account with news of that is told
  before its gateway is compiled again; all other accounts wait for their turn.
- An account is of what the gateway's objects were when it was compiled; it is told of the objects as they are now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sse_operator.api.objects import SseApi, SseGateway
from sse_operator.cluster.api_statuses import ApiStatuses
from sse_operator.cluster.attempts import attempt
from sse_operator.cluster.gateway_statuses import GatewayStatuses
from sse_operator.cluster.loaded import behind
from sse_operator.cluster.nudges import Nudges
from sse_operator.cluster.proxies import Proxies
from sse_operator.cluster.store import Store
from sse_operator.compiler.model import CompiledGateway, Programmed, Revised
from sse_operator.resources.exposure import base_urls

FIRST_ASK, LONGEST_ASK = 0.1, 5.0
"""Seconds until proxies are asked that cannot have the config yet; doubles each time."""

OBSERVE_INTERVAL = 60.0
"""Seconds between two questions to proxies that have all of the config: what they warn of changes without any edit."""


@dataclass(frozen=True)
class Account:
    """What became of a gateway."""

    key: str
    gateway: SseGateway | None
    compiled: CompiledGateway
    revised: Revised | None = None
    """Its config in the cluster; None where that is left as it was."""
    config_changed: bool = False
    """Whether any of it was written just now."""
    token: str | None = None
    """What the proxies' admin ports want to see; None: they are not asked."""
    refusal: str = ""
    """What the API server said to one of the gateway's objects, if it refused any."""


class Reporter:
    """Tells of all gateways. `again` has `work` called for a gateway in some seconds."""

    def __init__(
        self,
        store: Store,
        proxies: Proxies,
        nudges: Nudges,
        gateway_statuses: GatewayStatuses,
        api_statuses: ApiStatuses,
        again: Callable[[str, float], None],
    ) -> None:
        self._store = store
        self._proxies = proxies
        self._nudges = nudges
        self._gateway_statuses = gateway_statuses
        self._api_statuses = api_statuses
        self._again = again
        self._accounts: dict[str, Account] = {}
        self._asked: dict[str, int] = {}
        """Gateway → how often its proxies were asked for a config that some of them did not have."""
        self._turns: dict[str, asyncio.Lock] = {}
        """Gateway → who holds it tells of the gateway."""

    async def tell(self, account: Account) -> None:
        """Have it told, and where it has news of what SseApis hold, tell it now. Raises OperatorError."""
        key = account.key
        self._accounts[key] = account
        if account.config_changed:
            self._asked.pop(key, None)
        if account.compiled.settled is not None and not account.compiled.settled.told:
            await self._report(key)
        else:
            self._again(key, FIRST_ASK if account.config_changed else 0.0)

    async def refuse(self, apis: Sequence[SseApi]) -> None:
        """Tell SseApis that no gateway has them. Raises OperatorError."""
        await self._api_statuses.refuse(apis)

    async def work(self, key: str) -> None:
        """Tell the latest account of a gateway. Raises WorkFailedError, LeaseLostError."""
        await attempt(self._report(key), key, lambda *_: None)

    async def _report(self, key: str) -> None:
        async with self._turns.setdefault(key, asyncio.Lock()):
            account = self._accounts.get(key)
            if account is None:
                return
            if account.gateway is None:
                await self._api_statuses.write(key, account.compiled, None, None, [])
                self._forget(key)
                return
            current = self._store.gateway(key)
            if current is None or current.metadata.uid != account.gateway.metadata.uid:
                return  # the news of that are on their way to be compiled
            gateway = replace(account.gateway, status=current.status)
            programmed = await self._program(account) if account.token is not None else None
            wait = await self._gateway_statuses.write(
                gateway, account.compiled, account.revised, programmed, account.refusal
            )
            await self._api_statuses.write(key, account.compiled, account.revised, programmed, base_urls(gateway))
            if wait is not None:
                self._again(key, wait)

    async def _program(self, account: Account) -> Programmed:
        """What the proxies say of the config, nudged if they need it; asked again soon while they lack some of it."""
        assert account.revised is not None and account.token is not None  # noqa: S101 PT018 - `token` comes with it
        key, revision = account.key, account.revised.index.revision
        programmed = await self._proxies.ask(self._store.pods.of_gateway(key), account.token)
        late = behind(programmed, revision)
        if not late:
            self._asked.pop(key, None)
            if programmed.ready_pods:
                self._again(key, OBSERVE_INTERVAL)
            return programmed
        if (wait := await self._nudges.nudge(key, late - set(programmed.unreachable), revision)) is not None:
            self._again(key, wait)
        times = self._asked[key] = self._asked.get(key, 0) + 1
        self._again(key, min(FIRST_ASK * 2 ** min(times, 30), LONGEST_ASK))
        return programmed

    def _forget(self, key: str) -> None:
        self._accounts.pop(key, None)
        self._asked.pop(key, None)
        self._turns.pop(key, None)
        self._gateway_statuses.forget(key)
        self._nudges.forget(key)
