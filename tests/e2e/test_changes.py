"""Edits reach the proxies at once, and cut no stream."""

import time
from collections.abc import Iterator

import pytest

from e2e.figures import Figures
from e2e.kube import Namespace, api, settled, until
from e2e.release import Release
from e2e.traffic import Clients, Source

PROGRAMMED_WITHIN = 3.0
"""Seconds from kubectl apply to every proxy serving it, at two replicas."""


@pytest.fixture
def readers(shop: Namespace, source: Source, release: Release) -> Iterator[tuple[Clients, Clients]]:
    """Streams of two APIs, `edited` and `other`."""
    made = []
    for name in ("edited", "other"):
        shop.apply(api(name, source.url(name)))
        until(name, lambda name=name: settled(shop.get("sseapi", name)))  # type: ignore[misc]
        (url,) = shop.get("sseapi", name)["status"]["urls"]
        clients = Clients(shop, release.image, f"readers-{name}")
        clients.start(url, streams=20, publish=source.messages(name), rate=5)
        made.append(clients)
    yield made[0], made[1]
    for clients in made:
        clients.stop()
    shop.kubectl("delete", "sseapi", "edited", "other")


def pod_urls(shop: Namespace, path: str) -> list[str]:
    """Where each proxy pod of the gateway serves the path: one answer of the Service would speak for one pod only."""
    pods = shop.list("pods", "app.kubernetes.io/component=proxy")
    return [f"http://{pod['status']['podIP']}:8080{path}" for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def test_an_edit_is_served_by_every_proxy_and_cuts_nothing(
    shop: Namespace, source: Source, readers: tuple[Clients, Clients], figures: Figures
) -> None:
    times = {}
    urls = pod_urls(shop, "/edited")
    assert len(urls) == 2
    for what, document, status in (
        ("target", api("edited", source.url("x").replace("/sse", "/nowhere")), 404),
        ("timeouts", api("edited", source.url("edited"), timeouts={"idle": "70s"}), 200),
        ("suspend", api("edited", source.url("edited"), suspend=True), 503),
        ("resume", api("edited", source.url("edited")), 200),
    ):
        began = time.monotonic()
        shop.apply(document)
        applied = time.monotonic() - began
        until(what, lambda: settled(shop.get("sseapi", "edited"), "Programmed"), pause=0.05)
        times[what] = time.monotonic() - began
        # Programmed was true only when every proxy had it: each of them, asked now, serves the edit.
        assert [readers[0].ask(url) for url in urls] == [status, status], what
        assert applied < times[what]
    counted = [clients.fresh() for clients in readers]
    assert [(each.open, each.ended, each.lost, each.repeated) for each in counted] == [(20, 0, 0, 0)] * 2
    figures.add(
        "edit of target, timeouts, suspend and back, two times 20 streams live, two replicas",
        "live streams of both APIs went on; new requests met the edit on both proxies as soon as `Programmed` was True",
        "from `kubectl apply` to Programmed " + ", ".join(f"{what} {taken:.1f} s" for what, taken in times.items()),
    )
    assert max(times.values()) < PROGRAMMED_WITHIN
