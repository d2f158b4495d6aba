"""What the files say, with the last good of what they said before: a mistake in a file never takes away what is served.

- An object with faults that was good before stays as it was: in a cluster the API server would have refused the edit.
- A file in which something cannot be made out (no YAML, a document without a name) keeps what else it defined, as
  does a file that is gone although it was named itself.
- An object that is taken out of a file that can be read is gone, as with `kubectl delete`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sse_operator.api.objects import SseApi
from sse_operator.api.references import ReferencedKind
from sse_operator.api.sse_api import Claim
from sse_operator.compiler.model import CompiledGateway, Revised
from sse_operator.compiler.revisions import revise
from sse_operator.local.compilation import Compilation, Outcome, compile_manifests
from sse_operator.local.manifests import DataManifest, FileFault, Manifest, Manifests, read_manifests
from sse_proxy.config import GatewayConfig


class NothingToServeError(Exception):
    """The files have no SseApi that belongs to a gateway; `faults` tell why, where they do."""

    def __init__(self, message: str, faults: Sequence[FileFault]) -> None:
        super().__init__(message)
        self.faults = faults


class GatewayChoiceError(Exception):
    """It is not clear which gateway to be; told in one line."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the files came to."""

    config: GatewayConfig
    """With the revision that it had before, where nothing of it changed."""
    revisions: Mapping[str, int]
    """First config revision that had the entry as it is, by namespace/name of the SseApi."""
    outcomes: tuple[Outcome, ...]
    """Of the SseApis of this gateway, and of those whose gateway cannot be made out, in the order of the files."""
    kept: frozenset[str]
    """namespace/name of the SseApis that are served as they were before their last edit."""
    faults: tuple[FileFault, ...]


class Workspace:
    """FILE_OR_DIR… and what was last good in them."""

    def __init__(self, sources: Sequence[str], gateway_key: str | None = None) -> None:
        self._sources = sources
        self._gateway_key = gateway_key
        self._good: dict[tuple[str, str], Manifest] = {}
        self._namespace_labels: dict[str, dict[str, str]] = {}
        self._data: dict[tuple[ReferencedKind, str], DataManifest] = {}
        self._claims: Mapping[str, Claim] = {}
        self._revised: Revised | None = None

    def read(self, now: datetime) -> Reading:
        """Reads the files anew. The first time it settles which gateway this is: NothingToServeError or
        GatewayChoiceError where it cannot; later it does not raise."""
        manifests = read_manifests(self._sources)
        objects, kept = self._with_last_good(manifests)
        self._namespace_labels |= manifests.namespace_labels
        self._data = self._data_with_last_good(manifests)
        compilation = compile_manifests(
            objects, self._namespace_labels, self._data, claims=self._claims, now=now, gateway_key=self._gateway_key
        )
        if self._revised is None or self._gateway_key is None:
            self._gateway_key = _chosen(compilation, self._gateway_key, manifests)
        own = {self._gateway_key, None}
        outcomes = tuple(outcome for outcome in compilation.outcomes if outcome.gateway_key in own)
        self._claims = compilation.claims()
        self._good = {item.identity: item for item in objects if not item.object.faults}
        self._revised = _revised(compilation.gateways[self._gateway_key], self._revised)
        refusals = {fault for outcome, fault in compilation.refusals() if outcome.gateway_key in own}
        refusals |= {fault for key, fault in compilation.gateway_refusals() if key == self._gateway_key}
        faults = tuple(sorted(refusals.union(manifests.all_faults())))
        return Reading(_config(self._revised), self._revised.revisions, outcomes, kept, faults)

    def _with_last_good(self, manifests: Manifests) -> tuple[list[Manifest], frozenset[str]]:
        objects: list[Manifest] = []
        kept: list[Manifest] = []
        found = {manifest.identity for manifest in manifests.objects}
        for manifest in manifests.objects:
            good = self._good.get(manifest.identity)
            if manifest.object.faults and good is not None:
                kept.append(good)
                objects.append(good)
            else:
                objects.append(manifest)
        for identity, good in self._good.items():
            if identity not in found and _unclear(good.file, manifests.incomplete):
                kept.append(good)
                objects.append(good)
        return objects, frozenset(item.object.metadata.key for item in kept if isinstance(item.object, SseApi))

    def _data_with_last_good(self, manifests: Manifests) -> dict[tuple[ReferencedKind, str], DataManifest]:
        kept = {
            identity: good
            for identity, good in self._data.items()
            if (
                found.object.faults
                if (found := manifests.data.get(identity))
                else _unclear(good.file, manifests.incomplete)
            )
        }
        return manifests.data | kept


def _revised(compiled: CompiledGateway, before: Revised | None) -> Revised:
    """Where the gateway itself cannot be compiled, what is served stays as it is."""
    if before is None:
        return revise(compiled, None, {})
    return revise(compiled, before.index, before.shards) if compiled.accepted.status == "True" else before


def _config(revised: Revised) -> GatewayConfig:
    apis = tuple(api for shard in revised.shards.values() for api in shard.apis)
    secrets = {digest: each for shard in revised.secrets.values() for digest, each in shard.secrets.items()}
    return GatewayConfig(settings=revised.index.settings, revision=revised.index.revision, apis=apis, secrets=secrets)


def _unclear(file: str, incomplete: Iterable[str]) -> bool:
    return file in incomplete or os.path.dirname(file) in {source.rstrip("/") for source in incomplete}


def _chosen(compilation: Compilation, wanted: str | None, manifests: Manifests) -> str:
    keys = sorted({outcome.gateway_key for outcome in compilation.outcomes if outcome.gateway_key})
    if not keys:
        raise NothingToServeError("nothing to serve: the files have no SseApi that can be read", manifests.all_faults())
    if wanted is None and len(keys) > 1:
        raise GatewayChoiceError(
            f"the SseApis belong to {len(keys)} gateways; say which one this is: --gateway {' or '.join(keys)}"
        )
    if wanted is not None and wanted not in keys:
        raise GatewayChoiceError(f"no SseApi belongs to the gateway {wanted}; there is: {', '.join(keys)}")
    return wanted or keys[0]
