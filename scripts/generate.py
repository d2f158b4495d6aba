"""Write what is made from the models: the CRDs, docs/reference.md, and the SseApi table of the README.

`--check` writes nothing; it names the files that are not current, and exits 1.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from generated_files import CHECKOUT, write_or_check
from reference import overview_table, reference_page
from sse_operator.api import GROUP, sse_api, sse_gateway
from sse_operator.api.crd import sse_api_crd, sse_gateway_crd

README = CHECKOUT / "README.md"
README_TABLE = re.compile(r"(<!-- reference:sseapi -->\n).*?(<!-- /reference -->)", re.DOTALL)

HEADER = "# Generated from the models by `make generate`.\n"


def generated() -> dict[Path, str]:
    """Every generated file and its text."""
    crds = CHECKOUT / "deploy" / "crds"
    files = {
        crds / f"{GROUP}_{sse_api.PLURAL}.yaml": HEADER + _yaml(sse_api_crd()),
        crds / f"{GROUP}_{sse_gateway.PLURAL}.yaml": HEADER + _yaml(sse_gateway_crd()),
        CHECKOUT / "docs" / "reference.md": reference_page(),
    }
    readme = README.read_text()
    if README_TABLE.search(readme):
        table = overview_table(sse_api.SseApiSpec)
        files[README] = README_TABLE.sub(lambda match: f"{match[1]}{table}\n{match[2]}", readme)
    return files


def _yaml(document: Mapping[str, Any]) -> str:
    """Stable YAML: the order of the document, one line a value."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=sys.maxsize)


if __name__ == "__main__":
    sys.exit(write_or_check("generate.py", sys.argv[1:], generated()))
