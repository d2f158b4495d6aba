"""The HorizontalPodAutoscaler of a gateway that asks for one. It owns the Deployment's `replicas`, nobody else."""

from __future__ import annotations

from sse_operator.api.objects import SseGateway
from sse_operator.api.proxies import AutoscalingSpec
from sse_operator.resources.names import Object, child_metadata, child_name

CPU_UTILIZATION = 70
"""Percent of the CPU request."""

STREAMS_METRIC = "sse_gateway_streams_active"
"""The proxies' metric of open streams, as a metrics adapter has to serve it (custom.metrics.k8s.io, of pods)."""

SCALE_DOWN_WINDOW = 600
"""Seconds of less load before a proxy goes: its streams have to go elsewhere."""


def autoscaler(gateway: SseGateway, asked: AutoscalingSpec) -> Object:
    """The HorizontalPodAutoscaler. Proxies go one at a time: each has streams that must drain."""
    metrics: list[Object] = []
    target: Object
    if asked.active_streams:
        target = {"type": "AverageValue", "averageValue": str(asked.active_streams)}
        metrics.append({"type": "Pods", "pods": {"metric": {"name": STREAMS_METRIC}, "target": target}})
    if asked.cpu_utilization or not asked.active_streams:
        target = {"type": "Utilization", "averageUtilization": asked.cpu_utilization or CPU_UTILIZATION}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "name": child_name(gateway.metadata.name)}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": child_metadata(gateway),
        "spec": {
            "scaleTargetRef": deployment,
            "minReplicas": asked.min_replicas or 1,
            "maxReplicas": asked.max_replicas,
            "metrics": metrics,
            "behavior": {
                "scaleDown": {
                    "stabilizationWindowSeconds": SCALE_DOWN_WINDOW,
                    "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
                }
            },
        },
    }
