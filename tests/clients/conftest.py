from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from clients import origin as answers
from clients.compatibility import Compatibility
from proxy.conftest import gateway as gateway
from proxy.conftest import pytest_asyncio_loop_factories as pytest_asyncio_loop_factories
from proxy.harness import Origin


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-compatibility", action="store_true", help="write docs/compatibility.md instead of holding to it"
    )


@pytest.fixture(scope="session")
def compatibility(pytestconfig: pytest.Config) -> Iterator[Compatibility]:
    """What docs/compatibility.md says, or shall say."""
    compatibility = Compatibility(writing=pytestconfig.getoption("--write-compatibility"))
    yield compatibility
    compatibility.write()


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    origin = Origin()
    origin.answer = answers.answer
    await origin.start()
    yield origin
    await origin.stop()
