"""One release for all scenarios, in the order of a life: installed, changed, disturbed, upgraded, uninstalled.

The cluster is the one of KUBECONFIG. Its nodes must have the images, or SSE_GATEWAY_E2E_REGISTRY say where they are.
`scripts/e2e` does all of that.
"""

import os
import time
from collections.abc import Iterator

import pytest

from e2e.figures import Figures
from e2e.kube import Namespace, call, gateway, settled, until
from e2e.release import Release
from e2e.traffic import Source

ORDER = ["install", "changes", "exposure", "disruption", "operator", "gitops", "security", "release"]
FIGURES = pytest.StashKey[Figures]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help="write the figures into docs/testing.md, if all goes well")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = Figures()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in the order of ORDER, tests in the order of their file."""
    items.sort(key=lambda item: ORDER.index(item.path.stem.removeprefix("test_")))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    figures = config.stash[FIGURES]
    if figures.rows:
        terminalreporter.write_line(f"\n{figures.table()}")
        if config.getoption("--record") and exitstatus == 0:
            figures.record()


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> Figures:
    return request.config.stash[FIGURES]


@pytest.fixture(scope="session")
def cluster() -> None:
    assert os.environ.get("KUBECONFIG"), "set KUBECONFIG to the cluster of the tests, or run scripts/e2e"
    call("kubectl", "get", "--raw=/readyz", timeout=30)


@pytest.fixture(scope="session")
def release(cluster: None, figures: Figures) -> Iterator[Release]:
    made = Release()
    made.remove_all()
    made.namespace.create()
    began = time.monotonic()
    made.install()
    until("a leader", made.leader)
    figures.add("`helm install --wait`, two operator replicas", "", f"{time.monotonic() - began:.1f} s to a leader")
    yield made
    made.remove_all()


@pytest.fixture(scope="session")
def shop(release: Release) -> Iterator[Namespace]:
    """A namespace with a gateway of two replicas and 15 s of drain."""
    namespace = Namespace("e2e-shop")
    namespace.create()
    namespace.apply(gateway("default", replicas=2, drain={"period": "15s"}))
    until("the gateway", lambda: settled(namespace.get("ssegateway", "default")))
    yield namespace
    namespace.delete()


@pytest.fixture(scope="session")
def source(shop: Namespace, release: Release) -> Source:
    made = Source(shop, release.image)
    made.start()
    made.wait()
    return made
