"""From nothing to the first event."""

import time
from collections.abc import Iterator

import pytest

from e2e.figures import Figures
from e2e.kube import Namespace, api, until
from e2e.release import Release
from e2e.traffic import Clients, Source

PROXIES = "app.kubernetes.io/component=proxy"


@pytest.fixture
def fresh(release: Release) -> Iterator[Namespace]:
    namespace = Namespace("e2e-first")
    namespace.create()
    yield namespace
    namespace.delete(wait=False)


def test_from_one_manifest_to_the_first_event(fresh: Namespace, release: Release, figures: Figures) -> None:
    source = Source(fresh, release.image)
    source.start()
    source.wait()
    began = time.monotonic()
    fresh.apply(api("prices", source.url("prices")))
    fresh.kubectl("wait", "sseapi/prices", "--for=condition=Ready", "--timeout=120s")
    ready = time.monotonic() - began
    (url,) = fresh.get("sseapi", "prices")["status"]["urls"]
    clients = Clients(fresh, release.image, "reader")
    clients.start(url, streams=1, publish=source.messages("prices"), rate=5)
    until("an event", lambda: clients.fresh().events)
    figures.add(
        "one SseApi in a new namespace, its gateway made for it",
        "the first event",
        f"Ready {ready:.1f} s after `kubectl apply`; event after {time.monotonic() - began:.1f} s, a client pod's start"
        " included",
    )
    assert fresh.get("ssegateway", "default")["metadata"]["labels"]["sse-gateway.dev/auto-created"] == "true"

    clients.stop()
    fresh.kubectl("delete", "sseapi", "prices")
    until(
        "the gateway and its proxies to go", lambda: not fresh.list("ssegateways") and not fresh.list("pods", PROXIES)
    )


def test_helm_test_streams_an_event(release: Release, figures: Figures) -> None:
    began = time.monotonic()
    assert "the event arrived through the gateway" in release.test()
    figures.add("`helm test`", "an event through a gateway", f"{time.monotonic() - began:.1f} s")
