"""The pages: what they link to is there, and the manifests that they show are valid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from sse_operator.api.reading import read_sse_api, read_sse_gateway
from sse_operator.cluster import main
from sse_operator.cluster.metrics import Metrics
from sse_proxy.metrics import Counts
from sse_proxy.stream.close import CloseReason

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#:\s]*)(?:#([^)]*))?\)")
SHELL = re.compile(r"^```(?:sh|console)\n(.*?)^```", re.DOTALL | re.MULTILINE)
OURS = re.compile(r"(?<![\w./])((?:bench|deploy|examples|scripts|tests)/[\w./-]+)")
YAML = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)
READERS = {"SseApi": read_sse_api, "SseGateway": read_sse_gateway}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    nowhere = [
        (link, anchor)
        for link, anchor in LINK.findall(page.read_text())
        if not (target := page.parent / link if link else page).exists() or (anchor and anchor not in anchors(target))
    ]
    assert nowhere == []


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives the headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_name_files_that_are_there(page: Path) -> None:
    named = {path for block in SHELL.findall(page.read_text()) for path in OURS.findall(block)}
    assert [path for path in sorted(named) if not (CHECKOUT / path).exists()] == []


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


def test_every_metric_is_on_the_page_and_every_one_of_the_page_is_there() -> None:
    page = (CHECKOUT / "docs" / "observability.md").read_text()
    told = set(re.findall(r"^\| `(sse_gateway_\w+)", page, re.MULTILINE))
    exposed = Counts().exposition().decode() + Metrics().exposition().decode()
    there = set(re.findall(r"^# TYPE (\w+)", exposed, re.MULTILINE))
    read = re.findall(r'metrics\.read\("(\w+)"', Path(main.__file__).read_text())
    assert told == there | {f"sse_gateway_operator_{name}" for name in read}
    assert "# HELP" in exposed
    assert all(line.split(" ", 3)[3:] for line in exposed.splitlines() if line.startswith("# HELP"))


def test_every_reason_for_the_end_of_a_stream_is_on_the_page() -> None:
    page = (CHECKOUT / "docs" / "observability.md").read_text()
    section = page.partition("### Why a stream ended")[2]
    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == list(CloseReason)
