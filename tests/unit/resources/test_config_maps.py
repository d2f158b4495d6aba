"""The config survives the way into ConfigMaps and back, and what cannot be read counts as not written."""

import base64

from sse_operator.api.model import Metadata
from sse_operator.api.objects import SseGateway
from sse_operator.resources.config_maps import (
    index_config_map,
    projected_sources,
    shard_config_map,
    shard_secret,
    written_config,
)
from sse_proxy.config import SHARDS, Api, ApiSecrets, Index, SecretShard, Settings, Shard

GATEWAY = SseGateway(metadata=Metadata(name="default", namespace="shop", uid="1"), spec=None)
INDEX = Index(revision=4, settings=Settings(namespace="shop", name="default"), shards={"07": "00"})
SHARD = Shard(apis=(Api(namespace="shop", name="prices", context_path="/prices"),))


def test_written_config_is_read_back() -> None:
    config_maps = [index_config_map(GATEWAY, INDEX), shard_config_map(GATEWAY, "07", SHARD)]
    assert written_config("default", config_maps) == (INDEX, {"07": SHARD})


def test_what_cannot_be_read_is_not_there() -> None:
    index, shard = index_config_map(GATEWAY, INDEX), shard_config_map(GATEWAY, "07", SHARD)
    index["data"]["index.json"] = index["data"]["index.json"][:-5]
    del shard["data"]
    assert written_config("default", [index, shard]) == (None, {})


def test_the_volume_lists_every_file_that_may_ever_come() -> None:
    sources = projected_sources("default")
    assert len(sources) == SHARDS + 1 + SHARDS
    names: dict[str, set[str]] = {"configMap": set(), "secret": set()}
    for source in sources:
        ((kind, projected),) = source.items()
        assert projected["optional"]
        names[kind].add(projected["name"])
    assert index_config_map(GATEWAY, INDEX)["metadata"]["name"] in names["configMap"]
    assert shard_config_map(GATEWAY, "07", SHARD)["metadata"]["name"] in names["configMap"]
    assert names["secret"] == {f"sse-default-secrets-{number:02d}" for number in range(SHARDS)}


def test_what_is_secret_is_in_a_secret() -> None:
    needed = ApiSecrets(namespace="shop", name="prices", values={"upstream.credentials": "Bearer x"})
    secret = shard_secret(GATEWAY, "07", SecretShard(secrets={needed.digest: needed}))
    assert (secret["kind"], secret["metadata"]["name"]) == ("Secret", "sse-default-secrets-07")
    (content,) = secret["data"].values()
    assert SecretShard.model_validate_json(base64.b64decode(content)).secrets == {needed.digest: needed}
    assert "Bearer" not in repr(needed)
