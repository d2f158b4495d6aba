from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import pytest
import uvloop

from clients import origin as answers
from clients.compatibility import Compatibility
from proxy import harness
from proxy.harness import Gateway, Origin


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-compatibility", action="store_true", help="write docs/compatibility.md instead of holding to it"
    )


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the proxy runs on."""
    return {"uvloop": uvloop.new_event_loop}


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


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = await harness.start()
    yield gateway
    for client in gateway.clients:
        await client.close()
    await gateway.proxy.stop()
