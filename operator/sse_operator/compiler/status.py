"""The whole status of each kind. Equal to the previous one where nothing changed, so that nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from sse_operator.api.conditions import Verdict, set_conditions
from sse_operator.api.objects import SseGateway
from sse_operator.api.sse_api import Claim, SseApiStatus
from sse_operator.api.sse_gateway import SseGatewayStatus
from sse_operator.compiler.model import ApiResult

DEFAULT_PORTS = {"http": 80, "https": 443}


def sse_api_status(
    result: ApiResult, verdicts: Sequence[Verdict], *, gateway_key: str | None, base_urls: Iterable[str], now: datetime
) -> SseApiStatus:
    """The status of an SseApi.

    `base_urls` are where its gateway is reached, such as `http://default.ns.svc.cluster.local`. Where the gateway
    cannot be compiled, what it serves stays as it was, and so do the URLs. `now` is aware."""
    api = result.api
    attached = result.accepted.status == "True"
    claim = result.claim
    return SseApiStatus(
        observed_generation=api.metadata.generation,
        conditions=list(set_conditions(api.status.conditions, verdicts, generation=api.metadata.generation, now=now)),
        gateway=gateway_key,
        urls=urls_of(claim, base_urls) if claim and attached else _kept_urls(result),
        version=api.spec.version if api.spec and result.served else None,
        claim=claim,
        warnings=list(result.warnings),
    )


def sse_gateway_status(
    gateway: SseGateway,
    verdicts: Sequence[Verdict],
    *,
    revision: int,
    attached: int,
    ready_replicas: int,
    address: str | None,
    now: datetime,
) -> SseGatewayStatus:
    """The status of a gateway. `revision` is that of its newest index, `attached` how many SseApis are accepted."""
    return SseGatewayStatus(
        observed_generation=gateway.metadata.generation,
        conditions=list(
            set_conditions(gateway.status.conditions, verdicts, generation=gateway.metadata.generation, now=now)
        ),
        revision=revision,
        attached=attached,
        ready_replicas=ready_replicas,
        address=address,
    )


def urls_of(claim: Claim, base_urls: Iterable[str]) -> list[str]:
    """What to curl: the context-path on each base URL, or with host names on those, with its scheme and port."""
    urls = []
    for base in base_urls:
        parts = urlsplit(base)
        port = "" if parts.port in (None, DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
        host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
        urls += [f"{parts.scheme}://{name}{port}{claim.context_path}" for name in claim.hostnames or [str(host)]]
    return list(dict.fromkeys(urls))


def _kept_urls(result: ApiResult) -> list[str]:
    return result.api.status.urls if result.accepted.status == "Unknown" and result.claim else []
