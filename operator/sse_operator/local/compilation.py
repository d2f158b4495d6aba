"""Manifests to gateway configs, by the operator's own compiler, and its refusals with their place in the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sse_operator.api.model import Metadata
from sse_operator.api.objects import FieldPath, SseApi, SseGateway
from sse_operator.api.references import Reference, ReferencedKind, located_references
from sse_operator.api.sse_api import Claim, SseApiStatus
from sse_operator.api.sse_gateway import SseGatewaySpec
from sse_operator.compiler.attach import gateway_key_of
from sse_operator.compiler.gateway import compile_gateway, refuse_unattached
from sse_operator.compiler.model import ApiResult, CompiledGateway, Environment, GatewayInputs
from sse_operator.compiler.targets import local_guard
from sse_operator.local.manifests import DataManifest, FileFault, Manifest

_REFUSED_FIELDS: Mapping[str, FieldPath] = {
    "ContextPathConflict": ("spec", "contextPath"),
    "NestedContextPath": ("spec", "contextPath"),
    "GatewayNotFound": ("spec", "gatewayRef"),
    "NotAllowedByGateway": ("spec", "gatewayRef"),
}
"""The field that a reason is about. What is not here has told its faults itself: InvalidSpec, GatewayInvalid."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one SseApi of the files."""

    manifest: Manifest
    gateway_key: str | None
    """namespace/name of its gateway; None where its gatewayRef cannot be understood."""
    result: ApiResult


@dataclass(frozen=True, slots=True)
class Compilation:
    """Every gateway of the files."""

    gateways: Mapping[str, CompiledGateway]
    """By namespace/name: those that are defined, and those that SseApis belong to."""
    outcomes: tuple[Outcome, ...]
    """In the order of the files."""
    manifests: Mapping[str, Manifest]
    """By namespace/name, the gateways that are defined."""

    def refusals(self) -> list[tuple[Outcome, FileFault]]:
        """What only all objects together show: a path that another holds, a gateway or Secret that is not there."""
        refused = [
            (outcome, outcome.manifest.fault(_REFUSED_FIELDS[verdict.reason], verdict.message))
            for outcome in self.outcomes
            for verdict in (outcome.result.accepted, outcome.result.resolved_refs)
            if verdict.status == "False" and verdict.reason in _REFUSED_FIELDS
        ]
        unresolved = [
            (outcome, outcome.manifest.fault(_place_of(outcome.result.api, each.reference), each.message))
            for outcome in self.outcomes
            for each in outcome.result.unresolved
        ]
        return refused + unresolved

    def gateway_refusals(self) -> list[tuple[str, FileFault]]:
        """Secrets that gateways name and cannot use, each with the gateway's namespace/name."""
        return [
            (key, manifest.fault(_place_of(manifest.object, each.reference), each.message))
            for key, manifest in self.manifests.items()
            for each in self.gateways[key].unresolved
        ]

    def claims(self) -> dict[str, Claim]:
        """Who holds which context-path, by namespace/name of the SseApi: for the next compilation."""
        return {
            outcome.manifest.object.metadata.key: outcome.result.claim
            for outcome in self.outcomes
            if outcome.result.claim is not None
        }


def compile_manifests(
    objects: Sequence[Manifest],
    namespace_labels: Mapping[str, Mapping[str, str]],
    data: Mapping[tuple[ReferencedKind, str], DataManifest],
    *,
    claims: Mapping[str, Claim],
    now: datetime,
    gateway_key: str | None = None,
) -> Compilation:
    """Compiles every gateway, and `gateway_key`, empty, also where nothing speaks of it any more.

    `data` are the Secrets and ConfigMaps that SseApis may use. `claims` are those of the compilation before: who holds
    a path keeps it; where nobody does, the order of `objects` decides. A gateway `default` that an SseApi needs and
    nobody defines is made up, as the operator would make it."""
    environment = Environment(targets=local_guard())
    defined = {item.object.metadata.key: item for item in objects if isinstance(item.object, SseGateway)}
    gateways = {key: item.object for key, item in defined.items() if isinstance(item.object, SseGateway)}
    attached: dict[str, list[SseApi]] = {key: [] for key in gateways}
    needed: set[str] = set()
    manifests = [item for item in objects if isinstance(item.object, SseApi)]
    apis = [_with_claim(item.object, claims) for item in manifests if isinstance(item.object, SseApi)]
    keys = [gateway_key_of(api, environment.default_gateway) for api in apis]
    for api, key in zip(apis, keys, strict=True):
        if key is not None:
            attached.setdefault(key, []).append(api)
            if api.gateway_ref is None:
                needed.add(key)
    if gateway_key is not None and gateway_key not in attached:
        attached[gateway_key] = []
        needed.add(gateway_key)
    for key in needed - gateways.keys():
        namespace, _, name = key.partition("/")
        gateways[key] = SseGateway(Metadata(name=name, namespace=namespace), SseGatewaySpec())
    compiled = {
        key: compile_gateway(
            GatewayInputs(
                key=key,
                gateway=gateways.get(key),
                apis=members,
                namespace_labels=namespace_labels,
                secrets={name: each.object for (kind, name), each in data.items() if kind == "Secret"},
                config_maps={name: each.object for (kind, name), each in data.items() if kind == "ConfigMap"},
            ),
            environment,
            now,
        )
        for key, members in attached.items()
    }
    outcomes = tuple(
        Outcome(manifest, key, refuse_unattached(api) if key is None else compiled[key].results[api.metadata.key])
        for manifest, api, key in zip(manifests, apis, keys, strict=True)
    )
    return Compilation(compiled, outcomes, defined)


def _place_of(referring: SseApi | SseGateway, reference: Reference) -> FieldPath:
    """The first field that refers to it."""
    places = located_references(referring.spec) if referring.spec is not None else ()
    return next((("spec", *path) for path, each in places if each == reference), ("spec",))


def _with_claim(api: SseApi, claims: Mapping[str, Claim]) -> SseApi:
    return replace(api, status=SseApiStatus(claim=claims.get(api.metadata.key)))
