"""A scenario: manifests as kubectl takes them (SseGateways, SseApis, Secrets and ConfigMaps, Namespaces for their
labels), compiled whole."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sse_operator.api.data_objects import DataObject, is_usable, read_data_object
from sse_operator.api.objects import SseApi
from sse_operator.api.reading import read_sse_api, read_sse_gateway
from sse_operator.api.sse_api import Claim, SseApiStatus
from sse_operator.compiler.attach import gateway_key_of
from sse_operator.compiler.gateway import compile_gateway, refuse_unattached
from sse_operator.compiler.model import CompiledGateway, DefaultGateway, Environment, GatewayInputs, Programmed, Revised
from sse_operator.compiler.revisions import revise
from sse_operator.compiler.status import sse_api_status, sse_gateway_status
from sse_operator.compiler.verdicts import api_verdicts, gateway_verdicts

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Compiled:
    """A scenario's gateways, each with its config as it would be written first."""

    gateways: Mapping[str, CompiledGateway]
    revised: Mapping[str, Revised]
    unattached: tuple[SseApi, ...]


def compile_apis(
    gateway_documents: Iterable[Mapping[str, Any]],
    apis: Iterable[SseApi],
    *,
    namespace_labels: Mapping[str, Mapping[str, str]] | None = None,
    secrets: Mapping[str, DataObject] | None = None,
    config_maps: Mapping[str, DataObject] | None = None,
    default: DefaultGateway | None = None,
    now: datetime = NOW,
) -> Compiled:
    """Every gateway that is there or that an SseApi belongs to."""
    environment = Environment(default_gateway=default or DefaultGateway())
    gateways = {gateway.metadata.key: gateway for gateway in map(read_sse_gateway, gateway_documents)}
    attached: dict[str, list[SseApi]] = {key: [] for key in gateways}
    unattached = []
    for api in apis:
        key = gateway_key_of(api, environment.default_gateway)
        if key is None:
            unattached.append(api)
        else:
            attached.setdefault(key, []).append(api)
    compiled = {
        key: compile_gateway(
            GatewayInputs(
                key,
                gateways.get(key),
                of_it,
                namespace_labels or {},
                secrets=secrets or {},
                config_maps=config_maps or {},
            ),
            environment,
            now,
        )
        for key, of_it in attached.items()
    }
    return Compiled(compiled, {key: revise(gateway, None, {}) for key, gateway in compiled.items()}, tuple(unattached))


def with_claim(api: SseApi, claim: Claim | None) -> SseApi:
    """The SseApi as it comes back after its status was written."""
    return replace(api, status=SseApiStatus(claim=claim))


def outcome(documents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What a golden file has: each gateway's entries, and both kinds' statuses, where one proxy has loaded it all."""
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for document in documents:
        by_kind.setdefault(document["kind"], []).append(document)
    settings = next(iter(by_kind.get("Settings", ())), {})
    compiled = compile_apis(
        by_kind.get("SseGateway", ()),
        [read_sse_api(document) for document in by_kind.get("SseApi", ())],
        namespace_labels={
            each["metadata"]["name"]: each["metadata"]["labels"] for each in by_kind.get("Namespace", ())
        },
        secrets=_usable(by_kind.get("Secret", ())),
        config_maps=_usable(by_kind.get("ConfigMap", ())),
        default=DefaultGateway(**settings.get("defaultGateway", {})),
    )
    gateways = {gateway.metadata.key: gateway for gateway in map(read_sse_gateway, by_kind.get("SseGateway", ()))}
    shown: dict[str, Any] = {"gateways": {}, "apis": {}}
    for key, result in sorted(compiled.gateways.items()):
        revised = compiled.revised[key]
        programmed = Programmed(1, {"proxy-0": {"": revised.index.revision}})
        shown["gateways"][key] = {
            **(_gateway_status(gateways[key], result, revised, programmed) if key in gateways else {}),
            "entries": [
                entry.model_dump(mode="json", by_alias=True, exclude_defaults=True) for entry in result.entries
            ],
            **({"secrets": {each.digest: each.values for each in result.secrets}} if result.secrets else {}),
        }
        for api_key, api_result in result.results.items():
            verdicts = api_verdicts(api_result, programmed, revised.revisions.get(api_key, 0))
            url = f"http://sse-{key.partition('/')[2]}.{key.partition('/')[0]}.svc"
            shown["apis"][api_key] = _plain(
                sse_api_status(api_result, verdicts, gateway_key=key, base_urls=[url], now=NOW)
            )
    for api in compiled.unattached:
        api_result = refuse_unattached(api)
        shown["apis"][api.metadata.key] = _plain(
            sse_api_status(api_result, api_verdicts(api_result, None, 0), gateway_key=None, base_urls=[], now=NOW)
        )
    shown["apis"] = dict(sorted(shown["apis"].items()))
    return shown


def _usable(documents: Iterable[Mapping[str, Any]]) -> dict[str, DataObject]:
    return {
        f"{document['metadata']['namespace']}/{document['metadata']['name']}": read_data_object(document)
        for document in documents
        if is_usable(document)
    }


def _gateway_status(gateway: Any, result: CompiledGateway, revised: Revised, programmed: Programmed) -> dict[str, Any]:
    revision = revised.index.revision
    return _plain(
        sse_gateway_status(
            gateway,
            gateway_verdicts(gateway, result, programmed, revision),
            revision=revision,
            attached=sum(each.accepted.status == "True" for each in result.results.values()),
            ready_replicas=0 if gateway.spec and gateway.spec.replicas == 0 else programmed.ready_pods,
            address=None,
            now=NOW,
        )
    )


def _plain(status: Any) -> dict[str, Any]:
    """A status with one line a condition: `True Accepted: why`."""
    plain: dict[str, Any] = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    plain["conditions"] = {
        each["type"]: f"{each['status']} {each['reason']}" + (f": {each['message']}" if each["message"] else "")
        for each in plain["conditions"]
    }
    return {name: value for name, value in plain.items() if value not in ([], {})}
