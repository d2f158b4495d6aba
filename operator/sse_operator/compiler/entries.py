"""One SseApi to one config entry: defaults filled in, durations in seconds, or why it answers 503."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sse_operator.api.fields import seconds_of
from sse_operator.api.objects import SseApi
from sse_operator.api.sse_api import SseApiSpec, TimeoutsSpec
from sse_operator.api.sse_gateway import GatewayDefaults
from sse_operator.compiler.claims import ANY_HOST
from sse_operator.compiler.endpoints import endpoints_of, failover_of, health_check_of, load_balancing_of
from sse_operator.compiler.http import cors_of, header_changes
from sse_operator.compiler.limits import event_size_of, limits_of
from sse_operator.compiler.plan import plan_of
from sse_operator.compiler.secrets import Referenced
from sse_operator.compiler.stream import stream_of
from sse_operator.compiler.upstream import upstream_of
from sse_proxy.config import Api, ApiSecrets, ConfigModel, Timeouts, Unavailable

DEFAULT_TIMEOUTS = {"connect": "5s", "response": "2m", "idle": "1h", "stream": "0s", "write": "1m"}
"""The last word on timeouts, where neither the SseApi nor its gateway says anything."""

CLIENT_MESSAGES = {
    "Suspended": "This API is suspended by its owner.",
    "InvalidSpec": "This API's configuration has faults; its owner finds them in its status.",
    "SecretNotFound": "This API lacks something that it needs; its owner finds more in its status.",
    "SecretInvalid": "This API lacks something that it needs; its owner finds more in its status.",
    "InternalError": "This API's configuration could not be compiled; its owner finds more in its status.",
    "ContextPathConflict": "This API is in conflict with another; its owner finds more in its status.",
    "NestedContextPath": "This API is in conflict with another; its owner finds more in its status.",
}
"""What a client may know of the reason for a 503."""


def entry_of(
    api: SseApi,
    spec: SseApiSpec,
    context_path: str,
    hosts: Sequence[str],
    defaults: GatewayDefaults | None,
    referenced: Referenced,
) -> tuple[Api, ApiSecrets | None]:
    """The entry that serves the SseApi, or says that it is suspended or lacks something that it names (`referenced` has
    noted it then), and what it needs that is secret."""
    entry = Api(
        namespace=api.metadata.namespace,
        name=api.metadata.name,
        hostnames=granted_hostnames(hosts),
        context_path=context_path,
        version=spec.version or "",
        generation=api.metadata.generation,
        unavailable=_unavailable("Suspended") if spec.suspend else None,
        endpoints=endpoints_of(spec),
        load_balancing=load_balancing_of(spec),
        health_check=health_check_of(spec.health_check),
        failover=failover_of(spec.failover),
        timeouts=_timeouts(spec.timeouts, defaults.timeouts if defaults else None),
        upstream=upstream_of(spec.upstream, referenced),
        plan=plan_of(spec.plan, context_path, referenced),
        request_headers=header_changes(spec.request.headers if spec.request else None),
        response_headers=header_changes(spec.response.headers if spec.response else None),
        cors=cors_of(spec.cors),
        limits=limits_of(spec.limits, defaults.limits if defaults else None),
        stream=stream_of(
            spec.stream,
            defaults.stream if defaults else None,
            event_size=event_size_of(spec.limits, defaults.limits if defaults else None),
        ),
    )
    entry = _of_shared_parts(entry)
    if referenced.unresolved:
        unavailable = entry.unavailable or _unavailable(referenced.unresolved[0].reason)
        return entry.model_copy(update={"unavailable": unavailable}), None
    secrets = referenced.needed(api.metadata.name)
    return entry.model_copy(update={"secrets": secrets.digest}) if secrets else entry, secrets


def granted_hostnames(hosts: Sequence[str]) -> tuple[str, ...]:
    """The hosts of a holding as an entry names them: none means any."""
    return tuple(host for host in hosts if host != ANY_HOST)


def unavailable_entry(api: SseApi, context_path: str, hosts: Sequence[str], reason: str) -> Api:
    """The entry that holds the path and answers 503 for `reason`."""
    return Api(
        namespace=api.metadata.namespace,
        name=api.metadata.name,
        hostnames=granted_hostnames(hosts),
        context_path=context_path,
        generation=api.metadata.generation,
        unavailable=_unavailable(reason),
    )


def _of_shared_parts(entry: Api) -> Api:
    """The entry, with parts that others have too: most parts of thousands of entries are equal, and are most of what
    they take of memory."""
    return entry.model_copy(update={name: _shared(part) for name, part in entry if isinstance(part, ConfigModel)})


@lru_cache(maxsize=1024)
def _shared(part: ConfigModel) -> ConfigModel:
    return part


def _unavailable(reason: str) -> Unavailable:
    return Unavailable(reason=reason, message=CLIENT_MESSAGES[reason])


def _timeouts(own: TimeoutsSpec | None, defaults: TimeoutsSpec | None) -> Timeouts:
    def seconds(name: str) -> float | None:
        for source in (own, defaults):
            value = getattr(source, name, None)
            if value is not None:
                return seconds_of(value) or None
        return seconds_of(DEFAULT_TIMEOUTS[name]) or None

    return Timeouts(**{name: seconds(name) for name in DEFAULT_TIMEOUTS})
