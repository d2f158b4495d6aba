from __future__ import annotations

from proxy.conftest import gateway as gateway
from proxy.conftest import origin as origin
from proxy.conftest import pytest_asyncio_loop_factories as pytest_asyncio_loop_factories
