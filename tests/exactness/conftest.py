from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from proxy import harness
from proxy.harness import Gateway, Origin


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the proxy runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    """An origin that sends exactly the bytes it is told to."""
    origin = Origin()
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
