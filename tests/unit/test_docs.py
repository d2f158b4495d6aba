"""The pages: what they link to is there, and the manifests that they show are valid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from sse_operator.api.reading import read_sse_api, read_sse_gateway

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
YAML = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)
READERS = {"SseApi": read_sse_api, "SseGateway": read_sse_gateway}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_manifests_are_valid(page: Path) -> None:
    for block in YAML.findall(page.read_text()):
        for document in yaml.safe_load_all(block):
            reader = READERS.get(document.get("kind", "")) if isinstance(document, dict) else None
            if reader is not None:
                assert [str(fault) for fault in reader(document).faults] == []


def test_what_is_said_to_be_here_has_a_test() -> None:
    for line in (CHECKOUT / "docs" / "comparison.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[0] not in ("what", "---") and not cells[2].startswith("no"):
            assert "../tests/" in cells[3], f"without a test: {cells[0]}"
