"""The Deployment of proxies. Its pod template depends on the gateway's spec and the operator's settings only."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sse_operator.api.fields import seconds_of
from sse_operator.api.objects import SseGateway
from sse_operator.api.proxies import PodTemplateSpec, ResourcesSpec
from sse_operator.api.sse_gateway import SseGatewaySpec
from sse_operator.resources.admin_token import TOKEN_FILE, TOKEN_SUFFIX
from sse_operator.resources.config_maps import projected_sources
from sse_operator.resources.names import GATEWAY, Object, child_metadata, child_name, labels, selector_labels

DATA_PORT = 8080
TLS_PORT = 8443
ADMIN_PORT = 9090
HTTP_PORT_NAME = "http"
HTTPS_PORT_NAME = "https"
ADMIN_PORT_NAME = "admin"

CONFIG_FOLDER = "/etc/sse-gateway/config"
ADMIN_FOLDER = "/etc/sse-gateway/admin"

USER_ID = 65532
"""An unprivileged user that no base image gives a meaning to but "nonroot"."""

REQUESTS = {"cpu": "100m", "memory": "128Mi"}

DEFAULT_DRAIN = "30s"
EXIT_SECONDS = 10
"""What a proxy may take to end after its drain, before the kubelet kills it."""


@dataclass(frozen=True)
class ProxyPods:
    """How proxy pods run, as far as the operator's settings say: the same for all gateways."""

    image: str
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()


def deployment(gateway: SseGateway, spec: SseGatewaySpec, pods: ProxyPods) -> Object:
    """The Deployment. A new pod is ready before an old one drains, so that a rollout never lacks capacity."""
    name = gateway.metadata.name
    added = spec.pod_template or PodTemplateSpec()
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": child_metadata(gateway),
        "spec": {
            **_replicas(spec),
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": selector_labels(name)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {
                    "labels": {**(added.labels or {}), **labels(name)},
                    "annotations": {**(added.annotations or {}), GATEWAY: name},
                },
                "spec": _pod_spec(name, spec, pods),
            },
        },
    }


def _replicas(spec: SseGatewaySpec) -> Object:
    """Nothing where the autoscaler sets them: what is not named stays as it is."""
    return {} if spec.autoscaling else {"replicas": 1 if spec.replicas is None else spec.replicas}


def _pod_spec(name: str, spec: SseGatewaySpec, pods: ProxyPods) -> Object:
    drain = (spec.drain.period if spec.drain else None) or DEFAULT_DRAIN
    pod_spec: Object = {
        "serviceAccountName": child_name(name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": math.ceil(seconds_of(drain)) + EXIT_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": selector_labels(name)},
            }
        ],
        "containers": [_container(drain, spec, pods)],
        "volumes": [
            {"name": "config", "projected": {"sources": projected_sources(name)}},
            {"name": "admin-token", "secret": {"secretName": child_name(name, TOKEN_SUFFIX)}},
        ],
    }
    added = spec.pod_template or PodTemplateSpec()
    if added.node_selector:
        pod_spec["nodeSelector"] = added.node_selector
    if added.tolerations:
        pod_spec["tolerations"] = [
            each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in added.tolerations
        ]
    if added.affinity:
        pod_spec["affinity"] = added.affinity
    if added.priority_class_name:
        pod_spec["priorityClassName"] = added.priority_class_name
    if pods.pull_secrets:
        pod_spec["imagePullSecrets"] = [{"name": secret} for secret in pods.pull_secrets]
    return pod_spec


def _container(drain: str, spec: SseGatewaySpec, pods: ProxyPods) -> Object:
    asked = spec.resources or ResourcesSpec()
    resources: Object = {"requests": {**REQUESTS, **(asked.requests or {})}}
    if asked.limits:
        resources["limits"] = asked.limits
    return {
        "name": "proxy",
        "image": pods.image,
        "imagePullPolicy": pods.pull_policy,
        "command": ["sse-gateway", "proxy"],
        "args": [
            f"--config-dir={CONFIG_FOLDER}",
            f"--listen=0.0.0.0:{DATA_PORT}",
            # Always: so that no pod restarts when the gateway gets its first certificate.
            f"--listen-tls=0.0.0.0:{TLS_PORT}",
            f"--admin=0.0.0.0:{ADMIN_PORT}",
            f"--admin-token-file={ADMIN_FOLDER}/{TOKEN_FILE}",
            f"--drain-period={drain}",
        ],
        "ports": [
            {"name": HTTP_PORT_NAME, "containerPort": DATA_PORT, "protocol": "TCP"},
            {"name": HTTPS_PORT_NAME, "containerPort": TLS_PORT, "protocol": "TCP"},
            {"name": ADMIN_PORT_NAME, "containerPort": ADMIN_PORT, "protocol": "TCP"},
        ],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": ADMIN_PORT_NAME}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/livez", "port": ADMIN_PORT_NAME}, "periodSeconds": 10},
        "resources": resources,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
            {"name": "admin-token", "mountPath": ADMIN_FOLDER, "readOnly": True},
        ],
    }
