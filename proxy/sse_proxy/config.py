"""The compiled gateway config: the one contract between operator and proxy.

The operator compiles SseApis to it, the proxy serves from it, and the local mode does both in one process.
Rules that both sides rely on:

- A gateway's config is an `Index` and up to `SHARDS` `Shard`s. An entry lives in the shard that `shard_of` names for
  its namespace/name, for ever, so that an edit rewrites one shard. A shard without entries does not exist.
- On disk (in the ConfigMaps) these are the files `index.json` and `shard-NN.json`. `encode` gives equal bytes for
  equal content; a shard counts only with the digest that the index lists for it.
- What is secret never stands in a shard. It lives in a `SecretShard` (file `secret-NN.json`, from a Kubernetes Secret)
  with the same id as the entry's shard, listed in the index by digest too. `Api.secrets` names what the entry needs;
  the reader joins the two, and an entry whose secrets have not arrived goes on as it last was, or answers 503, alone.
- `Index.revision` only grows. `Api.revision` is the first index revision that had the entry as it is now.
- `schemaVersion` is the shape of what is written. A reader takes its own version and one neighbour on each side. An
  entry that needs a newer reader than this one (`Api.needs`) keeps its path and answers 503, alone; hence the fields
  of `RouteKey` never change their meaning.
- Unknown fields are ignored (a neighbour version may write them); durations are seconds; `None` means no limit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from sse_proxy.contract.endpoints import ActiveCheck as ActiveCheck
from sse_proxy.contract.endpoints import Endpoint as Endpoint
from sse_proxy.contract.endpoints import Failover as Failover
from sse_proxy.contract.endpoints import HashOn as HashOn
from sse_proxy.contract.endpoints import HealthCheck as HealthCheck
from sse_proxy.contract.endpoints import LoadBalancing as LoadBalancing
from sse_proxy.contract.endpoints import PassiveCheck as PassiveCheck
from sse_proxy.contract.http import Cors as Cors
from sse_proxy.contract.http import Header as Header
from sse_proxy.contract.http import HeaderChanges as HeaderChanges
from sse_proxy.contract.limits import GatewayLimits as GatewayLimits
from sse_proxy.contract.limits import Limits as Limits
from sse_proxy.contract.limits import Rate as Rate
from sse_proxy.contract.model import ConfigModel as ConfigModel
from sse_proxy.contract.model import Seconds as Seconds
from sse_proxy.contract.plan import KEYS_SLOT as KEYS_SLOT
from sse_proxy.contract.plan import USERS_SLOT as USERS_SLOT
from sse_proxy.contract.plan import ApiKey as ApiKey
from sse_proxy.contract.plan import Basic as Basic
from sse_proxy.contract.plan import Keyless as Keyless
from sse_proxy.contract.plan import KeySource as KeySource
from sse_proxy.contract.plan import Plan as Plan
from sse_proxy.contract.stream import OnClientDisconnect as OnClientDisconnect
from sse_proxy.contract.stream import OnDrain as OnDrain
from sse_proxy.contract.stream import Replay as Replay
from sse_proxy.contract.stream import Shared as Shared
from sse_proxy.contract.stream import SlowConsumer as SlowConsumer
from sse_proxy.contract.stream import Stream as Stream
from sse_proxy.contract.tls import Certificate as Certificate
from sse_proxy.contract.tls import Tls as Tls
from sse_proxy.contract.tls import chain_slot as chain_slot
from sse_proxy.contract.tls import key_slot as key_slot
from sse_proxy.contract.upstream import CA_SLOT as CA_SLOT
from sse_proxy.contract.upstream import CERTIFICATE_SLOT as CERTIFICATE_SLOT
from sse_proxy.contract.upstream import CREDENTIALS_SLOT as CREDENTIALS_SLOT
from sse_proxy.contract.upstream import KEY_SLOT as KEY_SLOT
from sse_proxy.contract.upstream import PROXY_CREDENTIALS_SLOT as PROXY_CREDENTIALS_SLOT
from sse_proxy.contract.upstream import ForwardProxy as ForwardProxy
from sse_proxy.contract.upstream import Upstream as Upstream
from sse_proxy.contract.upstream import UpstreamCredentials as UpstreamCredentials
from sse_proxy.contract.upstream import UpstreamTls as UpstreamTls

SCHEMA_VERSION = 1
"""The shape of config that this code writes, and the newest `Api.needs` it can serve."""

SHARDS = 64
"""How many shards a gateway's config is split over. Fixed: it is part of the pod template."""

INDEX_FILE = "index.json"


class Timeouts(ConfigModel):
    """Limits of one stream, in seconds."""

    connect: Seconds | None = 5.0
    """To a connection with upstream, TLS included."""
    response: Seconds | None = 120.0
    """From the sent request to upstream's response head."""
    idle: Seconds | None = 3600.0
    """Between two bytes from upstream; stands still while the client holds upstream back."""
    stream: Seconds | None = None
    """For the whole stream, from its response head."""
    write: Seconds | None = 60.0
    """For a client that takes no byte although some wait for it."""


class Unavailable(ConfigModel):
    """Why an entry holds its path and answers 503 instead of relaying."""

    reason: str
    """A CamelCase word, as in the SseApi's conditions: `Suspended`, `InvalidSpec`, …"""
    message: str
    """For the client: says nothing that only the SseApi's owner may know."""
    retry_after: Annotated[int, Field(ge=0)] = 30
    """Seconds, for the `Retry-After` header."""


class RouteKey(ConfigModel):
    """What every version of the proxy can read of an entry: who it is and which requests are its own."""

    namespace: str
    name: str
    needs: int = 1
    revision: int = 0
    hostnames: tuple[str, ...] = ()
    """Exact lower-case host names, or `*.suffix`; none means any host."""
    context_path: str
    """Starts with `/`, has no trailing `/` (the root is `/` itself)."""


class Api(RouteKey):
    """One SseApi as the proxy serves it."""

    version: str = ""
    """The API's own version, for logs and metrics."""
    generation: int = 0
    """`metadata.generation` that this entry was compiled from; 0 where there is no cluster."""
    unavailable: Unavailable | None = None
    endpoints: tuple[Endpoint, ...] = ()
    load_balancing: LoadBalancing = LoadBalancing()
    health_check: HealthCheck = HealthCheck()
    failover: Failover | None = None
    timeouts: Timeouts = Timeouts()
    upstream: Upstream = Upstream()
    plan: Plan = Keyless()
    request_headers: HeaderChanges | None = None
    response_headers: HeaderChanges | None = None
    """For upstream's responses; the gateway's own stay as they are."""
    cors: Cors | None = None
    """None: what the target says of CORS passes as it came."""
    limits: Limits = Limits()
    stream: Stream = Stream()
    secrets: str | None = None
    """What it needs that is secret: a key of `SecretShard.secrets`. None: nothing."""

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


class TargetGuard(ConfigModel):
    """Where a connection to upstream may not go, judged on the resolved address."""

    deny: tuple[str, ...] = ()
    """Networks in CIDR notation."""
    allow: tuple[str, ...] = ()
    """Networks in CIDR notation that are exempt from `deny`."""


class Settings(ConfigModel):
    """What holds for the gateway as a whole."""

    namespace: str
    name: str
    targets: TargetGuard = TargetGuard()
    limits: GatewayLimits = GatewayLimits()
    trusted_proxies: tuple[str, ...] = ()
    """Networks in CIDR notation, whose X-Forwarded-* fields are believed."""
    proxy_protocol: bool = False
    """Whether connections begin with a PROXY protocol header."""
    tls: Tls | None = None
    """For the port that speaks TLS; None: no handshake succeeds there."""


class Shard(ConfigModel):
    """Some of a gateway's entries. In a shard read from disk each entry is validated by itself (see the loader)."""

    apis: tuple[Api, ...] = ()


class ApiSecrets(ConfigModel):
    """What one entry needs that may not stand in the config."""

    namespace: str
    name: str
    values: dict[str, str] = Field(default={}, repr=False)
    """Slot, such as `upstream.credentials`, → content. What a slot holds is said where the entry's field is."""
    salt: str = Field(default="", repr=False)
    """Hard to guess: the digest stands in the config, which more people may read, and a password may be guessed."""

    @property
    def digest(self) -> str:
        """Hex SHA-256 of all of it, by which an entry names it."""
        return digest_of(self.model_dump_json(by_alias=True).encode())


class SecretShard(ConfigModel):
    """What the entries of one shard need that is secret."""

    secrets: dict[str, ApiSecrets] = {}
    """By digest, in the order of namespace and name."""


class Index(ConfigModel):
    """Which shards make up a gateway's config at one revision."""

    schema_version: int = SCHEMA_VERSION
    revision: Annotated[int, Field(ge=0)] = 0
    settings: Settings
    shards: dict[str, str] = {}
    """Shard id (`"00"` to `"63"`) → hex SHA-256 of the shard file's bytes."""
    secrets: dict[str, str] = {}
    """Shard id → hex SHA-256 of the secret shard file's bytes; only shards that have secrets."""


class GatewayConfig(ConfigModel):
    """A gateway's whole config in memory."""

    settings: Settings
    revision: int = 0
    apis: tuple[Api, ...] = ()
    secrets: dict[str, ApiSecrets] = Field(default={}, repr=False)
    """By digest: what `secrets` of the entries and of `settings.tls` name."""


def shard_of(namespace: str, name: str) -> str:
    """The id of the shard that holds the entry of `namespace/name`: stable over versions and processes."""
    digest = hashlib.sha256(f"{namespace}/{name}".encode()).digest()
    return f"{int.from_bytes(digest[:4], 'big') % SHARDS:02d}"


def shard_ids() -> list[str]:
    """Every shard id there can be, in order."""
    return [f"{number:02d}" for number in range(SHARDS)]


def shard_file(shard_id: str) -> str:
    """The file name of a shard in a config folder."""
    return f"shard-{shard_id}.json"


def secret_file(shard_id: str) -> str:
    """The file name of a secret shard in a config folder."""
    return f"secret-{shard_id}.json"


def encode(document: Index | Shard | SecretShard) -> bytes:
    """The document's bytes: compact JSON, equal for equal content. Defaults are written out: a neighbour's may
    differ."""
    return document.model_dump_json(by_alias=True).encode()


def digest_of(content: bytes) -> str:
    """Hex SHA-256 of a file's bytes, as the index lists it."""
    return hashlib.sha256(content).hexdigest()


def split(apis: Iterable[Api]) -> dict[str, Shard]:
    """Entries by shard id, each shard ordered by namespace and name; only shards that have entries."""
    shards: dict[str, list[Api]] = {}
    for api in apis:
        shards.setdefault(shard_of(api.namespace, api.name), []).append(api)
    return {
        shard_id: Shard(apis=tuple(sorted(entries, key=lambda api: (api.namespace, api.name))))
        for shard_id, entries in sorted(shards.items())
    }


def split_secrets(secrets: Iterable[ApiSecrets]) -> dict[str, SecretShard]:
    """Secrets by shard id; only shards that have some."""
    shards: dict[str, dict[str, ApiSecrets]] = {}
    for each in sorted(secrets, key=lambda each: (each.namespace, each.name)):
        shards.setdefault(shard_of(each.namespace, each.name), {})[each.digest] = each
    return {shard_id: SecretShard(secrets=of_shard) for shard_id, of_shard in sorted(shards.items())}
