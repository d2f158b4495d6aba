"""A gateway's config folder for the bench, written through the contract that the operator writes through."""

from __future__ import annotations

from pathlib import Path

from sse_proxy.config import (
    INDEX_FILE,
    Api,
    Endpoint,
    Index,
    Settings,
    Shard,
    Stream,
    digest_of,
    encode,
    shard_file,
    split,
)

NAMESPACE = "bench"


class ConfigFolder:
    """One folder; what has not changed is neither made nor written again."""

    def __init__(self, folder: Path, target: str, stream: Stream = Stream()) -> None:  # noqa: B008
        """Every route leads to the target, an absolute URL without a path."""
        self._folder = folder
        self._target = target
        self._stream = stream
        self._apis: dict[str, Api] = {}
        self._written: dict[str, tuple[Shard, str]] = {}
        self._revision = 0
        folder.mkdir(exist_ok=True)

    def write(self, routes: list[str]) -> None:
        """Publish these context-paths as the next revision: changed shards first, the index last."""
        self._revision += 1
        self._apis = {route: self._apis.get(route) or self._api(route) for route in routes}
        shards = split(self._apis.values())
        for shard_id, shard in shards.items():
            if shard_id not in self._written or self._written[shard_id][0] != shard:
                content = encode(shard)
                self._replace(shard_file(shard_id), content)
                self._written[shard_id] = shard, digest_of(content)
        index = Index(
            revision=self._revision,
            settings=Settings(namespace=NAMESPACE, name=NAMESPACE),
            shards={shard_id: self._written[shard_id][1] for shard_id in shards},
        )
        self._replace(INDEX_FILE, encode(index))

    def _api(self, route: str) -> Api:
        return Api(
            namespace=NAMESPACE,
            name=route.strip("/"),
            revision=self._revision,
            context_path=route,
            endpoints=(Endpoint(name="origin", url=f"{self._target}/"),),
            stream=self._stream,
        )

    def _replace(self, name: str, content: bytes) -> None:
        new = self._folder / f".{name}.new"
        new.write_bytes(content)
        new.rename(self._folder / name)
