"""What becomes of resources: pairs of files, `x.in.yaml` and `x.out.yaml`.

The input is what one would give to kubectl, with statuses where what was before matters; a Namespace gives its labels,
a document of kind Settings the operator's. To accept what the compiler makes now:
`UPDATE_GOLDEN=1 pytest tests/unit/compiler`, then read the diff.
"""

import os
import sys
from pathlib import Path

import pytest
import yaml

from unit.compiler.scenario import outcome

GOLDEN = Path(__file__).parent / "golden"


class Json(yaml.SafeLoader):
    """YAML as the API server hands it on, in JSON: a timestamp is a string."""


Json.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@pytest.mark.parametrize("source", sorted(GOLDEN.glob("*.in.yaml")), ids=lambda path: path.name.split(".")[0])
def test_what_becomes_of_resources(source: Path) -> None:
    made = outcome(document for document in yaml.load_all(source.read_text(), Json) if document)
    expected = source.with_name(source.name.replace(".in.", ".out."))
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=sys.maxsize))
    assert made == yaml.safe_load(expected.read_text())
