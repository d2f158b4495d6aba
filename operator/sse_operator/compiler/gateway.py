"""All of one gateway: which SseApis it serves, from which config, and what is to be said of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from sse_operator.api.conditions import Verdict
from sse_operator.api.objects import Fault, SseApi, SseGateway
from sse_operator.api.sharing import share_parts
from sse_operator.api.sse_api import Claim
from sse_operator.api.sse_gateway import SseGatewaySpec
from sse_operator.compiler.attach import may_attach
from sse_operator.compiler.certificates import certificates_of
from sse_operator.compiler.claims import ANY_HOST, Holding, Refusal, Route, Settled, settle_anew
from sse_operator.compiler.entries import entry_of, granted_hostnames, unavailable_entry
from sse_operator.compiler.limits import gateway_limits_of
from sse_operator.compiler.model import ApiResult, CompiledGateway, Environment, GatewayInputs
from sse_operator.compiler.reasons import SSE_API_REASONS, SSE_GATEWAY_REASONS
from sse_operator.compiler.secrets import Referenced
from sse_operator.compiler.upstream_tls import tls_warnings
from sse_proxy.config import Settings

FAULTS_TOLD = 8
"""A condition's message is for people: so many faults of an object it tells, and how many more there are."""

MESSAGE_LENGTH = 500
"""Characters that are told of an error that nobody foresaw."""


def compile_gateway(
    inputs: GatewayInputs, environment: Environment, now: datetime, before: CompiledGateway | None = None
) -> CompiledGateway:
    """The gateway's config, and the verdicts on it and on its SseApis, as far as resources alone tell.

    `now` (aware) stamps claims that are new. Where `accepted` of the result is not True (the gateway does not exist, is
    being deleted, or has faults), there is no config to write: what its proxies serve stays as it is, and what its
    SseApis hold stays theirs. One SseApi that cannot be compiled harms no other.

    `before` is what came out of it last time. It changes nothing of the result, only its price: what became of an
    SseApi is taken over where all that it depends on is as it was."""
    namespace, _, name = inputs.key.partition("/")
    spec = inputs.gateway.spec if inputs.gateway else None
    settings = Settings(
        namespace=namespace,
        name=name,
        targets=environment.targets,
        limits=gateway_limits_of(spec.limits if spec else None),
        trusted_proxies=tuple(spec.trusted_proxies or ()) if spec else (),
        proxy_protocol=bool(spec.proxy_protocol) if spec else False,
    )
    apis = [api for api in inputs.apis if api.metadata.deletion_timestamp is None]
    gateway = inputs.gateway
    if gateway is None or gateway.metadata.deletion_timestamp is not None:
        reason = "GatewayNotFound" if gateway is None else "BeingDeleted"
        what = "does not exist" if gateway is None else "is being deleted"
        missing = f"SseGateway {inputs.key} {what}: create it, or let gatewayRef name another"
        return CompiledGateway(
            settings=settings,
            entries=(),
            results={api.metadata.key: _waiting(api, inputs.key, "GatewayNotFound", missing) for api in apis},
            accepted=Verdict("Accepted", "Unknown", reason, missing),
        )
    if gateway.spec is None:
        faulty = f"SseGateway {inputs.key} has faults: see its conditions"
        return CompiledGateway(
            settings=settings,
            entries=(),
            results={api.metadata.key: _waiting(api, inputs.key, "GatewayInvalid", faulty) for api in apis},
            accepted=Verdict(
                "Accepted", SSE_GATEWAY_REASONS["InvalidSpec"].accepted, "InvalidSpec", told(gateway.faults)
            ),
        )
    results, settled = _results(apis, inputs, gateway, gateway.spec, now, before)
    referenced = Referenced(namespace, inputs.secrets)
    tls = certificates_of(gateway.spec.tls, referenced)
    own = referenced.needed(f"gateway/{name}")
    if tls is not None and own is not None:
        tls = tls.model_copy(update={"secrets": own.digest})
    return CompiledGateway(
        settings=settings.model_copy(update={"tls": tls}),
        entries=tuple(
            sorted(
                (result.entry for result in results.values() if result.entry is not None),
                key=lambda entry: (entry.namespace, entry.name),
            )
        ),
        results=results,
        defaults=gateway.spec.defaults,
        settled=settled,
        accepted=Verdict("Accepted", "True", "Accepted"),
        resolved_refs=_resolution(referenced),
        unresolved=tuple(referenced.unresolved),
        secrets=tuple(each for each in (*(result.secrets for result in results.values()), own) if each is not None),
    )


def refuse_unattached(api: SseApi) -> ApiResult:
    """What became of an SseApi that belongs to no gateway (`gateway_key_of`), because its gatewayRef is faulty."""
    return _refused(api, "InvalidSpec", told(api.faults))


def _results(
    apis: Iterable[SseApi],
    inputs: GatewayInputs,
    gateway: SseGateway,
    spec: SseGatewaySpec,
    now: datetime,
    before: CompiledGateway | None,
) -> tuple[dict[str, ApiResult], Settled]:
    known = before.results if before is not None and before.defaults == spec.defaults else {}
    results: dict[str, ApiResult] = {}
    attached: list[SseApi] = []
    for api in apis:
        namespace = api.metadata.namespace
        labels = inputs.namespace_labels.get(namespace, {})
        if may_attach(namespace, gateway.metadata.namespace, spec.allowed_namespaces, labels):
            attached.append(api)
        else:
            results[api.metadata.key] = _refused(
                api,
                "NotAllowedByGateway",
                f"SseGateway {inputs.key} does not let SseApis of namespace {namespace} attach: "
                "its allowedNamespaces must, or gatewayRef must name another",
            )
    settled = settle_anew(
        attached,
        gateway_key=inputs.key,
        allow_nested=bool(spec.allow_nested_context_paths),
        now=now,
        before=before.settled if before is not None else None,
    )
    unmoved = before is not None and before.settled is not None and settled.holdings is before.settled.holdings
    for api in attached:
        key = api.metadata.key
        result = known.get(key)
        if unmoved and result is not None and result.api is api and _stands_alone(result):
            results[key] = result
            continue
        holding = settled.holdings.get(key)
        if result is not None and holding is not None and _still_holds(result, api, holding):
            if result.api is not api or result.claim != holding.claim:
                result = replace(result, api=api, claim=holding.claim)
            results[key] = result
        else:
            referenced = Referenced(api.metadata.namespace, inputs.secrets, inputs.config_maps)
            results[key] = _result(api, spec, holding, referenced)
    return results, settled


def _stands_alone(result: ApiResult) -> bool:
    """Whether it is of an SseApi that is served, without Secrets or ConfigMaps, which may have changed."""
    return result.accepted.status == "True" and result.entry is not None and not result.api.references


def _still_holds(result: ApiResult, api: SseApi, holding: Holding) -> bool:
    """Whether an SseApi that is served would be served as it is: by the same spec, as its being the same object tells,
    and on the same routes."""
    return (
        _stands_alone(result)
        and result.entry is not None
        and result.api.spec is api.spec
        and result.entry.generation == api.metadata.generation
        and holding.refusal is None
        and result.entry.context_path == holding.context_path
        and result.entry.hostnames == granted_hostnames(holding.hosts)
    )


def _result(api: SseApi, gateway: SseGatewaySpec, holding: Holding | None, referenced: Referenced) -> ApiResult:
    if api.spec is None or holding is None:
        return _refused(api, "InvalidSpec", told(api.faults), holding)
    if holding.refusal:
        return _refused(api, holding.refusal.reason, _told_refusal(holding.refusal), holding)
    try:
        entry, secrets = entry_of(api, api.spec, holding.context_path, holding.hosts, gateway.defaults, referenced)
        share_parts(entry)
    except Exception as error:  # one object that nobody foresaw must not stop all the others
        what = " ".join(str(error).split())[:MESSAGE_LENGTH]
        return _refused(api, "InternalError", f"could not be compiled: {type(error).__name__}: {what}", holding)
    return ApiResult(
        api=api,
        accepted=Verdict("Accepted", "True", "Accepted", f"Attached to SseGateway {_gateway_of(holding)}"),
        resolved_refs=_resolution(referenced),
        entry=entry,
        claim=holding.claim,
        secrets=secrets,
        warnings=(*referenced.warnings(), *tls_warnings(api.spec.upstream)),
        unresolved=tuple(referenced.unresolved),
    )


def _resolution(referenced: Referenced) -> Verdict:
    if not referenced.unresolved:
        return Verdict("ResolvedRefs", "True", "ResolvedRefs")
    told_once = dict.fromkeys(each.message for each in referenced.unresolved)
    return Verdict("ResolvedRefs", "False", referenced.unresolved[0].reason, "; ".join(told_once))


def _gateway_of(holding: Holding) -> str:
    return holding.claim.gateway if holding.claim else ""


def _refused(api: SseApi, reason: str, message: str, holding: Holding | None = None) -> ApiResult:
    """An SseApi that is not served; it answers 503 on what it holds."""
    row = SSE_API_REASONS[reason]
    holds = holding is not None and holding.hosts
    return ApiResult(
        api=api,
        accepted=Verdict("Accepted", row.accepted, reason, message),
        resolved_refs=_resolved(reason, message),
        entry=unavailable_entry(api, holding.context_path, holding.hosts, reason) if holding and holds else None,
        claim=holding.claim if holding else None,
    )


def _waiting(api: SseApi, gateway_key: str, reason: str, message: str) -> ApiResult:
    """An SseApi whose gateway cannot be compiled: it keeps what it holds, and nothing is judged anew."""
    result = _refused(api, reason, message)
    if api.spec is None:
        result = _refused(api, "InvalidSpec", told(api.faults))
    return ApiResult(
        api=api,
        accepted=result.accepted,
        resolved_refs=result.resolved_refs,
        entry=None,
        claim=_kept(api.status.claim, gateway_key),
    )


def _kept(claim: Claim | None, gateway_key: str) -> Claim | None:
    return claim if claim and claim.gateway == gateway_key else None


def _resolved(reason: str, message: str) -> Verdict:
    row = SSE_API_REASONS[reason]
    if row.resolved_refs == "True":
        return Verdict("ResolvedRefs", "True", "ResolvedRefs")
    return Verdict("ResolvedRefs", row.resolved_refs, reason, message)


def told(faults: Iterable[Fault]) -> str:
    """The faults as a condition's message: the first few, and how many more."""
    lines = [str(fault) for fault in faults]
    more = f"; and {len(lines) - FAULTS_TOLD} more" if len(lines) > FAULTS_TOLD else ""
    return "; ".join(lines[:FAULTS_TOLD]) + more


def _told_refusal(refusal: Refusal) -> str:
    if refusal.reason == "ContextPathConflict":
        return (
            f"{_told_route(refusal.route)} is held by SseApi {refusal.holder}: "
            "choose another contextPath or host name, or it takes over when the holder goes"
        )
    return (
        f"{_told_route(refusal.route)} is nested with {_told_route(refusal.held)}, held by SseApi {refusal.holder} of "
        "another namespace: choose another contextPath, or set allowNestedContextPaths on the SseGateway"
    )


def _told_route(route: Route) -> str:
    host, path = route
    return f"contextPath {path} on any host" if host == ANY_HOST else f"contextPath {path} on host {host}"
