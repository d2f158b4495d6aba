"""What goes into the compiler and what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sse_operator.api.conditions import Verdict
from sse_operator.api.data_objects import DataObject
from sse_operator.api.objects import SseApi, SseGateway
from sse_operator.api.sse_api import Claim, Warned
from sse_operator.api.sse_gateway import GatewayDefaults
from sse_operator.compiler.claims import Settled
from sse_operator.compiler.secrets import Unresolved
from sse_proxy.config import Api, ApiSecrets, Index, SecretShard, Settings, Shard, TargetGuard


@dataclass(frozen=True)
class DefaultGateway:
    """The operator's setting `defaultGateway`: where an SseApi without gatewayRef goes."""

    namespace: str | None = None
    """None: one per namespace, the SseApi's own."""
    name: str = "default"


@dataclass(frozen=True)
class Environment:
    """What the compiler must know of where it runs, and is the same for all gateways."""

    default_gateway: DefaultGateway = DefaultGateway()
    targets: TargetGuard = field(default_factory=TargetGuard)
    """Where upstream connections may not go: see `compiler.targets`."""


@dataclass(frozen=True)
class GatewayInputs:
    """All that one gateway's config depends on."""

    key: str
    """namespace/name of the gateway, which may not exist."""
    gateway: SseGateway | None
    apis: Sequence[SseApi]
    """Every SseApi whose gateway this is (`attach.gateway_key_of`), allowed or not, being deleted or not; in the order
    of the files where there are files."""
    namespace_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Labels of the namespaces that have SseApis here."""
    secrets: Mapping[str, DataObject] = field(default_factory=dict, repr=False)
    """By namespace/name: those that SseApis may use (`api.references.USE`)."""
    config_maps: Mapping[str, DataObject] = field(default_factory=dict, repr=False)
    """By namespace/name, as `secrets`."""


@dataclass(frozen=True)
class ApiResult:
    """What became of one SseApi, as far as resources alone tell."""

    api: SseApi
    accepted: Verdict
    resolved_refs: Verdict
    entry: Api | None
    """Its config entry (with `unavailable` where it holds its path without being served); None where it has none. Its
    revision counts for nothing: see `Revised.revisions`."""
    claim: Claim | None
    """The context-path it holds now; None where it holds none."""
    warnings: tuple[Warned, ...] = ()
    secrets: ApiSecrets | None = None
    """What its entry needs that is secret."""
    unresolved: tuple[Unresolved, ...] = ()
    """What it names and cannot be used."""

    @property
    def served(self) -> bool:
        """Whether requests reach its target."""
        return self.entry is not None and self.entry.unavailable is None


@dataclass(frozen=True)
class CompiledGateway:
    """One gateway's config and what became of each SseApi."""

    settings: Settings
    entries: tuple[Api, ...]
    """In the order of namespace and name; their revisions count for nothing."""
    results: Mapping[str, ApiResult]
    """By SseApi key (namespace/name), every SseApi of the inputs that is not being deleted."""
    accepted: Verdict
    """Of the gateway itself. Where it is not True, nothing is to be written."""
    defaults: GatewayDefaults | None = None
    """What the entries were made with beside their SseApis."""
    settled: Settled | None = None
    """Who holds which context-path, and why."""
    resolved_refs: Verdict = field(default_factory=lambda: Verdict("ResolvedRefs", "True", "ResolvedRefs"))
    """Of what the gateway itself names."""
    unresolved: tuple[Unresolved, ...] = ()
    """What of it cannot be used."""
    secrets: tuple[ApiSecrets, ...] = field(default=(), repr=False)
    """What the entries need that is secret, in their order, and what the gateway does."""


@dataclass(frozen=True)
class Revised:
    """The config as it is to be written: only what differs from what is there is new."""

    index: Index
    shards: Mapping[str, Shard]
    """By shard id, all that exist."""
    secrets: Mapping[str, SecretShard] = field(repr=False)
    """By shard id, all that exist."""
    changed: tuple[str, ...]
    """Ids of shards to write."""
    removed: tuple[str, ...]
    """Ids of shards to delete, after the index is written."""
    index_changed: bool
    """Whether the index is to be written, after the shards."""
    entries: Mapping[str, Api]
    """Each entry with its revision, by SseApi key."""

    @property
    def revisions(self) -> Mapping[str, int]:
        """The revision of each entry, by SseApi key."""
        return {key: entry.revision for key, entry in self.entries.items()}


@dataclass(frozen=True)
class Programmed:
    """What the proxies said when they were asked which config they have; see `verdicts`."""

    ready_pods: int
    """How many proxy pods are ready."""
    loaded: Mapping[str, Mapping[str, int]]
    """Pod name → shard id → revision loaded; `""` is the revision of all shards that are not named."""
    unreachable: tuple[str, ...] = ()
    """Names of ready pods that did not answer."""
    warnings: Mapping[str, Mapping[str, Sequence[Warned]]] = field(default_factory=dict)
    """Pod name → SseApi key → what that pod warns of; see `observed`."""
