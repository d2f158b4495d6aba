"""How a gateway's proxy pods run: their number, their resources, and what is added to their template."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from sse_operator.api.exposure import Annotations
from sse_operator.api.fields import CEL_RULES, ObjectName, Rule, cel_of, ruled
from sse_operator.api.model import ApiModel

QUANTITY_RULES = (
    Rule(
        r"^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$",
        "must be a Kubernetes quantity such as 250m, 1.5 or 512Mi",
    ),
)

Quantity = Annotated[
    str,
    Field(min_length=1, max_length=32, json_schema_extra=cel_of(QUANTITY_RULES, "quantity")),
    AfterValidator(ruled(QUANTITY_RULES)),
]
"""A Kubernetes quantity, as a string."""

Quantities = Annotated[dict[str, Quantity], Field(max_length=16)]


class ResourcesSpec(ApiModel):
    """Compute resources of the proxy container (Kubernetes ResourceRequirements)."""

    requests: Quantities | None = None
    """What it is sure to get. Default: cpu 100m, memory 128Mi; each holds unless named here."""
    limits: Quantities | None = None
    """What it may use at most. Default: none."""


REPLICAS_ORDER_MESSAGE = "minReplicas must not be above maxReplicas"


class AutoscalingSpec(ApiModel):
    """A HorizontalPodAutoscaler that sets the number of proxy pods."""

    model_config = ConfigDict(
        json_schema_extra={
            CEL_RULES: [
                {
                    "rule": "!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",
                    "message": REPLICAS_ORDER_MESSAGE,
                }
            ]
        }
    )

    min_replicas: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Least number of proxy pods. Default 1."""
    max_replicas: Annotated[int, Field(ge=1, le=1000)]
    """Greatest number of proxy pods."""
    cpu_utilization: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Mean CPU use to keep to, in percent of the request. Default 70, unless activeStreams is set."""
    active_streams: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Mean number of open streams per proxy to keep to. Needs a metrics adapter that serves the Pods metric
    sse_gateway_streams_active."""

    @model_validator(mode="after")
    def _in_order(self) -> AutoscalingSpec:
        if self.min_replicas is not None and self.min_replicas > self.max_replicas:
            raise ValueError(REPLICAS_ORDER_MESSAGE)
        return self


TOLERATION_MESSAGE = "without a key the operator must be Exists, and Exists takes no value"


class Toleration(ApiModel):
    """A taint that the pods tolerate (Kubernetes Toleration)."""

    model_config = ConfigDict(
        json_schema_extra={
            CEL_RULES: [
                {
                    "rule": "(has(self.key) || (has(self.operator) && self.operator == 'Exists'))"
                    " && !(has(self.value) && has(self.operator) && self.operator == 'Exists')",
                    "message": TOLERATION_MESSAGE,
                }
            ]
        }
    )

    key: Annotated[str, Field(min_length=1, max_length=317)] | None = None
    """Key of the taint. Default: any, with operator Exists."""
    operator: Literal["Equal", "Exists"] | None = None
    """How the value counts. Default Equal."""
    value: Annotated[str, Field(max_length=63)] | None = None
    """Value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint. Default: any."""
    toleration_seconds: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """With NoExecute: for how long. Default: for ever."""

    @model_validator(mode="after")
    def _as_kubernetes_has_it(self) -> Toleration:
        exists = self.operator == "Exists"
        if (self.key is None and not exists) or (exists and self.value is not None):
            raise ValueError(TOLERATION_MESSAGE)
        return self


Labels = Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=64)]


class PodTemplateSpec(ApiModel):
    """What is added to the proxy pods' template. It changes nothing of what the operator itself sets there."""

    labels: Labels | None = None
    """Further labels; those that the operator sets win."""
    annotations: Annotations | None = None
    """Further annotations; those that the operator sets win."""
    node_selector: Labels | None = None
    """Labels of the nodes that the pods may run on."""
    tolerations: Annotated[list[Toleration], Field(max_length=64)] | None = None
    """Taints that the pods tolerate."""
    affinity: (
        Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})] | None
    ) = None
    """Affinity of the pods (Kubernetes Affinity); the API server judges it with the Deployment."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods."""
