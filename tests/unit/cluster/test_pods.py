"""What is read of proxy pods, and when they are nudged."""

from typing import Any

import pytest

from sse_operator.cluster.pods import MOST_NUDGES, REVISION, read_pod


def pod(nudged_to: str | None = None, **metadata: Any) -> dict[str, Any]:
    annotations = {} if nudged_to is None else {REVISION: nudged_to}
    return {
        "metadata": {"namespace": "shop", "name": "sse-default-1", "annotations": annotations, **metadata},
        "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def test_a_pod_serves_until_it_leaves() -> None:
    assert read_pod(pod()).serves
    assert not read_pod(pod(deletionTimestamp="2026-01-01T00:00:00Z")).serves
    assert not read_pod(pod() | {"status": {"phase": "Running"}}).serves


@pytest.mark.parametrize(
    ("nudged_to", "again", "to"),
    [
        (None, False, "12"),
        ("11", False, "12"),
        ("11.3", True, "12"),
        ("112", False, "12"),
        ("12", False, None),
        ("12", True, "12.2"),
        ("12.2", False, None),
        ("12.2", True, "12.3"),
        (f"12.{MOST_NUDGES}", True, None),
        ("12.x", True, "12.2"),
        ("by hand", False, "12"),
    ],
)
def test_nudges(nudged_to: str | None, again: bool, to: str | None) -> None:
    """The same value would change nothing, and the kubelet would not notice."""
    assert read_pod(pod(nudged_to)).next_nudge(12, again=again) == to
