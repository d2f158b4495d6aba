"""Flux (kstatus) and Argo CD (our Lua) over statuses of a real cluster: what tests/unit/gitops says of built ones."""

from collections.abc import Iterator

import pytest

from e2e.figures import Figures
from e2e.kube import Document, Namespace, api, condition, settled, until
from e2e.release import Release
from unit.gitops.argo import argo_health
from unit.gitops.kstatus import kstatus

TARGET = "http://origin.example/sse"


@pytest.fixture
def place(release: Release) -> Iterator[Namespace]:
    namespace = Namespace("e2e-gitops")
    namespace.create()
    yield namespace
    namespace.delete(wait=False)


def judged(document: Document) -> tuple[str, str]:
    return kstatus(document), argo_health(document)


def test_health(place: Namespace, release: Release, figures: Figures) -> None:
    def refused(name: str, reason: str) -> Document:
        return until(
            reason,
            lambda: (
                (document := place.get("sseapi", name))
                and condition(document, "Ready").get("reason") == reason
                and document
            ),
        )  # type: ignore[return-value]

    place.apply(api("prices", TARGET))
    progressing = refused("prices", "NoReadyProxy")
    assert judged(progressing) == ("InProgress", "Progressing")
    until("Ready", lambda: settled(place.get("sseapi", "prices")))
    assert judged(place.get("sseapi", "prices")) == ("Current", "Healthy")
    assert judged(until("gateway", lambda: settled(g := place.get("ssegateway", "default")) and g)) == (
        "Current",
        "Healthy",
    )

    conflict = api("second", TARGET, contextPath="/prices")
    place.apply(conflict)
    assert judged(refused("second", "ContextPathConflict")) == ("InProgress", "Degraded")
    place.apply(api("lost", TARGET, gatewayRef={"name": "nowhere"}))
    assert judged(refused("lost", "GatewayNotFound")) == ("InProgress", "Progressing")
    place.apply(api("quiet", TARGET, suspend=True))
    assert judged(refused("quiet", "Suspended")) == ("Current", "Suspended")

    release.scale(0)
    try:
        place.apply(api("new", TARGET))
        assert judged(place.get("sseapi", "new")) == ("InProgress", "Progressing")
        place.apply(api("prices", f"{TARGET}?edited"))
        assert judged(place.get("sseapi", "prices")) == ("InProgress", "Progressing")
        place.kubectl("patch", "sseapi", "lost", "--type=merge", '-p={"metadata":{"finalizers":["example.com/stay"]}}')
        place.kubectl("delete", "sseapi", "lost", "--wait=false")
        assert judged(place.get("sseapi", "lost")) == ("Terminating", "Progressing")
    finally:
        place.kubectl("patch", "sseapi", "lost", "--type=merge", '-p={"metadata":{"finalizers":null}}')
        release.scale(2)
    figures.add(
        "health by Flux (kstatus) and Argo CD (Lua): new, progressing, ready, conflict, no gateway, suspended, stale,"
        " deleted",
        "",
        "each as tests/unit/gitops says",
    )
