"""Each request of the corpus is refused, or forwarded in one canonical reading; see `request_corpus`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from exactness import canonical
from exactness.recording import RecordingOrigin
from exactness.request_corpus import CASES, Case
from proxy import harness
from proxy.harness import Client, Gateway, api

NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
async def recorder(gateway: Gateway) -> AsyncIterator[RecordingOrigin]:
    origin = RecordingOrigin()
    await origin.start()
    gateway.load(api(f"http://127.0.0.1:{origin.port}/", path="/"))
    yield origin
    await origin.stop()


async def answers(client: Client, methods: list[bytes]) -> tuple[list[int], bool]:
    """The statuses of the answers to requests with these methods, and whether the connection ended first."""
    data = b""
    async with asyncio.timeout(harness.PATIENCE):
        while True:
            try:
                part = await client.reader.read(65536)
            except ConnectionResetError:
                part = b""
            data += part
            try:
                found = canonical.responses(data, methods, closed=not part)
            except canonical.IncompleteError:
                assert part, f"cut short: {data!r}"
                continue
            if not part or len(found) == len(methods):
                return [message.start for message in found if isinstance(message.start, int)], not part


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name[:60])
async def test_one_reading(gateway: Gateway, recorder: RecordingOrigin, case: Case) -> None:
    client = await gateway.connect()
    await client.send(case.sent)
    statuses, ended = await answers(client, _methods(case))

    # What the connection is asked next means what it says, or is not answered any more.
    following: list[int] = []
    if not ended:
        await client.send(NEXT)
        following, _ = await answers(client, [b"GET"])
    found, left = recorder.requests()
    forwarded = [(*_start(message), message.body) for message in found]
    if following:
        assert (following, forwarded.pop()) == ([200], ("GET", "/next", b""))
    else:
        assert statuses[-1] >= 400 or b"close" in case.sent or b"HTTP/1.0" in case.sent

    right = [reading for reading in case.readings if reading.cut or not left]
    assert (tuple(statuses), tuple(forwarded)) in [(reading.statuses, reading.forwarded) for reading in right]


def _methods(case: Case) -> list[bytes]:
    """What the answers that can be right are answers to."""
    longest = max(case.readings, key=lambda reading: len(reading.statuses))
    methods = [method.encode() for method, _, _ in longest.forwarded]
    return methods + [case.sent.split(b" ")[0]] * (len(longest.statuses) - len(methods))


def _start(message: canonical.Message) -> tuple[str, str]:
    assert isinstance(message.start, tuple)
    return message.start[0].decode(), message.start[1].decode()
