"""A gateway's config from a folder, as the kubelet projects it: `index.json`, `shard-NN.json` and `secret-NN.json` (see
`config`).

What can go wrong, and what is served then:

- The index cannot be read, or its schema is not a neighbour's: everything stays as it was.
- A shard does not have the digest that the index lists (it is on its way, or was cut in half while it was read): the
  shard stays as it was, the others go on.
- An entry does not validate, or needs a newer proxy: it alone answers 503, on the path that is its own.
- The gateway's certificates are not there: those that were there before stay.
- An entry's secrets are not there, although its shard is: it goes on as it was with the last secrets that it had, both
  of then; where it never had any, it alone answers 503.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from watchfiles import awatch
from watchfiles.main import FileChange

from sse_proxy.config import (
    INDEX_FILE,
    SCHEMA_VERSION,
    Api,
    ApiSecrets,
    GatewayConfig,
    Index,
    RouteKey,
    Settings,
    Tls,
    Unavailable,
    digest_of,
    secret_file,
    shard_file,
    shard_ids,
    shard_of,
)
from sse_proxy.errors import ConfigError
from sse_proxy.in_parts import Parts, at_once, in_turns

_log = logging.getLogger(__name__)

POLL_SECONDS = 10.0
"""How often the folder is read without having been told of a change: some file systems never tell."""

_DEBOUNCE_MILLISECONDS = 100
_STEP_MILLISECONDS = 100
_SHARD_IDS = frozenset(shard_ids())


@dataclass(frozen=True)
class Loaded:
    """What a folder gives now."""

    config: GatewayConfig
    complete: bool
    """Whether one whole config has been seen since the start."""
    lagging: dict[str, int]
    """Shard id → the revision that its entries are from, for shards that are behind the index; 0: never seen."""
    faults: tuple[str, ...]
    """What could not be loaded, one sentence each."""


@dataclass(frozen=True)
class _Shard:
    digest: str
    revision: int
    apis: tuple[Api, ...]
    faults: tuple[str, ...]


@dataclass(frozen=True)
class _SecretShard:
    digest: str
    revision: int
    secrets: dict[str, ApiSecrets] = field(repr=False)
    faults: tuple[str, ...]


class ConfigFolder:
    """Remembers the last good of everything in the folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index: Index | None = None
        self._shards: dict[str, _Shard] = {}
        self._secrets: dict[str, _SecretShard] = {}
        self._joined: dict[str, tuple[Api, ApiSecrets]] = {}
        """namespace/name → the entry and its secrets as they were last there together."""
        self._tls: Tls | None = None
        self._certificates: dict[str, ApiSecrets] = {}
        """What `_tls` needs, by digest."""
        self._complete = False
        self._last: Loaded | None = None

    def read(self) -> Loaded | None:
        """What the folder gives now; None when that is what it gave before.

        Raises ConfigError when the index cannot be used: what was loaded before stays valid.
        """
        return at_once(self._reading())

    def _reading(self) -> Parts[Loaded | None]:
        index = self._read_index()
        faults: list[str] = []
        lagging: dict[str, int] = {}
        shards: dict[str, _Shard] = {}
        secrets: dict[str, _SecretShard] = {}
        for shard_id, digest in sorted(index.shards.items()):
            if shard_id not in _SHARD_IDS:
                raise ConfigError(f"{INDEX_FILE}: {shard_id!r} is no shard id")
            shard, fault = yield from self._read_shard(shard_id, digest, index.revision)
            if fault is not None:
                faults.append(fault)
                lagging[shard_id] = shard.revision if shard is not None else 0
            if shard is not None:
                shards[shard_id] = shard
                faults.extend(shard.faults)
        for shard_id, digest in sorted(index.secrets.items()):
            if shard_id not in _SHARD_IDS:
                raise ConfigError(f"{INDEX_FILE}: {shard_id!r} is no shard id")
            secret, fault = self._read_secrets(shard_id, digest, index.revision)
            yield
            if fault is not None:
                faults.append(fault)
                lagging[shard_id] = min(lagging.get(shard_id, index.revision), secret.revision if secret else 0)
            if secret is not None:
                secrets[shard_id] = secret
                faults.extend(secret.faults)
        self._index, self._shards, self._secrets = index, shards, secrets
        self._complete = self._complete or not lagging
        apis, joined, unjoined = self._join(shards, secrets)
        self._joined = joined
        self._join_tls(index.settings, secrets)
        loaded = Loaded(
            GatewayConfig(
                settings=index.settings.model_copy(update={"tls": self._tls}),
                revision=index.revision,
                apis=apis,
                secrets={
                    **{api.secrets: needed for api, needed in joined.values() if api.secrets is not None},
                    **self._certificates,
                },
            ),
            self._complete,
            lagging,
            (*faults, *unjoined),
        )
        if loaded == self._last:
            return None
        self._last = loaded
        return loaded

    async def follow(self) -> AsyncIterator[Loaded | ConfigError]:
        """What the folder gives, now and after every change, for ever. A ConfigError changes nothing; it is told once
        for as long as it is the same."""
        told = ""
        changes = awatch(
            self._path,
            watch_filter=None,
            recursive=False,
            debounce=_DEBOUNCE_MILLISECONDS,
            step=_STEP_MILLISECONDS,
            rust_timeout=int(POLL_SECONDS * 1000),
            yield_on_timeout=True,
        )
        change: asyncio.Task[set[FileChange]] | None = None
        try:
            while True:
                # Watching begins before reading, so that no change between the two is missed.
                change = asyncio.create_task(_next(changes))
                await asyncio.sleep(0)
                try:
                    loaded = await in_turns(self._reading())
                except ConfigError as error:
                    if str(error) != told:
                        told = str(error)
                        yield error
                else:
                    told = ""
                    if loaded is not None:
                        yield loaded
                await change
        finally:
            if change is not None:
                change.cancel()
                await asyncio.gather(change, return_exceptions=True)
            await changes.aclose()

    def _read_index(self) -> Index:
        try:
            content = (self._path / INDEX_FILE).read_bytes()
        except OSError as error:
            raise ConfigError(f"{INDEX_FILE} cannot be read: {error.strerror or error}") from None
        try:
            index = Index.model_validate_json(content)
        except ValidationError as error:
            raise ConfigError(f"{INDEX_FILE} is not valid: {_told(error)}") from None
        if abs(index.schema_version - SCHEMA_VERSION) > 1:
            raise ConfigError(
                f"{INDEX_FILE} has schema version {index.schema_version}; this proxy reads "
                f"{SCHEMA_VERSION - 1} to {SCHEMA_VERSION + 1}"
            )
        return index

    def _read_shard(self, shard_id: str, digest: str, revision: int) -> Parts[tuple[_Shard | None, str | None]]:
        """The shard as it is to be served, and what is wrong with the one that the index wants."""
        known = self._shards.get(shard_id)
        if known is not None and known.digest == digest:
            return _Shard(digest, revision, known.apis, known.faults), None
        name = shard_file(shard_id)
        try:
            content = (self._path / name).read_bytes()
        except OSError as error:
            return known, f"{name} cannot be read: {error.strerror or error}"
        if digest_of(content) != digest:
            return known, f"{name} is not the one that the index lists"
        try:
            document = json.loads(content)
            entries = document["apis"]
            if not isinstance(entries, list):
                raise TypeError("apis is no list")
        except (ValueError, TypeError, KeyError) as error:
            return known, f"{name} is not valid: {error}"
        apis: list[Api] = []
        faults: list[str] = []
        for number, entry in enumerate(entries):
            yield
            api, fault = _read_entry(entry)
            if api is not None:
                apis.append(api)
            if fault is not None:
                faults.append(f"{name}: {api.key if api is not None else f'entry {number}'}: {fault}")
        return _Shard(digest, revision, tuple(apis), tuple(faults)), None

    def _read_secrets(self, shard_id: str, digest: str, revision: int) -> tuple[_SecretShard | None, str | None]:
        """The secrets of a shard as they are to be used, and what is wrong with those that the index wants."""
        known = self._secrets.get(shard_id)
        if known is not None and known.digest == digest:
            return _SecretShard(digest, revision, known.secrets, known.faults), None
        name = secret_file(shard_id)
        try:
            content = (self._path / name).read_bytes()
        except OSError as error:
            return known, f"{name} cannot be read: {error.strerror or error}"
        if digest_of(content) != digest:
            return known, f"{name} is not the one that the index lists"
        try:
            document = json.loads(content)["secrets"].items()
        except (ValueError, TypeError, KeyError, AttributeError):
            return known, f"{name} is not valid"
        secrets: dict[str, ApiSecrets] = {}
        faults: list[str] = []
        for key, each in document:
            try:
                secrets[key] = ApiSecrets.model_validate(each)
            except ValidationError as error:
                faults.append(f"{name}: {key}: {_told(error)}")
        return _SecretShard(digest, revision, secrets, tuple(faults)), None

    def _join(
        self, shards: dict[str, _Shard], secrets: dict[str, _SecretShard]
    ) -> tuple[tuple[Api, ...], dict[str, tuple[Api, ApiSecrets]], list[str]]:
        """The entries as they are to be served, those among them with secrets, and what lacks its secrets."""
        apis: list[Api] = []
        joined: dict[str, tuple[Api, ApiSecrets]] = {}
        faults: list[str] = []
        for shard_id, shard in shards.items():
            of_shard = secrets[shard_id].secrets if shard_id in secrets else {}
            for api in shard.apis:
                if api.secrets is None:
                    apis.append(api)
                    continue
                needed, before = of_shard.get(api.secrets), self._joined.get(api.key)
                if needed is None and before is not None and before[0].secrets == api.secrets:
                    needed = before[1]
                if needed is not None:
                    joined[api.key] = api, needed
                elif before is not None:
                    joined[api.key] = before
                    faults.append(f"{api.key}: its secrets have not arrived; it is as of revision {before[0].revision}")
                else:
                    apis.append(_closed(api, "SecretsNotLoaded"))
                    faults.append(f"{api.key}: its secrets have not arrived; it answers 503")
                    continue
                apis.append(joined[api.key][0])
        return tuple(apis), joined, faults

    def _join_tls(self, settings: Settings, secrets: dict[str, _SecretShard]) -> None:
        """The gateway's certificates, as they were last there where they have not arrived."""
        tls = settings.tls
        if tls is None or tls.secrets is None:
            self._tls, self._certificates = tls, {}
            return
        shard_id = shard_of(settings.namespace, f"gateway/{settings.name}")
        of_shard = secrets[shard_id].secrets if shard_id in secrets else {}
        needed = of_shard.get(tls.secrets) or self._certificates.get(tls.secrets)
        if needed is not None:
            self._tls, self._certificates = tls, {tls.secrets: needed}


def _read_entry(entry: object) -> tuple[Api | None, str | None]:
    """One entry, closed where it cannot be served as it is meant; None where not even its path can be read."""
    try:
        key = RouteKey.model_validate(entry)
    except ValidationError as error:
        return None, _told(error)
    if key.needs > SCHEMA_VERSION:
        return _closed(key, "NewerConfig"), f"needs config version {key.needs}, this proxy has {SCHEMA_VERSION}"
    try:
        return Api.model_validate(entry), None
    except ValidationError as error:
        return _closed(key, "InvalidConfig"), _told(error)


def _closed(key: RouteKey, reason: str) -> Api:
    return Api(
        **{name: getattr(key, name) for name in RouteKey.model_fields},
        unavailable=Unavailable(reason=reason, message="The gateway cannot serve this API at the moment."),
    )


def _told(error: ValidationError) -> str:
    """A validation error in one line, without the values: some are secret."""
    return "; ".join(
        f"{'.'.join(map(str, detail['loc'])) or 'document'}: {detail['msg']}"
        for detail in error.errors(include_input=False)
    )


async def _next(changes: AsyncIterator[set[FileChange]]) -> set[FileChange]:
    return await anext(changes)
