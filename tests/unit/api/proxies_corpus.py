"""How proxy pods run: what is good and what is not; see `corpus`."""

from typing import Any

AUTOSCALING: list[tuple[str, Any, bool]] = [
    ("autoscaling to 3", {"maxReplicas": 3}, True),
    ("autoscaling from 3 to 3", {"minReplicas": 3, "maxReplicas": 3}, True),
    ("autoscaling on both", {"maxReplicas": 3, "cpuUtilization": 80, "activeStreams": 5000}, True),
    ("autoscaling without a maximum", {"minReplicas": 1}, False),
    ("autoscaling from 4 to 3", {"minReplicas": 4, "maxReplicas": 3}, False),
    ("autoscaling from none", {"minReplicas": 0, "maxReplicas": 3}, False),
    ("autoscaling to 1001", {"maxReplicas": 1001}, False),
    ("autoscaling on no CPU", {"maxReplicas": 3, "cpuUtilization": 0}, False),
    ("autoscaling on no streams", {"maxReplicas": 3, "activeStreams": 0}, False),
    ("autoscaling on a string", {"maxReplicas": "3"}, False),
    ("autoscaling true", True, False),
]

RESOURCES_GOOD: list[Any] = [
    {},
    {"requests": {}},
    {"requests": {"cpu": "250m", "memory": "1.5Gi"}, "limits": {"memory": "512Mi", "example.com/nic": "1"}},
]
RESOURCES_BAD: list[Any] = [
    {"requests": {"cpu": 1}},
    {"requests": {"cpu": ""}},
    {"requests": {"cpu": "-1"}},
    {"requests": {"cpu": "1 "}},
    {"requests": {"memory": "512MB"}},
    {"limits": []},
    {"claims": []},
]

POD_TEMPLATES_GOOD: list[Any] = [
    {},
    {"labels": {"team": "streams"}, "annotations": {"note": "x" * 4096}},
    {"nodeSelector": {"disk": "fast"}, "priorityClassName": "high"},
    {"tolerations": [{"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoSchedule"}]},
    {"tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}]},
    {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}},
    {"affinity": {"anything": [1, {"a": None}]}},
]
POD_TEMPLATES_BAD: list[Any] = [
    {"labels": {"team": "x" * 64}},
    {"labels": {"team": 1}},
    {"annotations": {"note": "x" * 4097}},
    {"tolerations": [{}]},
    {"tolerations": [{"operator": "Equal", "value": "b"}]},
    {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
    {"tolerations": [{"key": "a", "effect": "Sometimes"}]},
    {"affinity": []},
    {"affinity": "none"},
    {"priorityClassName": "High"},
    {"containers": []},
]
