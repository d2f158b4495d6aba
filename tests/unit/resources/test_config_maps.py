"""The config survives the way into ConfigMaps and back, and what cannot be read counts as not written."""

from sse_operator.api.model import Metadata
from sse_operator.api.objects import SseGateway
from sse_operator.resources.config_maps import (
    index_config_map,
    projected_sources,
    shard_config_map,
    written_config,
)
from sse_proxy.config import SHARDS, Api, Index, Settings, Shard

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
    assert len(sources) == SHARDS + 1
    assert all(source["configMap"]["optional"] for source in sources)
    names = {source["configMap"]["name"] for source in sources}
    assert index_config_map(GATEWAY, INDEX)["metadata"]["name"] in names
    assert shard_config_map(GATEWAY, "07", SHARD)["metadata"]["name"] in names
