"""The operator's settings: from flags, from the environment, and refused in one line."""

import argparse

import pytest

from sse_operator.cluster.settings import OperatorSettings, add_arguments, settings_of
from sse_operator.compiler.model import DefaultGateway


def settings(*flags: str) -> OperatorSettings:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    return settings_of(parser.parse_args(flags))


def test_defaults() -> None:
    made = settings()
    assert made.namespaces == ()
    assert made.default_gateway == DefaultGateway()
    assert made.default_gateway_grace == 300
    assert made.nudge is True
    assert made.sweep_interval == 300
    assert made.lease_name == "sse-gateway-operator"


def test_flags() -> None:
    made = settings(
        "--namespaces=a, b",
        "--default-gateway=infra/edge",
        "--allow-target-networks=127.0.0.0/8,::1/128",
        "--nudge=false",
        "--sweep-interval=1m30s",
        "--lease-name=",
    )
    assert made.namespaces == ("a", "b")
    assert made.default_gateway == DefaultGateway("infra", "edge")
    assert made.allow_target_networks == ("127.0.0.0/8", "::1/128")
    assert made.nudge is False
    assert made.sweep_interval == 90
    assert made.lease_name is None


def test_a_flag_that_is_not_given_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSE_GATEWAY_IMAGE", "registry.example/sse-gateway:1")
    monkeypatch.setenv("SSE_GATEWAY_IMAGE_PULL_SECRETS", "one,two")
    assert settings().image == "registry.example/sse-gateway:1"
    assert settings().image_pull_secrets == ("one", "two")
    assert settings("--image=other").image == "other"


@pytest.mark.parametrize(
    "flag",
    [
        "--default-gateway=edge",
        "--default-gateway=a/b/c",
        "--allow-target-networks=loopback",
        "--sweep-interval=90",
        "--nudge=no",
        "--workers=0",
        "--image-pull-policy=never",
    ],
)
def test_a_wrong_value_is_refused_with_what_it_may_be(flag: str) -> None:
    with pytest.raises(argparse.ArgumentError, match=r"must be|write networks"):
        settings(flag)


def test_every_process_has_an_identity_of_its_own() -> None:
    assert settings("--identity=pod-1").identity != settings("--identity=pod-1").identity
