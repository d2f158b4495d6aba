"""What of a compiled config is new: revisions only grow, and what is equal is not written again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sse_operator.compiler.model import CompiledGateway, Revised
from sse_proxy.config import Api, Index, Shard, digest_of, encode, shard_of, split, split_secrets


def revise(
    compiled: CompiledGateway,
    previous_index: Index | None,
    previous_shards: Mapping[str, Shard],
    *,
    floor: int = 0,
    before: Revised | None = None,
) -> Revised:
    """The index and shards to write, given those that are there. `before` is what came out of it last time; it changes
    nothing of the result, but what is equal stays the same Python object, and its digest is not worked out anew.

    An entry that is equal but for its revision keeps it; any other gets the new one. The index gets a new revision
    only where something is written. That is above the previous one, above `floor` (the last revision that a status
    tells of, in case the index was lost) and above that of any entry."""
    as_made = before is not None and _are_the_same(previous_shards, before.shards)
    if before is not None and as_made:
        written = before.entries
    else:
        written = {api.key: api for shard in previous_shards.values() for api in shard.apis}
    known = max(
        floor,
        previous_index.revision if previous_index else 0,
        max((api.revision for api in written.values()), default=0),
    )
    entries = {(key := each.key): _stamped(each, written.get(key), known + 1) for each in compiled.entries}
    shards = _edited(previous_shards, written, entries) if as_made else split(entries.values())
    digests: dict[str, str] = {}
    for shard_id, shard in shards.items():
        same = before.shards.get(shard_id) if before is not None else None
        if before is not None and same is not None and (same is shard or same.apis == shard.apis):
            shards[shard_id], digests[shard_id] = same, before.index.shards[shard_id]
        else:
            digests[shard_id] = digest_of(encode(shard))
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
        entries=entries,
    )


def _are_the_same(some: Mapping[str, Shard], others: Mapping[str, Shard]) -> bool:
    """Whether they are the same Python objects."""
    return some.keys() == others.keys() and all(shard is others[shard_id] for shard_id, shard in some.items())


def _edited(shards: Mapping[str, Shard], written: Mapping[str, Api], entries: Mapping[str, Api]) -> dict[str, Shard]:
    """The shards of `entries`, as `split` gives them, given `shards`, which `split` gave of `written`."""
    new = [entry for key, entry in entries.items() if written.get(key) is not entry]
    gone = [entry for key, entry in written.items() if key not in entries]
    touched = {shard_of(entry.namespace, entry.name) for entry in (*new, *gone)}
    kept = [
        entry
        for shard_id in touched & shards.keys()
        for entry in shards[shard_id].apis
        if entries.get(entry.key) is entry
    ]
    untouched = {shard_id: shard for shard_id, shard in shards.items() if shard_id not in touched}
    return dict(sorted((untouched | split((*kept, *new))).items()))


def with_revisions(compiled: CompiledGateway, revised: Revised) -> CompiledGateway:
    """What was compiled, with the entries as they were stamped: to be compiled from once more, each entry is in memory
    once only."""
    entries = revised.entries
    results = {
        key: result if result.entry is None or result.entry is entries[key] else replace(result, entry=entries[key])
        for key, result in compiled.results.items()
    }
    return replace(compiled, results=results, entries=tuple(entries.values()))


def _stamped(entry: Api, written: Api | None, new: int) -> Api:
    if entry is written:
        return entry
    if written is None or not _is_but_for_revision(entry, written):
        return _with_revision(entry, new)
    return _with_revision(entry, written.revision)  # so that its parts are in memory once only


_FIELDS = set(Api.model_fields)
"""Pydantic remembers which fields were given. All are; a set for each entry takes as much memory as the entry else."""


def _with_revision(entry: Api, revision: int) -> Api:
    return Api.model_construct(_fields_set=_FIELDS, **{**entry.__dict__, "revision": revision})


def _is_but_for_revision(one: Api, other: Api) -> bool:
    """Field by field, which costs little where the fields are the same objects."""
    return {**one.__dict__, "revision": 0} == {**other.__dict__, "revision": 0}
