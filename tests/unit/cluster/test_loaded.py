"""What proxies say of their config, and which of them lack some of it."""

import json

import pytest

from sse_operator.api.sse_api import Warned
from sse_operator.cluster.loaded import MOST_TOLD, behind, read_loaded, read_warnings
from sse_operator.compiler.model import Programmed


@pytest.mark.parametrize(
    ("content", "loaded"),
    [
        (b'{"revision": 3}', {"": 3}),
        (b'{"revision": 3, "shards": {"07": 2}, "more": 1}', {"": 3, "07": 2}),
        (b'{"revision": 3, "shards": null}', {"": 3}),
        (b'{"revision": null}', None),
        (b'{"shards": {}}', None),
        (b'{"revision": 3, "shards": []}', None),
        (b"[]", None),
        (b"<html>", None),
        (b"", None),
    ],
)
def test_an_answer_is_read_or_counts_as_none(content: bytes, loaded: dict[str, int] | None) -> None:
    assert read_loaded(content) == loaded


def test_a_pod_is_behind_by_any_shard_and_by_silence() -> None:
    programmed = Programmed(
        ready_pods=4, loaded={"all": {"": 4}, "old": {"": 3}, "partly": {"": 4, "63": 2}}, unreachable=("silent",)
    )
    assert behind(programmed, 4) == {"old", "partly", "silent"}
    assert behind(programmed, 3) == {"partly", "silent"}


def test_warnings_are_read_as_far_as_they_can_be() -> None:
    good = {"api": "shop/a", "reason": "MaxConnectionsReached", "message": "x" * 1000}
    answer = {"revision": 1, "warnings": [good, {"api": "shop/a", "reason": 1, "message": ""}, "x", None]}
    assert read_warnings(json.dumps(answer).encode()) == {
        "shop/a": [Warned(reason="MaxConnectionsReached", message="x" * MOST_TOLD)]
    }


@pytest.mark.parametrize("content", [b'{"warnings": {}}', b'{"warnings": null}', b"[]", b"{}", b"<html>"])
def test_no_warnings(content: bytes) -> None:
    assert read_warnings(content) == {}
