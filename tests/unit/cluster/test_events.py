"""Events: one for each change of what is true, none for what only passes, and never more than a bounded rate."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from sse_operator.api.conditions import Condition
from sse_operator.api.model import Metadata
from sse_operator.cluster.errors import ApiServerError
from sse_operator.cluster.events import BURST, WAITING, EventWriter, Notice, Story
from sse_operator.cluster.kinds import SSE_APIS, SSE_GATEWAYS, Kind
from sse_operator.cluster.metrics import Metrics

PRICES = Metadata(name="prices", namespace="shop", uid="u1")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FALSE = {"NotAsked", "Pending", "NoReadyProxy", "ProxyUnreachable", "InvalidSpec", "ContextPathConflict", "ApplyFailed"}


def ready(reason: str) -> list[Condition]:
    status: Any = "False" if reason in FALSE else "True"
    return [Condition(type="Ready", status=status, last_transition_time="2026-01-01T00:00:00Z", reason=reason)]


def told(*reasons: str, kind: Kind = SSE_APIS, before: str = "") -> list[str]:
    """The reasons that become Events while an object goes through `reasons`."""
    story, events = Story(), []
    conditions = ready(before) if before else []
    for reason in reasons:
        events += [notice.reason for notice in story.changed(kind, PRICES, conditions, ready(reason))]
        conditions = ready(reason)
    return events


@pytest.mark.parametrize(
    ("reasons", "events"),
    [
        (("NotAsked", "NoReadyProxy", "Pending", "Ready"), ["Ready"]),
        (("Ready", "Pending", "Ready", "NoReadyProxy", "Ready"), ["Ready"]),
        (("InvalidSpec", "InvalidSpec", "Pending", "Ready"), ["InvalidSpec", "Ready"]),
        (("Ready", "ContextPathConflict", "Pending", "ContextPathConflict"), ["Ready", "ContextPathConflict"]),
        (("Pending", "Suspended", "Pending", "Ready"), ["Suspended", "Ready"]),
    ],
)
def test_one_for_each_change_of_what_is_true(reasons: tuple[str, ...], events: list[str]) -> None:
    assert told(*reasons) == events


def test_a_gateway_tells_of_its_proxies() -> None:
    states = ("NotAsked", "NoReadyProxy", "Ready", "Pending", "Ready", "ApplyFailed", "Ready")
    assert told(*states, kind=SSE_GATEWAYS) == ["NoReadyProxy", "Ready", "ApplyFailed", "Ready"]


def test_a_new_process_tells_nothing_again() -> None:
    assert told("Ready", before="Ready") == []
    assert told("Pending", "Ready", before="Ready") == []
    assert told("Ready", before="NoReadyProxy") == []
    assert told("Ready", before="InvalidSpec") == ["Ready"]


def test_what_is_gone_is_forgotten() -> None:
    story = Story()
    story.changed(SSE_APIS, PRICES, [], ready("Ready"))
    story.keep(())
    assert [each.reason for each in story.changed(SSE_APIS, PRICES, [], ready("Ready"))] == ["Ready"]


class Recorder:
    """Takes writes as the API server would; `gone` makes every patch meet nothing."""

    def __init__(self) -> None:
        self.wrote = asyncio.Condition()
        self.created: list[Any] = []
        self.patched: list[Any] = []
        self.gone = False

    async def create(self, kind: Kind, document: Any) -> None:
        async with self.wrote:
            self.created.append(document)
            self.wrote.notify_all()

    async def merge(self, kind: Kind, namespace: str, name: str, patch: Any) -> None:
        if self.gone:
            raise ApiServerError("PATCH", 404, "NotFound", "")
        async with self.wrote:
            self.patched.append((name, patch))
            self.wrote.notify_all()


def notice(message: str = "") -> Notice:
    return Notice(SSE_APIS, PRICES, False, "InvalidSpec", message)


async def written(recorder: Recorder, writer: EventWriter, count: int) -> None:
    task = asyncio.create_task(writer.run())
    async with asyncio.timeout(5), recorder.wrote:
        await recorder.wrote.wait_for(lambda: len(recorder.created) + len(recorder.patched) >= count)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_is_told_again_is_counted() -> None:
    recorder = Recorder()
    writer = EventWriter(recorder, Metrics(), now=lambda: NOW, clock=lambda: 0.0)  # type: ignore[arg-type]
    for _ in range(3):
        writer.tell(notice())
    await written(recorder, writer, 3)
    (event,) = recorder.created
    assert event["involvedObject"] | {"resourceVersion": ""} == {
        "apiVersion": "sse-gateway.dev/v1alpha1",
        "kind": "SseApi",
        "namespace": "shop",
        "name": "prices",
        "uid": "u1",
        "resourceVersion": "",
    }
    assert event["source"]["component"] == event["reportingComponent"] == "sse-gateway"
    assert (event["type"], event["reason"], event["count"]) == ("Warning", "InvalidSpec", 1)
    assert [(name, patch["count"]) for name, patch in recorder.patched] == [
        (event["metadata"]["name"], 2),
        (event["metadata"]["name"], 3),
    ]
    recorder.gone = True
    writer.tell(notice())
    await written(recorder, writer, 4)
    assert len(recorder.created) == 2


async def test_a_storm_is_bounded() -> None:
    recorder, metrics = Recorder(), Metrics()
    writer = EventWriter(recorder, metrics, now=lambda: NOW, clock=lambda: 0.0)  # type: ignore[arg-type]
    for number in range(WAITING + 7):
        writer.tell(notice(str(number)))
    assert b"sse_gateway_operator_events_dropped_total 7.0" in metrics.exposition()
    await written(recorder, writer, BURST)
    assert len(recorder.created) == BURST
