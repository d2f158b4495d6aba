"""The chart's own life: upgraded with a change of the CRDs, uninstalled, installed again."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.figures import Figures
from e2e.kube import KubectlError, Namespace, api, condition, settled, until
from e2e.release import Release, previous_chart
from e2e.traffic import Clients, Source

PROXIES = "app.kubernetes.io/component=proxy"


@pytest.fixture(scope="module")
def reader(shop: Namespace, source: Source, release: Release) -> Iterator[Clients]:
    """Twenty streams over the whole of it."""
    shop.apply(api("lasting", source.url("lasting")))
    until("lasting", lambda: settled(shop.get("sseapi", "lasting")))
    clients = Clients(shop, release.image, "lasting")
    clients.start(shop.get("sseapi", "lasting")["status"]["urls"][0], streams=20, publish=source.messages("lasting"))
    yield clients
    clients.stop()


def untouched(reader: Clients) -> bool:
    counted = reader.fresh()
    return (counted.open, counted.ended, counted.lost, counted.repeated) == (20, 0, 0, 0)


def test_upgrade_from_a_revision_with_another_crd(
    release: Release, shop: Namespace, source: Source, reader: Clients, tmp_path: Path, figures: Figures
) -> None:
    quiet = api("quiet", source.url("lasting"), suspend=True)

    def refusal() -> str:
        try:
            shop.apply(quiet)
        except KubectlError as error:
            return str(error)
        return ""

    release.upgrade(chart=previous_chart(tmp_path))
    assert 'unknown field "spec.suspend"' in until("the previous CRD", refusal, timeout=30)
    proxies = {pod["metadata"]["name"] for pod in shop.list("pods", PROXIES)}
    began = time.monotonic()
    release.upgrade()
    took = time.monotonic() - began
    until("this CRD", lambda: not refusal(), timeout=30)
    until("suspended", lambda: condition(shop.get("sseapi", "quiet"), "Ready").get("reason") == "Suspended")
    shop.kubectl("delete", "sseapi", "quiet")
    assert {pod["metadata"]["name"] for pod in shop.list("pods", PROXIES)} == proxies
    assert untouched(reader)
    figures.add(
        "`helm upgrade` from a chart whose CRD lacks `suspend`",
        "nothing: 20 streams went on, no proxy restarted",
        f"{took:.1f} s; the new field counts at once",
    )


def test_uninstall_leaves_crds_and_apis(release: Release, shop: Namespace, reader: Clients, figures: Figures) -> None:
    began = time.monotonic()
    release.uninstall()
    assert not release.namespace.list("deployments")
    assert [each["metadata"]["name"] for each in shop.list("sseapis")] == ["lasting"]
    assert untouched(reader)
    assert reader.ask(shop.get("sseapi", "lasting")["status"]["urls"][0]) == 200
    took = time.monotonic() - began

    began = time.monotonic()
    release.install()
    shop.apply(api("again", shop.get("sseapi", "lasting")["spec"]["target"]))
    until("again", lambda: settled(shop.get("sseapi", "again")))
    assert untouched(reader)
    figures.add(
        "`helm uninstall`, and `helm install` over what it left",
        "nothing: CRDs, SseApis and proxies stay, 20 streams went on, new ones were served",
        f"{took:.0f} s; installed again and the next SseApi Ready after {time.monotonic() - began:.0f} s",
    )
