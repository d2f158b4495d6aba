"""The account of a request: what the log and the metrics say of it."""

from __future__ import annotations

import random
from collections.abc import Callable

from sse_proxy.access_log import Sink, line, member, seconds
from sse_proxy.field_changes import UNCHANGED, FieldChanges
from sse_proxy.forwarded import Via
from sse_proxy.limits.admission import Admission, address_key
from sse_proxy.metrics import ApiCounts, ConsumerCounts
from sse_proxy.path import RequestTarget
from sse_proxy.plans import ANYBODY, Consumer
from sse_proxy.problem import Problem
from sse_proxy.request import Request
from sse_proxy.route import Route
from sse_proxy.stream.close import CloseReason
from sse_proxy.stream.shared.catch_up import Found
from sse_proxy.upstream.endpoints import Endpoint


class Account:
    """One request's."""

    __slots__ = (
        "_counts",
        "_log",
        "_now",
        "_of_consumer",
        "_opened",
        "_told",
        "address",
        "client",
        "consumer",
        "cors",
        "early",
        "endpoint",
        "entered",
        "first_byte_after",
        "head_after",
        "id",
        "left_after",
        "method",
        "route",
        "started",
        "status",
        "stream",
        "target",
        "via",
    )

    def __init__(
        self, request: Request, via: Via, counts: ApiCounts, now: Callable[[], float], log: Sink | None
    ) -> None:
        self._counts = counts
        self._now = now
        self._log = log
        self._opened = 0.0
        self._told: tuple[str, str] | None = None
        self.started = now()
        self.id = f"{random.getrandbits(64):016x}"
        self.method = request.head.method.decode()
        self.via = via
        self.client = via.client
        self.address = ""
        """Whom limits take the client for."""
        self.entered: tuple[Admission, ...] = ()
        """Where it is counted as being under way."""
        self.target: RequestTarget | None = None
        """What it asks for; None: that is not known yet, or is told already."""
        self.route: Route | None = None
        self.consumer = ANYBODY
        self._of_consumer: ConsumerCounts | None = None
        self.cors: FieldChanges = UNCHANGED
        self.endpoint: Endpoint | None = None
        """The one that is asked, or was the last."""
        self.status: int | None = None
        self.stream = False
        self.early = False
        """Whether the client has a response head that is not upstream's, and the stream has not ended."""
        self.head_after: float | None = None
        self.first_byte_after: float | None = None
        self.left_after: float | None = None
        """When the client had gone, where its answer was read on."""

    def belongs_to(self, route: Route) -> None:
        """From now on it counts for this route's API."""
        self.route, self._counts = route, route.counts

    def admitted(self, consumer: Consumer) -> None:
        """The plan lets it in."""
        self.consumer = consumer
        if consumer.name:
            self._of_consumer = self._counts.consumer(consumer.name)
            self._of_consumer.requests += 1

    def enter(self, admissions: tuple[Admission, ...]) -> Problem | None:
        """Come in, or why not. Nothing is counted then."""
        self.address = address_key(self.client or "")
        now = self._now()
        for admission in admissions:
            if (refusal := admission.refusal(self.address, self.consumer.name, now)) is not None:
                return refusal
        for admission in admissions:
            admission.occupancy.enter(self.address, self.consumer.name)
        self.entered = admissions
        return None

    def leave(self) -> None:
        """It is no longer under way."""
        for admission in self.entered:
            admission.occupancy.leave(self.address, self.consumer.name)
        self.entered = ()

    def opened_early(self) -> None:
        """The client has a response head, and upstream has not answered."""
        self._open(200, stream=True)
        self.early = True

    def head_sent(self, status: int, *, stream: bool) -> None:
        """Upstream's response head is on its way to the client, or too late."""
        if self.endpoint is not None:
            self.endpoint.answered(status)
        self.head_after = self._now() - self.started
        self._counts.head.observe(self.head_after)
        if not self.early:
            self._open(status, stream=stream)

    def _open(self, status: int, *, stream: bool) -> None:
        self._opened = self._now()
        self.status, self.stream = status, stream
        if stream:
            self._counts.streams_active += 1
            if self._of_consumer is not None:
                self._of_consumer.streams_active += 1
            self._write("stream_open")

    def first_byte(self) -> None:
        """The first byte of the body is on its way to the client."""
        self.first_byte_after = self._now() - self.started
        if self.stream:
            self._counts.first_byte.observe(self.first_byte_after)

    def paused(self, seconds: float) -> None:
        """Bytes came after a silence that was within a tenth of the idle timeout."""
        if self.stream and self.route is not None:
            self.route.pace.paused(seconds, self._now())

    def heartbeat(self) -> None:
        """The client was sent a heartbeat."""
        self._counts.heartbeats += 1

    def client_left(self) -> None:
        """The client has gone, and the rest of the answer is read for nobody."""
        self.left_after = self._now() - self.started

    def resumed(self, found: Found) -> None:
        """The client has come back to a shared stream, with what it missed or without."""
        self._counts.replays[found] += 1

    def relayed(self, reason: CloseReason, bytes_sent: int, problem: str | None = None) -> None:
        """The response has ended; `problem` is what its client was told of that."""
        self.leave()
        self.early = False
        now = self._now()
        counts = self._counts
        counts.response_bytes += bytes_sent
        self._count_status()
        if self.stream:
            counts.streams_active -= 1
            if self._of_consumer is not None:
                self._of_consumer.streams_active -= 1
            counts.closed[CloseReason.CLIENT if self.left_after is not None else reason] += 1
            counts.lifetime.observe(now - self._opened)
            if reason is CloseReason.IDLE_TIMEOUT and self.route is not None:
                self.route.pace.ended(now)
        rest = member("rest", reason.value) if self.left_after is not None else ""
        told = CloseReason.CLIENT if self.left_after is not None else reason
        self._end(
            "stream_close" if self.stream else "request",
            f'{member("reason", told.value)}{rest}{member("problem", problem)},"bytes":{bytes_sent}',
            now,
        )

    def refused(self, problem: Problem) -> None:
        """The gateway answered itself."""
        self._counts.refused[problem.reason] = self._counts.refused.get(problem.reason, 0) + 1
        if self.early:
            self.relayed(CloseReason.UPSTREAM_ERROR, 0, problem.reason)
            return
        self.leave()
        self.status = problem.status
        self._count_status()
        self._end("request", member("reason", problem.reason), self._now())

    def options_answered(self, status: int, reason: str) -> None:
        """The gateway answered a question about what may be asked."""
        self.status = status
        self._count_status()
        self._end("request", member("reason", reason), self._now())

    def abandoned(self) -> None:
        """The client went away before there was a response."""
        if self.early:
            self.relayed(CloseReason.CLIENT, 0)
            return
        self.leave()
        self._count_status()
        self._end("request", member("reason", CloseReason.CLIENT.value), self._now())

    def _count_status(self) -> None:
        self._counts.requests[min((self.status or 0) // 100, 5)] += 1

    def _end(self, event: str, members: str, now: float) -> None:
        """The last line."""
        if self._log is not None:
            times = (
                f',"seconds":{now - self.started:.3f}'
                f"{seconds('head_seconds', self.head_after)}"
                f"{seconds('first_byte_seconds', self.first_byte_after)}"
                f"{seconds('left_seconds', self.left_after)}"
            )
            self._write(event, members + times)

    def _write(self, event: str, members: str = "") -> None:
        if self._log is None:
            return
        who, asked = self._told = self._told or self._tell()
        endpoint = member("endpoint", self.endpoint.name) if self.endpoint is not None else ""
        status = f',"status":{self.status}' if self.status is not None else ""
        self._log(line(event, who, endpoint, asked, status, members))

    def _tell(self) -> tuple[str, str]:
        """What all its lines have in common, in front of the endpoint and behind it."""
        who = f',"id":"{self.id}"'
        if self.route is not None:
            who += self.route.log_members
        who += member("client", self.client) + member("consumer", self.consumer.name)
        asked = member("method", self.method)
        target, self.target = self.target, None
        if target is not None:
            asked += target.log_members
        return who, asked
