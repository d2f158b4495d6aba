"""The compiled config as ConfigMaps and Secrets, and back.

One ConfigMap holds the index and one holds each shard that exists, so that an edit writes two small objects; what of a
shard is secret is in a Secret of the same number. Their names are fixed per gateway: the pod template lists all of them
from the start.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from sse_operator.api.objects import SseGateway
from sse_operator.resources.names import Object, child_metadata, child_name
from sse_proxy.config import (
    INDEX_FILE,
    Index,
    SecretShard,
    Shard,
    digest_of,
    encode,
    secret_file,
    shard_file,
    shard_ids,
)

INDEX_SUFFIX = "config"
SECRETS_SUFFIX = "secrets"

DocumentT = TypeVar("DocumentT", Index, Shard)


def shard_suffix(shard_id: str) -> str:
    """The name's suffix of a shard's ConfigMap."""
    return f"{INDEX_SUFFIX}-{shard_id}"


def index_config_map(gateway: SseGateway, index: Index) -> Object:
    """The ConfigMap of the index."""
    return _config_map(gateway, INDEX_SUFFIX, INDEX_FILE, encode(index))


def shard_config_map(gateway: SseGateway, shard_id: str, shard: Shard) -> Object:
    """The ConfigMap of one shard."""
    return _config_map(gateway, shard_suffix(shard_id), shard_file(shard_id), encode(shard))


def secret_suffix(shard_id: str) -> str:
    """The name's suffix of the Secret with what of a shard is secret."""
    return f"{SECRETS_SUFFIX}-{shard_id}"


def shard_secret(gateway: SseGateway, shard_id: str, shard: SecretShard) -> Object:
    """The Secret with what of one shard is secret."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": child_metadata(gateway, secret_suffix(shard_id)),
        "type": "Opaque",
        "data": {secret_file(shard_id): base64.b64encode(encode(shard)).decode()},
    }


def _config_map(gateway: SseGateway, suffix: str, file: str, content: bytes) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": child_metadata(gateway, suffix),
        "data": {file: content.decode()},
    }


def projected_sources(gateway_name: str) -> list[Object]:
    """The sources of the pods' config volume: the index and every shard there can be, and what of it is secret. All are
    optional: a shard comes and goes without a change of the pod template, and a pod starts (unready) before its config
    is there."""
    files = [("configMap", INDEX_SUFFIX, INDEX_FILE)]
    files += [("configMap", shard_suffix(shard_id), shard_file(shard_id)) for shard_id in shard_ids()]
    files += [("secret", secret_suffix(shard_id), secret_file(shard_id)) for shard_id in shard_ids()]
    return [
        {
            kind: {
                "name": child_name(gateway_name, suffix),
                "optional": True,
                "items": [{"key": file, "path": file}],
            }
        }
        for kind, suffix, file in files
    ]


def written_config(
    gateway_name: str, config_maps: Iterable[Mapping[str, Any]], known: Mapping[str, Shard] | None = None
) -> tuple[Index | None, dict[str, Shard]]:
    """The index and shards as they are in the cluster. What is missing or cannot be read counts as not written. `known`
    has shards by the digest of their bytes, which need not be read again."""
    by_name = {config_map["metadata"]["name"]: config_map.get("data") or {} for config_map in config_maps}
    index = _read(Index, by_name.get(child_name(gateway_name, INDEX_SUFFIX)), INDEX_FILE)
    shards: dict[str, Shard] = {}
    for shard_id in shard_ids():
        data = by_name.get(child_name(gateway_name, shard_suffix(shard_id)))
        file = shard_file(shard_id)
        digest = digest_of(data[file].encode()) if known and data and file in data else ""
        if shard := (known or {}).get(digest) or _read(Shard, data, file):
            shards[shard_id] = shard
    return index, shards


def _read(model: type[DocumentT], data: Mapping[str, str] | None, file: str) -> DocumentT | None:
    if data is None or file not in data:
        return None
    try:
        return model.model_validate_json(data[file])
    except ValidationError:
        return None
