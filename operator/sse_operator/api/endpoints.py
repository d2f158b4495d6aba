"""Several upstream addresses of one SseApi."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from sse_operator.api.fields import CEL_RULES, LabelName, Target, first_repeated
from sse_operator.api.model import ApiModel


class EndpointSpec(ApiModel):
    """One of several upstream addresses."""

    name: LabelName
    """Name of the endpoint, unique within the SseApi; shown in status, metrics and logs."""
    target: Target
    """URL of the endpoint, http or https. Its query parameters are fixed: a client adds others, it never replaces
    one."""
    weight: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Share of the requests relative to the other endpoints'; 0 takes it out. Default 1."""


WEIGHTS_MESSAGE = "must have an endpoint whose weight is not 0"


def _reachable(endpoints: list[EndpointSpec]) -> list[EndpointSpec]:
    repeated = first_repeated([endpoint.name for endpoint in endpoints])
    if repeated is not None:
        raise ValueError(f"must not have two endpoints of the name {repeated!r}")
    if all(endpoint.weight == 0 for endpoint in endpoints):
        raise ValueError(WEIGHTS_MESSAGE)
    return endpoints


Endpoints = Annotated[
    list[EndpointSpec],
    Field(
        min_length=1,
        max_length=32,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            CEL_RULES: [{"rule": "self.exists(e, !has(e.weight) || e.weight > 0)", "message": WEIGHTS_MESSAGE}],
        },
    ),
    AfterValidator(_reachable),
]
