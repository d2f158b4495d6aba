"""Edits reach the proxies at once, and cut no stream."""

import statistics
import time
from collections.abc import Iterator

import pytest

from e2e.figures import Figures
from e2e.kube import Document, Namespace, api, settled, until
from e2e.release import Release
from e2e.traffic import Clients, Source

PROGRAMMED_WITHIN = 10.0
"""Seconds from kubectl apply to every proxy serving it, at two replicas, on a slow machine; without nudges it is a
minute."""


@pytest.fixture(scope="module")
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


def secret(name: str, **entries: str) -> Document:
    """A Secret that SseApis may use."""
    metadata = {"name": name, "labels": {"sse-gateway.dev/use": "true"}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": entries}


def untouched(readers: tuple[Clients, Clients]) -> bool:
    """Whether all streams of both APIs went on."""
    counted = [clients.fresh() for clients in readers]
    return [(each.open, each.ended, each.lost, each.repeated) for each in counted] == [(20, 0, 0, 0)] * 2


def test_an_edit_is_served_by_every_proxy_and_cuts_nothing(
    shop: Namespace, source: Source, readers: tuple[Clients, Clients], figures: Figures
) -> None:
    times = {}
    urls = pod_urls(shop, "/edited")
    assert len(urls) == 2
    shop.apply(secret("keys", dashboard="0123456789abcdef" * 3))
    plan = {"type": "ApiKey", "apiKey": {"secretRefs": [{"name": "keys"}]}}
    for what, document, status in (
        ("target", api("edited", source.url("x").replace("/sse", "/nowhere")), 404),
        ("timeouts", api("edited", source.url("edited"), timeouts={"idle": "70s"}), 200),
        ("plan", api("edited", source.url("edited"), plan=plan), 401),
        ("suspend", api("edited", source.url("edited"), suspend=True, stream={"closeOnRemoval": False}), 503),
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
    assert untouched(readers)
    figures.add(
        "edit of target, timeouts, plan, suspend and back, two times 20 streams live, two replicas",
        "live streams of both APIs went on; new requests met the edit on both proxies as soon as `Programmed` was True",
        "from `kubectl apply` to Programmed " + ", ".join(f"{what} {taken:.1f} s" for what, taken in times.items()),
    )
    assert statistics.median(times.values()) < PROGRAMMED_WITHIN


def test_a_secret_that_changes_is_used_at_once(
    shop: Namespace, source: Source, readers: tuple[Clients, Clients], figures: Figures
) -> None:
    def origin(password: str) -> Document:
        return secret("origin", username="demo", password=password)

    credentials = {"basic": {"secretRef": {"name": "origin"}}}
    shop.apply(origin("demo"), api("guarded", source.url("edited"), upstream={"credentials": credentials}))
    until("guarded", lambda: settled(shop.get("sseapi", "guarded")))
    urls = pod_urls(shop, "/guarded")
    times = {}
    for what, password, status in (("wrong", "wrong", 401), ("right again", "demo", 200)):
        began = time.monotonic()
        shop.apply(origin(password))
        until(what, lambda status=status: [readers[0].ask(url) for url in urls] == [status, status])  # type: ignore[misc]
        times[what] = time.monotonic() - began
    shop.kubectl("delete", "sseapi/guarded", "secret/origin")
    assert untouched(readers)
    figures.add(
        "a Secret with upstream's credentials is changed to a wrong password and back, as above",
        "live streams went on; new requests got upstream's 401, then events again",
        ", ".join(f"{what} on both proxies after {taken:.1f} s" for what, taken in times.items()),
    )
