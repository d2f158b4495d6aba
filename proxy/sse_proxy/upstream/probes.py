"""Probes of endpoints, each in its own time.

An endpoint's first probe comes at a random moment of its first interval, and the next ones an interval apart, so that
neither a start nor a reload asks all of them at once; an endpoint that a reload leaves as it is keeps its turn. At most
`CONCURRENT` probes run at the same time; those beyond wait.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable
from dataclasses import dataclass

from sse_proxy import errors
from sse_proxy.config import ActiveCheck, Api
from sse_proxy.headers import Fields, is_event_stream
from sse_proxy.stream.deadlines import Deadlines
from sse_proxy.upstream.endpoints import Endpoint
from sse_proxy.upstream.pool import UpstreamPool
from sse_proxy.upstream.reach import Reach
from sse_proxy.upstream.response import ResponseHead

_log = logging.getLogger(__name__)

CONCURRENT = 64


@dataclass(frozen=True, slots=True)
class Probed:
    """An endpoint that is to be probed."""

    endpoint: Endpoint
    check: ActiveCheck
    api: Api
    fields: Fields
    """Header fields that every request to it has, credentials among them."""
    reach: Reach


class _Turn:
    """When an endpoint is probed; `Timed`."""

    __slots__ = ("_prober", "due_tick", "probed", "task")

    def __init__(self, prober: Prober, probed: Probed) -> None:
        self._prober = prober
        self.probed = probed
        self.due_tick: int | None = None
        self.task: asyncio.Task[None] | None = None

    def look(self, now: float) -> float | None:
        if self.task is None:
            self._prober._start(self)
        return now + self.probed.check.interval


class Prober:
    """Probes what `keep` names. Lives in one event loop."""

    def __init__(self, pool: UpstreamPool, deadlines: Deadlines) -> None:
        self._pool = pool
        self._deadlines = deadlines
        self._turns: dict[int, _Turn] = {}
        """By the endpoint's identity."""
        self._slots = asyncio.Semaphore(CONCURRENT)

    def keep(self, probed: Iterable[Probed]) -> None:
        """From now on probe these, and no others."""
        before, self._turns = self._turns, {}
        for each in probed:
            turn = before.pop(id(each.endpoint), None)
            if turn is None:
                turn = _Turn(self, each)
                self._deadlines.watch(turn, self._deadlines.now() + random.random() * each.check.interval)  # noqa: S311
            turn.probed = each
            self._turns[id(each.endpoint)] = turn
        for turn in before.values():
            self._stop(turn)

    async def close(self) -> None:
        """Probe nothing any more."""
        tasks = [turn.task for turn in self._turns.values() if turn.task is not None]
        self.keep(())
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, turn: _Turn) -> None:
        turn.task = asyncio.get_running_loop().create_task(self._probe(turn.probed))
        turn.task.add_done_callback(lambda task: self._ended(turn, task))

    def _ended(self, turn: _Turn, task: asyncio.Task[None]) -> None:
        turn.task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error(
                "%s: probe of %s: a fault of the proxy's",
                turn.probed.api.key,
                turn.probed.endpoint.name,
                exc_info=error,
            )

    def _stop(self, turn: _Turn) -> None:
        self._deadlines.forget(turn)
        if turn.task is not None:
            turn.task.cancel()

    async def _probe(self, probed: Probed) -> None:
        async with self._slots:
            cause = await self._cause(probed)
        probed.endpoint.probed(cause)

    async def _cause(self, probed: Probed) -> str | None:
        """What is wrong with an endpoint; None where nothing is."""
        check = probed.check
        try:
            async with asyncio.timeout(check.timeout):
                head = await self._head(probed)
        except TimeoutError:
            return "ProbeTimeout"
        except errors.UpstreamError as error:
            return error.reason
        if check.type == "Stream":
            if head.status != 200:
                return f"status {head.status}"
            return None if is_event_stream(head.get(b"content-type")) else "no event stream"
        expected = head.status in check.expected_statuses if check.expected_statuses else 200 <= head.status < 400
        return None if expected else f"status {head.status}"

    async def _head(self, probed: Probed) -> ResponseHead:
        """The response head that a probe gets. Raises UpstreamError."""
        target, check = probed.endpoint.target, probed.check
        lease = await self._pool.connect(target, probed.reach, reuse=False, keep_for=0.0, within=None)
        try:
            awaited = _AwaitedHead()
            lease.connection.begin(awaited, to_head_request=check.method == "HEAD")
            lease.connection.send(_request(probed))
            return await awaited.head
        finally:
            lease.discard()


class _AwaitedHead:
    """Receives a response, of which only the head is wanted."""

    def __init__(self) -> None:
        self.head: asyncio.Future[ResponseHead] = asyncio.get_running_loop().create_future()

    def head_received(self, head: ResponseHead) -> None:
        if not self.head.done():
            self.head.set_result(head)

    def body_received(self, body: bytes, framed: bytes) -> None:
        """It is of no account."""

    def response_ended(self, failure: str | None) -> None:
        if not self.head.done():
            self.head.set_exception(errors.UpstreamClosedError(failure or "no response"))


def _request(probed: Probed) -> bytes:
    target, check = probed.endpoint.target, probed.check
    asked = check.path.encode() if check.path is not None else target.request_target("", None)
    accepted = b"text/event-stream" if check.type == "Stream" else b"*/*"
    lines = [
        check.method.encode() + b" " + asked + b" HTTP/1.1",
        b"Host: " + target.authority,
        b"User-Agent: sse-gateway-probe",
        b"Accept: " + accepted,
        *(name + b": " + value for name, value in probed.fields),
        b"Connection: close",
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"
