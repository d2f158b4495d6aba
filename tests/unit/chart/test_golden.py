"""What the chart installs: for each file in values/ the manifests in golden/. The CRDs' own text is in deploy/crds.

To accept what the chart makes now: `UPDATE_GOLDEN=1 pytest tests/unit/chart`, then read the diff.
"""

import os
from pathlib import Path

import pytest
import yaml

from unit.chart.chart_render import CASES, VALUES, objects, render

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("case", CASES)
def test_render(case: str) -> None:
    made = objects(render(f"--values={VALUES / case}.yaml"))
    for each in made:
        if each["kind"] == "CustomResourceDefinition":
            del each["spec"]
    expected = GOLDEN / f"{case}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(yaml.safe_dump_all(made, sort_keys=False, width=110))
    assert made == list(yaml.safe_load_all(expected.read_text()))
