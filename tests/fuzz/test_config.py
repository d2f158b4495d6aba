"""Any files in a config folder: one bad entry, shard or index harms nothing else."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fuzz.target import fuzz
from proxy import harness
from sse_proxy.config import Api, Endpoint, Index, Settings, TargetGuard, digest_of, encode, shard_file, shard_of, split
from sse_proxy.errors import ConfigError
from sse_proxy.loader import ConfigFolder, Loaded
from sse_proxy.proxy import ConfigState


def api(name: str) -> Api:
    return Api(
        namespace="default",
        name=name,
        context_path=f"/{name}",
        endpoints=(Endpoint(name="main", url=f"http://{name}.example/?a=b"),),
    )


BYSTANDER, TARGET = api("a"), api("b")
SETTINGS = Settings(namespace="default", name="default", targets=TargetGuard())

values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just("/b"), st.just("x" * 300)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


@st.composite
def changed(draw: st.DrawFn, document: bytes) -> bytes:
    """A document with another value somewhere, or with other bytes."""
    if draw(st.integers(0, 4)) == 0:
        place = draw(st.integers(0, len(document)))
        return document[:place] + draw(st.binary(max_size=3)) + document[place + draw(st.integers(0, 9)) :]
    root: dict[str, Any] = {"": json.loads(document)}
    holder: Any = root
    key: Any = ""
    while isinstance(holder[key], dict | list) and holder[key] and draw(st.integers(0, 5)):
        holder = holder[key]
        key = draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
    holder[key] = draw(values)
    return json.dumps(root[""]).encode()


def files() -> dict[str, bytes]:
    shards = {shard_id: encode(shard) for shard_id, shard in split((BYSTANDER, TARGET)).items()}
    return {shard_file(shard_id): data for shard_id, data in shards.items()} | {"index.json": index_of(shards)}


def index_of(shards: dict[str, bytes]) -> bytes:
    digests = {shard_id: digest_of(data) for shard_id, data in shards.items()}
    return encode(Index(revision=1, settings=SETTINGS, shards=digests))


FILES = files()
TARGETS_SHARD = shard_of("default", "b")
assert shard_of("default", "a") != TARGETS_SHARD


@fuzz(changed(FILES[shard_file(TARGETS_SHARD)]))
def test_a_shard_harms_no_other(shard: bytes) -> None:
    bystanders = shard_of("default", "a")
    index = index_of({bystanders: FILES[shard_file(bystanders)], TARGETS_SHARD: shard})
    loaded = load(FILES | {shard_file(TARGETS_SHARD): shard, "index.json": index})
    assert isinstance(loaded, Loaded)
    assert BYSTANDER in loaded.config.apis
    serve(loaded)


@fuzz(changed(FILES["index.json"]))
def test_an_index_is_used_or_refused(index: bytes) -> None:
    loaded = load(FILES | {"index.json": index})
    if isinstance(loaded, Loaded):
        serve(loaded)


def load(files: dict[str, bytes]) -> Loaded | ConfigError | None:
    with tempfile.TemporaryDirectory(prefix="sse-gateway-fuzz-") as folder:
        for name, data in files.items():
            Path(folder, name).write_bytes(data)
        try:
            return ConfigFolder(Path(folder)).read()
        except ConfigError as error:
            return error


def serve(loaded: Loaded) -> None:
    """A proxy serves it, or says that it cannot; and then shows it."""

    async def run() -> None:
        gateway = await harness.start()
        try:
            gateway.proxy.load(loaded.config, ConfigState(loaded.complete, loaded.lagging, loaded.faults))
            assert json.dumps(gateway.proxy.config_view())
            assert gateway.proxy.metrics()
        except ConfigError:
            pass
        finally:
            await gateway.proxy.stop()

    asyncio.run(run())
