"""The operator's settings. Each is a flag; a flag that is not given comes from the environment variable of the same
name: `--sweep-interval` from `SSE_GATEWAY_SWEEP_INTERVAL`, items of a list separated by commas."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from sse_operator.api.fields import seconds_of
from sse_operator.compiler.model import DefaultGateway

PER_NAMESPACE = "PerNamespace"


@dataclass(frozen=True)
class OperatorSettings:
    """How one operator process works. Durations are seconds."""

    image: str
    """Image of the proxy pods."""
    image_pull_policy: str
    """`Always`, `IfNotPresent` or `Never`."""
    image_pull_secrets: tuple[str, ...]
    """Names of Secrets that each gateway's namespace must have."""
    namespaces: tuple[str, ...]
    """The only namespaces to look at; none means all. Then namespaces themselves are not read: an SseGateway cannot
    select them by labels."""
    default_gateway: DefaultGateway
    """Where an SseApi without gatewayRef goes."""
    default_gateway_grace: float
    """How long a default gateway outlives the last SseApi that needs it."""
    allow_target_networks: tuple[str, ...]
    """Networks that targets may be in although they are refused in a cluster: loopback, link-local, metadata, the API
    server."""
    nudge: bool
    """Whether to patch an annotation of the proxies' pods after a config change, so that their kubelets refresh the
    mounted config at once. If not, it takes the kubelet's own pace, about a minute."""
    sweep_interval: float
    """Between two complete looks at the cluster, which mend whatever the watches missed."""
    watch_timeout: float
    """For how long a watch may bring nothing before it is taken for dead. The API server sends a bookmark every
    minute."""
    workers: int
    """How many gateways are reconciled at the same time."""
    operator_namespace: str | None
    """Where the operator's pods run: the lease is there, and NetworkPolicies let it reach the admin ports. None where
    it runs outside the cluster."""
    lease_name: str | None
    """The lease that the leader among the replicas holds. None: this process is the only one."""
    identity: str
    """This process among the replicas."""
    health_address: str
    """host:port of `/livez`, `/readyz` and `/metrics`."""
    log_level: str
    """Least level that is logged."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flag of every setting."""

    def add(flag: str, kind: Callable[[str], Any], default: str, metavar: str, text: str) -> None:
        value = os.environ.get("SSE_GATEWAY" + flag.upper().replace("--", "_").replace("-", "_"), default)
        parser.add_argument(
            flag, type=kind, default=value, metavar=metavar, help=f"{text} (default: {value or 'none'})"
        )

    add("--image", str, "sse-gateway:latest", "IMAGE", "image of the proxy pods")
    add("--image-pull-policy", _pull_policy, "IfNotPresent", "POLICY", "Always, IfNotPresent or Never")
    add("--image-pull-secrets", _listed, "", "NAMES", "Secrets to pull the image with, in each gateway's namespace")
    add("--namespaces", _listed, "", "NAMES", "the only namespaces to look at; none means all")
    add(
        "--default-gateway", _default_gateway, PER_NAMESPACE, "MODE",
        f"{PER_NAMESPACE} (the SseGateway default of each namespace) or the namespace/name of one for all",
    )  # fmt: skip
    add("--default-gateway-grace", _duration, "5m", "DURATION", "how long an unused default gateway is kept")
    add("--allow-target-networks", _networks, "", "CIDRS", "networks that targets may be in although refused otherwise")
    add("--nudge", _switch, "true", "BOOL", "patch the proxies' pods so that their kubelets refresh the config at once")
    add("--sweep-interval", _duration, "5m", "DURATION", "between two complete looks at the cluster")
    add("--watch-timeout", _duration, "70s", "DURATION", "how long a watch may bring nothing before it is begun anew")
    add("--workers", _count, "16", "N", "gateways reconciled at the same time")
    add("--operator-namespace", _optional, os.environ.get("POD_NAMESPACE", ""), "NAME", "where the operator runs")
    add("--lease-name", _optional, "sse-gateway-operator", "NAME", "lease of the leader; empty: no other replica runs")
    add("--identity", str, os.environ.get("POD_NAME") or socket.gethostname(), "NAME", "this replica's name")
    add("--health-address", str, "0.0.0.0:8081", "ADDRESS", "host:port of /livez, /readyz and /metrics")
    add("--log-level", str.upper, "INFO", "LEVEL", "DEBUG, INFO, WARNING or ERROR")


def settings_of(arguments: argparse.Namespace) -> OperatorSettings:
    """The settings that the flags give."""
    operator_namespace = arguments.operator_namespace
    return OperatorSettings(
        image=arguments.image,
        image_pull_policy=arguments.image_pull_policy,
        image_pull_secrets=arguments.image_pull_secrets,
        namespaces=arguments.namespaces,
        default_gateway=arguments.default_gateway,
        default_gateway_grace=arguments.default_gateway_grace,
        allow_target_networks=arguments.allow_target_networks,
        nudge=arguments.nudge,
        sweep_interval=arguments.sweep_interval,
        watch_timeout=arguments.watch_timeout,
        workers=arguments.workers,
        operator_namespace=operator_namespace,
        lease_name=arguments.lease_name,
        # A pod that is restarted in place must not take itself for the holder that it was.
        identity=f"{arguments.identity}_{os.getpid()}_{os.urandom(4).hex()}",
        health_address=arguments.health_address,
        log_level=arguments.log_level,
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _optional(text: str) -> str | None:
    return text or None


def _networks(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(ip_network(item)) for item in _listed(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}: write networks as 10.0.0.0/8") from error


def _duration(text: str) -> float:
    try:
        return seconds_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from error


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a number from 1 on")
    return int(text)


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text}: must be true or false")
    return text == "true"


def _pull_policy(text: str) -> str:
    if text not in ("Always", "IfNotPresent", "Never"):
        raise argparse.ArgumentTypeError(f"{text}: must be Always, IfNotPresent or Never")
    return text


def _default_gateway(text: str) -> DefaultGateway:
    if text == PER_NAMESPACE:
        return DefaultGateway()
    namespace, slash, name = text.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise argparse.ArgumentTypeError(f"{text}: must be {PER_NAMESPACE} or namespace/name")
    return DefaultGateway(namespace=namespace, name=name)
