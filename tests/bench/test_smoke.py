"""A bench of a few seconds: everything is started, measured, told and ended. Never how fast it was."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kube_assets import cache_folder
from sse_bench import document, load_program, recording
from sse_bench.results import Results

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def record_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    (folder / "tmp").mkdir()
    file = folder / "records.jsonl"
    options = ["--rounds", "1", "--window", "0.2", "--workload", "relay-50x20,posts-20,reload-200"]
    told = subprocess.run(
        [sys.executable, "-m", "sse_bench", *options, "--peers", "ours,envoy", "--record", str(file)],
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}/bench:{ROOT}/scripts",
            "TMPDIR": str(folder / "tmp"),
            "SSE_GATEWAY_CACHE": str(cache_without_peers(folder)),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return file


def cache_without_peers(folder: Path) -> Path:
    """What the cache folder has, but for the proxies of bench/install-peers."""
    own, cache = cache_folder(), folder / "cache"
    own.mkdir(parents=True, exist_ok=True)
    load_program.build(own)
    cache.mkdir()
    for entry in own.iterdir():
        if entry.name != "bench-peers":
            (cache / entry.name).symlink_to(entry)
    return cache


def test_every_event_comes_through_once_and_in_order(record_file: Path) -> None:
    records = [record for record in recording.read(record_file).records if record.peer == "ours"]
    assert [record.workload for record in records] == ["relay-50x20", "posts-20", "reload-200"]
    for record in records:
        assert record.faults == {}
        assert record.figures["events"] > 0
        assert record.figures["cpu_per_event"] > 0


def test_a_reload_was_served(record_file: Path) -> None:
    (record,) = [record for record in recording.read(record_file).records if record.workload == "reload-200"]
    assert 0 < record.figures["reload_seconds"] < 10


def test_a_peer_that_is_missing_is_named(record_file: Path, tmp_path: Path) -> None:
    kept = recording.read(record_file)
    told = "envoy is not installed: run bench/install-peers"
    assert told in kept.about
    page = tmp_path / "performance.md"
    page.write_text("<!-- make bench: begin -->\n<!-- make bench: end -->\n")
    document.write(Results(kept.records), kept.about, docs=tmp_path)
    assert f"- {told}\n" in page.read_text()


def test_the_report_has_a_table_for_each_workload(record_file: Path, tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("before\n<!-- make bench: begin -->\nold\n<!-- make bench: end -->\nafter\n")
    kept = recording.read(record_file)
    assert document.write(Results(kept.records), kept.about, docs=tmp_path) == [page]
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert re.findall(r"^`(.+)`$", text, re.MULTILINE) == ["relay-50x20", "posts-20", "reload-200"]
    assert len(re.findall(r"^\| sse-gateway \|.*\| 0 \|$", text, re.MULTILINE)) == 3


def test_nothing_that_was_started_is_left(record_file: Path) -> None:
    used = record_file.parent / "tmp"
    assert list(used.iterdir()) == []
    assert [
        entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and f"{used}/" in command_of(entry)
    ] == []


def command_of(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def test_records_can_be_read_again(record_file: Path) -> None:
    lines = [json.loads(line) for line in record_file.read_text().splitlines()]
    assert lines[0]["about"]
    assert len(lines) == 1 + len(recording.read(record_file).records)
