"""Makes the gateway that an SseApi without gatewayRef needs, and takes it away some time after nobody needs it.

Create-only: the operator never changes such an SseGateway. It deletes it only while it carries the label
`sse-gateway.dev/auto-created=true`; taking the label off makes it the user's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from sse_operator.api.objects import SseApi, SseGateway
from sse_operator.cluster.api_server import ApiServer
from sse_operator.cluster.errors import ApiServerError
from sse_operator.cluster.kinds import SSE_GATEWAYS
from sse_operator.cluster.store import Store
from sse_operator.resources.default_gateway import auto_created, default_gateway

logger = logging.getLogger(__name__)


class DefaultGateways:
    """`grace` is in seconds, as is the monotonic `clock`."""

    def __init__(self, api: ApiServer, store: Store, grace: float, clock: Callable[[], float]) -> None:
        self._api = api
        self._store = store
        self._grace = grace
        self._clock = clock
        self._unneeded_since: dict[str, float] = {}

    async def make(self, key: str, apis: Sequence[SseApi]) -> SseGateway | None:
        """The gateway of that key, made now if an SseApi without gatewayRef is among `apis`; else None."""
        namespace, _, name = key.partition("/")
        if not any(api.gateway_ref is None and api.metadata.deletion_timestamp is None for api in apis):
            return None
        known = self._store.namespace(namespace)
        if known and known.terminating:
            return None
        try:
            made = await self._api.create(SSE_GATEWAYS, default_gateway(namespace, name))
            logger.info("made the default gateway", extra={"gateway": key})
        except ApiServerError as error:
            if error.terminating or error.not_found:
                return None
            if not error.conflict:
                raise
            made = await self._api.get(SSE_GATEWAYS, namespace, name)
        self._store.put(SSE_GATEWAYS, made)
        return self._store.gateway(key)

    async def retire(self, gateway: SseGateway, apis: Sequence[SseApi]) -> float | None:
        """Delete the gateway if it is ours to delete and none has needed it for the grace period. Seconds until that
        is to be asked again, None if it need not be."""
        key = gateway.metadata.key
        if apis or not auto_created(gateway):
            self._unneeded_since.pop(key, None)
            return None
        since = self._unneeded_since.setdefault(key, self._clock())
        remaining = since + self._grace - self._clock()
        if remaining > 0:
            return remaining
        metadata = gateway.metadata
        await self._api.delete(
            SSE_GATEWAYS, metadata.namespace, metadata.name, uid=metadata.uid, version=metadata.resource_version
        )
        self._unneeded_since.pop(key, None)
        logger.info("deleted the default gateway, which no SseApi needs", extra={"gateway": key})
        return None

    def forget(self, key: str) -> None:
        """The gateway is gone."""
        self._unneeded_since.pop(key, None)
