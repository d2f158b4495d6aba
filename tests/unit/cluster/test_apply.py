"""Whether an object is as it was applied, seen through what the API server and others add to it."""

from typing import Any

import pytest

from sse_operator.cluster.apply import is_as_applied

WANTED: dict[str, Any] = {
    "metadata": {"annotations": {"ours": "1"}},
    "spec": {"ports": [{"port": 80}], "args": ["a", "b"], "replicas": 1},
}


def live(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"annotations": {"ours": "1", "theirs": "2"}, "uid": "u"},
        "spec": {"ports": [{"port": 80, "nodePort": 3}], "args": ["a", "b"], "replicas": 1, "type": "X", **spec},
        "status": {},
    }


@pytest.mark.parametrize(
    ("spec", "same"),
    [
        ({}, True),
        ({"ports": [{"port": 9, "name": "added"}, {"port": 80}]}, True),
        ({"ports": [{"port": 81}]}, False),
        ({"ports": []}, False),
        ({"ports": None}, False),
        ({"args": ["b", "a"]}, False),
        ({"args": ["a", "b", "c"]}, False),
        ({"replicas": 2}, False),
    ],
)
def test_defaults_and_others_fields_do_not_count_but_ours_do(spec: dict[str, Any], same: bool) -> None:
    assert is_as_applied(WANTED, live(**spec)) is same


def test_a_field_that_is_gone_counts() -> None:
    document = live()
    del document["spec"]["replicas"]
    assert not is_as_applied(WANTED, document)


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("1.5Gi", "1536Mi", True),
        ("5000", "5k", True),
        ("1000m", "1", True),
        ("0.5", "500m", True),
        ("1G", "1Gi", False),
        ("1", "2", False),
        ("half", "half a", False),
    ],
)
def test_a_quantity_that_is_written_in_another_way_is_no_drift(ours: str, theirs: str, same: bool) -> None:
    assert is_as_applied({"requests": {"memory": ours}}, {"requests": {"memory": theirs}}) is same
