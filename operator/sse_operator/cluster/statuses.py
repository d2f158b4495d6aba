"""Writes of statuses: only those that changed, as a merge patch of what changed.

A status is written to an object as it was seen; that the object changed or went meanwhile is normal, and the event of
that brings the next look."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Any

from sse_operator.api.model import ApiModel, Metadata
from sse_operator.api.objects import SseApi, SseGateway
from sse_operator.api.sse_api import SseApiStatus
from sse_operator.api.sse_gateway import SseGatewayStatus
from sse_operator.cluster.api_server import ApiServer
from sse_operator.cluster.errors import ApiServerError
from sse_operator.cluster.events import EventWriter, Story
from sse_operator.cluster.kinds import SSE_APIS, SSE_GATEWAYS, Kind
from sse_operator.cluster.store import Store
from sse_operator.resources.names import Object

logger = logging.getLogger(__name__)

_Status = SseApiStatus | SseGatewayStatus

CONCURRENT = 16
"""Status writes under way at the same time, over all gateways."""


class StatusWriter:
    """Writes statuses that differ from what is there."""

    def __init__(self, api: ApiServer, store: Store, events: EventWriter) -> None:
        self._api = api
        self._store = store
        self._events = events
        self._story = Story()
        self._slots = asyncio.Semaphore(CONCURRENT)

    async def write_api(self, api: SseApi, status: SseApiStatus) -> bool:
        """Whether there was something to write. Raises ApiServerError but for an object that changed or went."""
        return await self._write(SSE_APIS, api.metadata, api.status, status)

    async def write_gateway(self, gateway: SseGateway, status: SseGatewayStatus) -> bool:
        """See `write_api`."""
        return await self._write(SSE_GATEWAYS, gateway.metadata, gateway.status, status)

    def keep(self, uids: Collection[str]) -> None:
        """Forget what was told of any object but these."""
        self._story.keep(uids)

    async def _write(self, kind: Kind, metadata: Metadata, before: _Status, after: _Status) -> bool:
        patch = difference(_plain(before), _plain(after))
        if not patch:
            return False
        try:
            async with self._slots:
                document = await self._api.merge(
                    kind,
                    metadata.namespace,
                    metadata.name,
                    {"metadata": {"uid": metadata.uid}, "status": patch},
                    subresource="status",
                )
        except ApiServerError as error:
            if error.not_found or error.conflict:
                logger.debug("status: %s", error)
                return True
            raise
        self._store.put(kind, document)
        for notice in self._story.changed(kind, metadata, before.conditions, after.conditions):
            logger.info("%s", notice.reason, extra={"object": f"{kind.name} {metadata.key}", "detail": notice.message})
            self._events.tell(notice)
        return True


def difference(before: Object, after: Object) -> Object:
    """The merge patch (RFC 7396) from one status to another, by top-level field; empty where they are equal."""
    patch: dict[str, Any] = {key: value for key, value in after.items() if before.get(key) != value}
    patch.update({key: None for key in before if key not in after})
    return patch


def _plain(status: ApiModel) -> Object:
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)
