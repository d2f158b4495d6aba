"""What of a compiled config is new: revisions only grow, and what is equal is not written again."""

from __future__ import annotations

from collections.abc import Mapping

from sse_operator.compiler.model import CompiledGateway, Revised
from sse_proxy.config import Api, Index, Shard, digest_of, encode, split, split_secrets


def revise(
    compiled: CompiledGateway,
    previous_index: Index | None,
    previous_shards: Mapping[str, Shard],
    *,
    floor: int = 0,
) -> Revised:
    """The index and shards to write, given those that are there.

    An entry that is equal but for its revision keeps it; any other gets the new one. The index gets a new revision
    only where something is written. That is above the previous one, above `floor` (the last revision that a status
    tells of, in case the index was lost) and above that of any entry."""
    before = {api.key: api for shard in previous_shards.values() for api in shard.apis}
    known = max(
        floor,
        previous_index.revision if previous_index else 0,
        max((api.revision for api in before.values()), default=0),
    )
    shards = split(_stamped(entry, before.get(entry.key), known + 1) for entry in compiled.entries)
    digests = {shard_id: digest_of(encode(shard)) for shard_id, shard in shards.items()}
    secrets = split_secrets(compiled.secrets)
    secret_digests = {shard_id: digest_of(encode(shard)) for shard_id, shard in secrets.items()}
    index = Index(revision=known, settings=compiled.settings, shards=digests, secrets=secret_digests)
    index_changed = index != previous_index
    if index_changed:
        index = index.model_copy(update={"revision": known + 1})
    listed = previous_index.shards if previous_index else {}
    return Revised(
        index=index,
        shards=shards,
        secrets=secrets,
        changed=tuple(
            shard_id
            for shard_id, shard in shards.items()
            # By the digest too: bytes that another version wrote may differ although they read as equal.
            if previous_shards.get(shard_id) != shard or listed.get(shard_id) != digests[shard_id]
        ),
        removed=tuple(shard_id for shard_id in sorted(previous_shards) if shard_id not in shards),
        index_changed=index_changed,
        revisions={api.key: api.revision for shard in shards.values() for api in shard.apis},
    )


def _stamped(entry: Api, before: Api | None, new: int) -> Api:
    if before is not None and before.model_copy(update={"revision": entry.revision}) == entry:
        return before
    return entry.model_copy(update={"revision": new})
