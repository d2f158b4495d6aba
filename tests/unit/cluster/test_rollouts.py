"""When a Deployment's pods still roll, as `kubectl rollout status` judges."""

from typing import Any

import pytest

from sse_operator.cluster.rollouts import rolls

DONE: dict[str, Any] = {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (DONE, False),
        ({}, True),
        ({**DONE, "observedGeneration": 2}, True),
        ({**DONE, "updatedReplicas": 1}, True),
        ({**DONE, "replicas": 3}, True),
        ({**DONE, "availableReplicas": 1}, True),
        ({"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}, False),
    ],
)
def test_rolls(status: dict[str, Any], expected: bool) -> None:
    assert rolls({"metadata": {"generation": 3}, "spec": {"replicas": 2}, "status": status}) is expected


def test_none_roll_where_none_are_wanted() -> None:
    assert not rolls({"metadata": {"generation": 1}, "spec": {"replicas": 0}, "status": {"observedGeneration": 1}})
