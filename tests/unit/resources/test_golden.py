"""What a gateway's objects look like: pairs of files, `x.in.yaml` and `x.out.yaml`.

To accept what the code makes now: `UPDATE_GOLDEN=1 pytest tests/unit/resources`, then read the diff.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from sse_operator.api.model import Metadata
from sse_operator.api.objects import SseGateway
from sse_operator.api.sse_gateway import SseGatewaySpec
from sse_operator.resources.config_maps import index_config_map, shard_config_map
from sse_operator.resources.deployment import ProxyPods
from sse_operator.resources.workload import Workload, workload
from sse_proxy.config import Api, Index, Settings, digest_of, encode, split

GOLDEN = Path(__file__).parent / "golden"


def rendered(case: dict[str, Any]) -> list[dict[str, Any]]:
    spec = SseGatewaySpec.model_validate(case["gateway"]["spec"])
    gateway = SseGateway(metadata=Metadata.model_validate(case["gateway"]["metadata"]), spec=spec)
    objects: list[dict[str, Any]] = []
    if settings := case.get("workload"):
        pods = ProxyPods(
            image=settings["image"],
            pull_policy=settings.get("pullPolicy", "IfNotPresent"),
            pull_secrets=tuple(settings.get("pullSecrets", ())),
        )
        objects += workload(gateway, spec, Workload(pods, settings.get("operatorNamespace")))
    if config := case.get("config"):
        shards = split([Api.model_validate(api) for api in config["apis"]])
        index = Index(
            revision=config["revision"],
            settings=Settings(namespace=gateway.metadata.namespace, name=gateway.metadata.name),
            shards={shard_id: digest_of(encode(shard)) for shard_id, shard in shards.items()},
        )
        objects += [shard_config_map(gateway, shard_id, shard) for shard_id, shard in shards.items()]
        objects.append(index_config_map(gateway, index))
        for config_map in objects:  # what is in the files is the contract's, and grows with it
            config_map["data"] = dict.fromkeys(config_map["data"], "…")
    return objects


@pytest.mark.parametrize("source", sorted(GOLDEN.glob("*.in.yaml")), ids=lambda path: path.name.split(".")[0])
def test_objects_of_a_gateway(source: Path) -> None:
    made = yaml.safe_dump_all(
        rendered(yaml.safe_load(source.read_text())), sort_keys=False, width=110, allow_unicode=True
    )
    expected = source.with_name(source.name.replace(".in.", ".out."))
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(made)
    assert list(yaml.safe_load_all(made)) == list(yaml.safe_load_all(expected.read_text()))
