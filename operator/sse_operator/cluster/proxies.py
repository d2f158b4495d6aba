"""Asks proxies which config they have loaded, and nudges the kubelet to bring them a new one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import aiohttp

from sse_operator.cluster.api_server import ApiServer
from sse_operator.cluster.errors import ApiServerError
from sse_operator.cluster.kinds import PODS
from sse_operator.cluster.loaded import read_loaded, read_warnings
from sse_operator.cluster.pods import REVISION, ProxyPod
from sse_operator.cluster.store import Store
from sse_operator.compiler.model import Programmed

ASK_TIMEOUT = 2.0
"""Seconds for a proxy to answer; it does so from memory."""

CONCURRENT = 50
"""Proxies asked at the same time, over all gateways."""

ANSWER_BYTES = 256 * 1024
"""An answer that is longer is none of a proxy's."""


async def _whole(content: aiohttp.StreamReader) -> bytes:
    """The body, as far as a proxy's may go."""
    parts = bytearray()
    async for part in content.iter_any():
        parts += part
        if len(parts) > ANSWER_BYTES:
            break
    return bytes(parts)


class Proxies:
    """The proxy pods as seen from the operator. An async context manager."""

    def __init__(self, api: ApiServer, store: Store) -> None:
        self._api = api
        self._store = store
        self._slots = asyncio.Semaphore(CONCURRENT)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=ASK_TIMEOUT)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def ask(self, pods: Iterable[ProxyPod], token: str) -> Programmed:
        """What each pod that serves has loaded, all asked at the same time."""
        asked = [pod for pod in pods if pod.serves]
        answers = await asyncio.gather(*(self._ask(pod, token) for pod in asked))
        contents = {pod.name: answer for pod, answer in zip(asked, answers, strict=True) if answer is not None}
        read = {name: read_loaded(content) for name, content in contents.items()}
        loaded = {name: shards for name, shards in read.items() if shards is not None}
        return Programmed(
            ready_pods=len(asked),
            loaded=loaded,
            unreachable=tuple(pod.name for pod in asked if pod.name not in loaded),
            warnings={name: read_warnings(contents[name]) for name in loaded},
        )

    async def _ask(self, pod: ProxyPod, token: str) -> bytes | None:
        assert self._session  # noqa: S101 - inside the context manager
        host = f"[{pod.address}]" if ":" in pod.address else pod.address
        try:
            async with (
                self._slots,
                self._session.get(
                    f"http://{host}:{pod.admin_port}/config",
                    headers={"Authorization": f"Bearer {token}"},
                    allow_redirects=False,
                ) as response,
            ):
                if response.status != 200:
                    return None
                return await _whole(response.content)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def nudge(self, pod: ProxyPod, to: str) -> None:
        """Change the pod's annotation, which makes its kubelet refresh the mounted config at once."""
        patch = {"metadata": {"annotations": {REVISION: to}}}
        try:
            document = await self._api.merge(PODS, pod.namespace, pod.name, patch)
        except ApiServerError as error:
            if not error.not_found:
                raise
            return
        self._store.put(PODS, document)
