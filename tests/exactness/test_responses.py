"""Each response of the corpus becomes a 502, a canonical response, or one that is visibly cut short; and what is left
of it is never anybody's answer; see `response_corpus`."""

from __future__ import annotations

import asyncio

import pytest

from exactness import canonical
from exactness.response_corpus import CASES, Case, Outcome
from proxy.harness import PATIENCE, Call, Client, Gateway, Origin, api

NEXT = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name[:60])
async def test_one_reading(gateway: Gateway, origin: Origin, case: Case) -> None:
    async def answer(call: Call) -> None:
        if "/next" in call.line:
            await call.send(NEXT)
            return
        await call.send(case.sent)
        if case.closes:
            call.writer.close()

    origin.answer = answer
    gateway.load(api(origin.url()))
    first = await gateway.connect()
    await first.send(f"{case.method} /sse HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    outcome = await received(first, case.method)
    assert outcome in [Outcome(right.status, right.body, right.whole) for right in case.outcomes]

    # The next request, of somebody else, gets its own answer.
    second = await gateway.connect()
    await second.send(b"GET /sse/next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert await received(second, "GET") == Outcome(200, b"next")
    if not outcome.whole or outcome.status == 502 or b"poison" in case.sent:
        assert origin.connections == 2


async def received(client: Client, method: str) -> Outcome:
    """The next response. The body of a 502 is left out."""
    data = b""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                part = await client.reader.read(65536)
            except ConnectionResetError:
                part = b""
            data += part
            try:
                found = canonical.responses(data, [method.encode()], closed=not part)
            except canonical.IncompleteError as cut:
                if part:
                    continue
                status = int(data.split(b" ")[1])
                return Outcome(status, cut.body, whole=False)
            if found:
                (message,) = found
                assert isinstance(message.start, int)
                return Outcome(message.start, None if message.start == 502 else message.body)
