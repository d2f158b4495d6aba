"""The config of a gateway, from what was compiled to ConfigMaps and Secrets.

The order of writing is what the proxies rely on: secrets and shards, then the index that names them, then what is no
longer named goes. What was made last time is kept in memory, so that an edit costs what it changes and not what the
gateway has; all of it can be made anew from what is in the cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from functools import partial

from sse_operator.api.objects import SseGateway
from sse_operator.cluster.api_server import settle
from sse_operator.cluster.apply import Applier, name_of
from sse_operator.cluster.as_of import newest, with_as_of, written_as_of
from sse_operator.cluster.kinds import CONFIG_MAPS, SECRETS, Kind
from sse_operator.cluster.store import Name, Store
from sse_operator.compiler.model import CompiledGateway, Revised
from sse_operator.compiler.revisions import revise
from sse_operator.resources.admin_token import TOKEN_SUFFIX
from sse_operator.resources.config_maps import (
    INDEX_SUFFIX,
    index_config_map,
    secret_suffix,
    shard_config_map,
    shard_secret,
    shard_suffix,
    written_config,
)
from sse_operator.resources.names import Object, child_name

CONCURRENT = 16
"""Shards that are written at the same time, over all gateways."""


class ConfigWriter:
    """Writes the configs of all gateways."""

    def __init__(self, applier: Applier, store: Store) -> None:
        self._applier = applier
        self._store = store
        self._revised: dict[str, Revised] = {}
        self._slots = asyncio.Semaphore(CONCURRENT)

    def as_of(self, gateway: SseGateway) -> int:
        """As of which resource version of the SseApis the config is that is in the cluster."""
        return written_as_of(self._index(gateway), gateway)

    async def revise(self, gateway: SseGateway, compiled: CompiledGateway) -> Revised:
        """What is to be written, given what is in the cluster."""
        key = gateway.metadata.key
        config_maps = self._store.children[CONFIG_MAPS].of_gateway(key)
        revised = await asyncio.to_thread(_revise, gateway, compiled, config_maps, self._revised.get(key))
        self._revised[key] = revised
        return revised

    async def write(self, gateway: SseGateway, compiled: CompiledGateway, revised: Revised) -> bool:
        """Whether anything was written. All shards are looked at, not only those that are new: one may have been
        changed or deleted by hand. Raises ObjectRefusedError, ApiServerError."""
        namespace, uid = gateway.metadata.namespace, gateway.metadata.uid
        parts: list[tuple[Kind, Name, Hashable, Callable[[], Object]]] = []
        for shard_id, secrets in revised.secrets.items():
            name = (namespace, child_name(gateway.metadata.name, secret_suffix(shard_id)))
            render = partial(shard_secret, gateway, shard_id, secrets)
            parts.append((SECRETS, name, (uid, revised.index.secrets[shard_id]), render))
        for shard_id, shard in revised.shards.items():
            name = (namespace, child_name(gateway.metadata.name, shard_suffix(shard_id)))
            render = partial(shard_config_map, gateway, shard_id, shard)
            parts.append((CONFIG_MAPS, name, (uid, revised.index.shards[shard_id]), render))

        async def keep(kind: Kind, name: Name, basis: Hashable, render: Callable[[], Object]) -> bool:
            async with self._slots:
                return await self._applier.keep(gateway, kind, name, basis, render)

        doubtful = [part for part in parts if not self._applier.is_in_order(gateway, *part[:3])]
        changed = any(await settle(*(keep(*part) for part in doubtful)))
        before = self.as_of(gateway)
        as_of = newest(result.api for result in compiled.results.values())
        as_of = max(before, as_of) if revised.index_changed else before
        index = with_as_of(index_config_map(gateway, revised.index), as_of)
        changed |= await self._applier.apply(gateway, index)
        token = (SECRETS, (namespace, child_name(gateway.metadata.name, TOKEN_SUFFIX)))
        needed = [token, (CONFIG_MAPS, name_of(index)), *((kind, name) for kind, name, _, _ in parts)]
        await self._applier.prune(gateway, needed, [CONFIG_MAPS, SECRETS])
        return changed

    def forget(self, gateway_key: str) -> None:
        """The gateway is gone."""
        self._revised.pop(gateway_key, None)
        self._applier.forget(gateway_key)

    def _index(self, gateway: SseGateway) -> Object | None:
        name = child_name(gateway.metadata.name, INDEX_SUFFIX)
        return self._store.children[CONFIG_MAPS].get((gateway.metadata.namespace, name))


def _revise(
    gateway: SseGateway, compiled: CompiledGateway, config_maps: Sequence[Object], before: Revised | None
) -> Revised:
    known = {before.index.shards[shard_id]: shard for shard_id, shard in before.shards.items()} if before else None
    index, shards = written_config(gateway.metadata.name, config_maps, known)
    floor = gateway.status.revision or 0
    if index is None and before is not None:  # it got lost, and the status may tell of a revision before
        floor = max(floor, before.index.revision)
    return revise(compiled, index, shards, floor=floor, before=before)
