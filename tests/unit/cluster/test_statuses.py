"""A status is written as a merge patch of what changed, and not at all where nothing did."""

import pytest

from sse_operator.cluster.statuses import difference

BEFORE = {"urls": ["a"], "gateway": "g", "conditions": [{"type": "Ready"}]}


@pytest.mark.parametrize(
    ("after", "patch"),
    [
        (BEFORE, {}),
        ({**BEFORE, "gateway": "h"}, {"gateway": "h"}),
        ({"urls": ["a"], "conditions": []}, {"conditions": [], "gateway": None}),
        ({**BEFORE, "version": "1"}, {"version": "1"}),
    ],
)
def test_the_patch_from_one_status_to_another(after: dict[str, object], patch: dict[str, object]) -> None:
    assert difference(BEFORE, after) == patch
