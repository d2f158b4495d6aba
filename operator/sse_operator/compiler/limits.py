"""Limits: the SseApi's, then its gateway's defaults, then none; 0 takes a default away."""

from __future__ import annotations

from sse_operator.api.fields import seconds_of
from sse_operator.api.limits import GatewayLimitsSpec, LimitsSpec, RequestRateSpec, bytes_of
from sse_proxy.config import GatewayLimits, Limits, Rate

DEFAULT_PER = "1s"

NONE = LimitsSpec()


def limits_of(own: LimitsSpec | None, defaults: LimitsSpec | None) -> Limits:
    """The limits of one API."""
    own, defaults = own or NONE, defaults or NONE
    per_address = _first(own.streams_per_client_address, defaults.streams_per_client_address)
    body = own.request_body_size if own.request_body_size is not None else defaults.request_body_size
    return Limits(
        streams=_first(own.streams, defaults.streams),
        streams_per_client_address=per_address,
        streams_per_consumer=_first(own.streams_per_consumer, defaults.streams_per_consumer),
        request_rate=_rate(own.request_rate or defaults.request_rate),
        request_rate_per_client_address=_rate(
            own.request_rate_per_client_address or defaults.request_rate_per_client_address
        ),
        request_body=(bytes_of(body) or None) if body is not None else None,
    )


def event_size_of(own: LimitsSpec | None, defaults: LimitsSpec | None) -> int | None:
    """Bytes that an event may have."""
    size = next((each.event_size for each in (own, defaults) if each is not None and each.event_size is not None), None)
    return (bytes_of(size) or None) if size is not None else None


def gateway_limits_of(spec: GatewayLimitsSpec | None) -> GatewayLimits:
    """The limits of the gateway as a whole."""
    if spec is None:
        return GatewayLimits()
    return GatewayLimits(
        streams=spec.streams or None,
        streams_per_client_address=spec.streams_per_client_address or None,
        request_line=spec.request_target_size,
        header_fields=spec.request_headers,
        request_head=spec.request_head_size,
    )


def _first(own: int | None, default: int | None) -> int | None:
    """The API's own word, else the default; None where that is no limit."""
    return (default if own is None else own) or None


def _rate(spec: RequestRateSpec | None) -> Rate | None:
    if spec is None or spec.requests == 0:
        return None
    return Rate(
        requests=spec.requests,
        per=seconds_of(spec.per or DEFAULT_PER),
        burst=spec.requests if spec.burst is None else spec.burst,
    )
