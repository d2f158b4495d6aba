"""Proxies that go, under 500 streams of clients that come back with Last-Event-ID: nothing is lost."""

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from e2e.figures import Figures
from e2e.killer import kill_pod
from e2e.kube import KubectlError, Namespace, api, gateway, kubectl, settled, until
from e2e.release import Release
from e2e.traffic import Clients, Source, Summary

STREAMS = 500
DRAIN = 15.0  # seconds, of the gateway in conftest
PROXIES = "app.kubernetes.io/component=proxy"
STREAMS_METRIC = "sse_gateway_streams_active"
READ_METRICS = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9090/metrics').read().decode())"


@dataclass(frozen=True)
class Crowd:
    """500 clients of one API."""

    shop: Namespace
    clients: Clients
    url: str

    def proxies(self) -> list[str]:
        """Names of the pods that serve."""
        return [
            pod["metadata"]["name"]
            for pod in self.shop.list("pods", PROXIES)
            if "deletionTimestamp" not in pod["metadata"]
        ]

    def streams(self, proxy: str) -> float:
        """How many streams the pod has, by its own metric."""
        python = ("exec", proxy, "--", "/opt/sse-gateway/bin/python", "-c")
        metrics = self.shop.kubectl(*python, READ_METRICS)
        return sum(float(line.split()[-1]) for line in metrics.splitlines() if line.startswith(STREAMS_METRIC))

    def broke(self, before: Summary) -> bool:
        """Whether any stream ended since."""
        return self.clients.fresh().ended > before.ended

    def after(self, before: Summary, since: float) -> str:
        """Wait for proxies that leave to be gone and all clients to be back, and check that none missed anything: what
        they saw."""
        until("drained proxies to go", lambda: len(self.shop.list("pods", PROXIES)) == len(self.proxies()))
        summary = self.clients.all_open(STREAMS, timeout=90)
        assert (summary.lost, summary.repeated) == (before.lost, before.repeated) == (0, 0)
        back = self.clients.back(since)
        if not back:
            return f"{STREAMS} streams went on, no event lost"
        ends = [line["broke"] for line in back]
        gaps = [line["after"] for line in back]
        refused = summary.refused - before.refused
        return (
            f"{len(back)} streams broke over {max(ends) - min(ends):.1f} s and were back after"
            f" {statistics.median(gaps):.1f} s (median), {max(gaps):.1f} s at most; {refused} refusals; no event lost"
            " or repeated"
        )


@pytest.fixture(scope="module")
def crowd(shop: Namespace, source: Source, release: Release) -> Iterator[Crowd]:
    shop.apply(api("crowd", source.url("crowd")))
    until("crowd", lambda: settled(shop.get("sseapi", "crowd")))
    (url,) = shop.get("sseapi", "crowd")["status"]["urls"]
    clients = Clients(shop, release.image, "crowd")
    clients.start(url, streams=STREAMS, publish=source.messages("crowd"), rate=2)
    yield Crowd(shop, clients, url)
    clients.stop()
    shop.kubectl("delete", "sseapi", "crowd")


def test_rolling_update(crowd: Crowd, figures: Figures) -> None:
    before, since, old = crowd.clients.fresh(), time.time(), set(crowd.proxies())
    began = time.monotonic()
    crowd.shop.kubectl("rollout", "restart", "deployment/sse-default")
    until("new pods only", lambda: not old & {pod["metadata"]["name"] for pod in crowd.shop.list("pods", PROXIES)})
    took = time.monotonic() - began
    saw = crowd.after(before, since)
    figures.add(
        f"rolling update of two proxies under {STREAMS} streams, drain {DRAIN:.0f} s", saw, f"{took:.0f} s in all"
    )
    back = crowd.clients.back(since)
    assert len(back) >= STREAMS
    assert max(line["after"] for line in back) < DRAIN
    # Spread: each of the two drains takes seconds, and no second of them has most of the ends.
    ends = sorted(line["broke"] for line in back)
    crowded = max(sum(1 for end in ends if start <= end < start + 1) for start in ends[::20])
    assert crowded < STREAMS / 2


def test_a_proxy_is_killed(crowd: Crowd, release: Release, figures: Figures) -> None:
    before, since = crowd.clients.fresh(), time.time()
    victim = crowd.shop.list("pods", PROXIES)[0]["metadata"]
    kill_pod(release.image, victim["uid"])
    until("streams to break", lambda: crowd.broke(before))

    def restarted() -> bool:
        (status,) = crowd.shop.get("pod", victim["name"])["status"]["containerStatuses"]
        return bool(status["restartCount"] and status["ready"])

    until("the proxy to run again", restarted)
    ready = time.time()
    saw = crowd.after(before, since)
    took = ready - min(line["broke"] for line in crowd.clients.back(since))
    figures.add("one of two proxies killed (SIGKILL)", saw, f"ready again after {took:.1f} s")


def test_a_proxy_is_evicted(crowd: Crowd, figures: Figures) -> None:
    before, since, name = crowd.clients.fresh(), time.time(), crowd.shop.name
    second, first = sorted(crowd.proxies(), key=crowd.streams)

    def evict(pod: str) -> None:
        metadata = {"name": pod, "namespace": name}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        path = f"/api/v1/namespaces/{name}/pods/{pod}/eviction"
        kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))

    evict(first)
    with pytest.raises(KubectlError, match="disruption budget"):
        evict(second)
    until("a replacement", lambda: len(crowd.shop.list("pods", PROXIES)) == 2 and first not in crowd.proxies())
    until("streams to break", lambda: crowd.broke(before))
    saw = crowd.after(before, since)
    figures.add("one proxy evicted; the second eviction is refused meanwhile by the PodDisruptionBudget", saw, "")


def test_scaled_up_and_down(crowd: Crowd, source: Source, release: Release, figures: Figures) -> None:
    """With clients that connect when there are three proxies, and so are on all of them."""
    times = []

    def scale(replicas: int) -> None:
        began = time.monotonic()
        crowd.shop.apply(gateway("default", replicas=replicas, drain={"period": "15s"}))

        def there() -> bool:
            status = crowd.shop.get("ssegateway", "default")
            return settled(status) and status["status"]["readyReplicas"] == len(crowd.proxies()) == replicas

        until(f"{replicas} proxies", there)
        times.append(f"to {replicas} in {time.monotonic() - began:.1f} s")

    scale(1)
    scale(3)
    crowd.clients.stop()
    crowd.clients.start(crowd.url, streams=STREAMS, publish=source.messages("crowd"), rate=2)
    before, since = crowd.clients.fresh(), time.time()
    scale(1)
    until("streams to break", lambda: crowd.broke(before))
    saw = crowd.after(before, since)
    scale(2)
    figures.add(f"gateway scaled 1 → 3 → 1 → 2, {STREAMS} streams on the three", saw, ", ".join(times))
