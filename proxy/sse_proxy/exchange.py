"""One request's way: router → plan → upstream → stream → close reason.

`Exchanges` is the listener's handler. It answers with a problem what goes no further, opens the exchange with
upstream, and leaves the response to the relay: its task ends when upstream's head is on its way to the client.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import secrets
from collections.abc import Callable
from dataclasses import replace

from sse_proxy import access_log, errors, headers
from sse_proxy.config import Api, GatewayLimits, Upstream
from sse_proxy.cors import OptionsAnswer
from sse_proxy.field_changes import UNCHANGED, FieldChanges
from sse_proxy.forwarded import TrustedProxies, Via
from sse_proxy.inquiry import Inquiry
from sse_proxy.lapse import lapsed
from sse_proxy.limits.admission import Admission, address_key
from sse_proxy.metrics import ApiCounts, ConsumerCounts, Counts
from sse_proxy.path import RequestTarget, parse_target, rest_of_path
from sse_proxy.plans import Consumer
from sse_proxy.problem import Problem
from sse_proxy.request import Request, RequestBody
from sse_proxy.route import EMPTY, Route, RoutingTable
from sse_proxy.sharing import Divert, Sharing
from sse_proxy.stream.close import CloseReason
from sse_proxy.stream.deadlines import Deadlines
from sse_proxy.stream.ending import Ending
from sse_proxy.stream.framing import LAST_CHUNK, chunk
from sse_proxy.stream.live import LiveExchanges
from sse_proxy.stream.relay import Relay
from sse_proxy.stream.shared.catch_up import Found
from sse_proxy.stream.shared.key import as_shared
from sse_proxy.stream.shared.member import Member
from sse_proxy.upstream.connection import Receiver
from sse_proxy.upstream.endpoints import Endpoint
from sse_proxy.upstream.pool import Lease, UpstreamPool
from sse_proxy.upstream.redirects import Place
from sse_proxy.upstream.usage import Usage

_log = logging.getLogger(__name__)

_ALLOW = (b"Allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")

LAPSE_SECONDS = 4.0
"""For an event boundary to come, once a stream must not go on under a new config."""

_RETRY_AFTER: dict[type[errors.UpstreamError], int] = {
    errors.MaxConnectionsReachedError: 5,
    errors.NoEndpointError: 30,
}
"""Seconds after which a request may be tried again."""

_NO_FAULT_OF_THE_ENDPOINT = (
    errors.MaxConnectionsReachedError,
    errors.RedirectRefusedError,
    errors.TooManyRedirectsError,
)

_GATEWAY_STATUS: dict[type[errors.UpstreamError], int] = {
    errors.UpstreamConnectTimeoutError: 504,
    errors.UpstreamResponseTimeoutError: 504,
    errors.MaxConnectionsReachedError: 503,
    errors.NoEndpointError: 503,
}


class Exchange:
    """The account of one request: what the log and the metrics say of it."""

    __slots__ = (
        "_counts",
        "_log",
        "_now",
        "_of_consumer",
        "_opened",
        "address",
        "client",
        "consumer",
        "cors",
        "endpoint",
        "entered",
        "first_byte_after",
        "head_after",
        "host",
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
        self, request: Request, via: Via, counts: ApiCounts, now: Callable[[], float], log: access_log.Sink | None
    ) -> None:
        self._counts = counts
        self._now = now
        self._log = log
        self._opened = 0.0
        self.started = now()
        self.id = secrets.token_hex(8)
        self.method = request.head.method.decode()
        self.via = via
        self.client = via.client
        self.address = ""
        """Whom limits take the client for."""
        self.entered: tuple[Admission, ...] = ()
        """Where it is counted as being under way."""
        self.host: str | None = None
        self.target: RequestTarget | None = None
        self.route: Route | None = None
        self.consumer = Consumer()
        self._of_consumer: ConsumerCounts | None = None
        self.cors: FieldChanges = UNCHANGED
        self.endpoint: Endpoint | None = None
        """The one that is asked, or was the last."""
        self.status: int | None = None
        self.stream = False
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

    def head_sent(self, status: int, *, stream: bool) -> None:
        """Upstream's response head is on its way to the client."""
        self._opened = self._now()
        if self.endpoint is not None:
            self.endpoint.answered(status)
        self.head_after = self._opened - self.started
        self.status, self.stream = status, stream
        self._counts.head.observe(self.head_after)
        if stream:
            self._counts.streams_active += 1
            if self._of_consumer is not None:
                self._of_consumer.streams_active += 1
            self._write("stream_open", {})

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

    def relayed(self, reason: CloseReason, bytes_sent: int) -> None:
        """The response has ended."""
        self.leave()
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
        self._write(
            "stream_close" if self.stream else "request",
            {**self._reasons(reason), "bytes": bytes_sent, **self._times(now)},
        )

    def refused(self, problem: Problem) -> None:
        """The gateway answered itself."""
        self.leave()
        self.status = problem.status
        self._counts.refused[problem.reason] = self._counts.refused.get(problem.reason, 0) + 1
        self._count_status()
        self._write("request", {"reason": problem.reason, **self._times(self._now())})

    def options_answered(self, status: int, reason: str) -> None:
        """The gateway answered a question about what may be asked."""
        self.status = status
        self._count_status()
        self._write("request", {"reason": reason, **self._times(self._now())})

    def abandoned(self) -> None:
        """The client went away before there was a response."""
        self.leave()
        self._count_status()
        self._write("request", {"reason": CloseReason.CLIENT.value, **self._times(self._now())})

    def _count_status(self) -> None:
        self._counts.requests[min((self.status or 0) // 100, 5)] += 1

    def _reasons(self, reason: CloseReason) -> dict[str, object]:
        """Why the exchange ended, and where its client had gone before, why the rest did."""
        if self.left_after is None:
            return {"reason": reason.value}
        return {"reason": CloseReason.CLIENT.value, "rest": reason.value}

    def _times(self, now: float) -> dict[str, object]:
        return {
            "seconds": round(now - self.started, 3),
            "head_seconds": _rounded(self.head_after),
            "first_byte_seconds": _rounded(self.first_byte_after),
            "left_seconds": _rounded(self.left_after),
        }

    def _write(self, event: str, members: dict[str, object]) -> None:
        if self._log is None:
            return
        api = self.route.api if self.route is not None else None
        self._log(
            access_log.line(
                event,
                {
                    "id": self.id,
                    "api": api.key if api is not None else None,
                    "version": api.version or None if api is not None else None,
                    "client": self.client,
                    "consumer": self.consumer.name or None,
                    "endpoint": self.endpoint.name if self.endpoint is not None else None,
                    "method": self.method,
                    "host": self.target.host or None if self.target is not None else None,
                    "path": self.target.path if self.target is not None else None,
                    "query": access_log.query_names(self.target.query) or None if self.target is not None else None,
                    "status": self.status,
                    **members,
                },
            )
        )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


class Exchanges:
    """Handles requests by the routing table that is current when they come."""

    def __init__(
        self,
        pool: UpstreamPool,
        deadlines: Deadlines,
        counts: Counts,
        log: access_log.Sink | None,
    ) -> None:
        self.table: RoutingTable = EMPTY
        self.live: LiveExchanges[Relay | Member] = LiveExchanges()
        self.accounts: dict[Relay | Member, Exchange] = {}
        """The account of each response under way."""
        self.sharing: Sharing[Exchange] = Sharing(self, deadlines)
        self.admission = Admission(GatewayLimits())
        """The limits of the gateway as a whole."""
        self.trusted = TrustedProxies()
        """Whose word on a client counts."""
        self.closing = False
        """When set, every client connection is closed after its answer."""
        self._pool = pool
        self._deadlines = deadlines
        self._counts = counts
        self._log = log

    async def __call__(self, request: Request) -> None:
        """Decide what becomes of one request. The listener's handler."""
        via = self.trusted.via(request.connection.address, request.fields)
        account = Exchange(request, via, self._counts.api(""), self._deadlines.now, self._log)
        try:
            await self._answer(request, account)
        except asyncio.CancelledError:
            if account.status is None:
                account.abandoned()
            raise
        except Exception:
            _log.exception("request %s could not be handled", account.id)
            if request.connection.head_sent:
                request.connection.reset()
            else:
                self._refuse(request, account, Problem(500, "InternalError"), close=True)

    async def _answer(self, request: Request, account: Exchange) -> None:
        admitted = await self._admit(request, account)
        if isinstance(admitted, Problem):
            self._refuse(request, account, admitted, close=admitted.status == 413)
            return
        if isinstance(admitted, OptionsAnswer):
            self._answer_options(request, account, admitted)
            return
        try:
            if (shared := as_shared(admitted)) is not None:
                inquiry, key = shared
                await self.sharing.answer(inquiry, account, key)
            else:
                await self.ask(admitted, account)
        except errors.UpstreamError as error:
            status = _GATEWAY_STATUS.get(type(error), 502)
            problem = Problem(status, error.reason, retry_after=_RETRY_AFTER.get(type(error)))
            self._refuse(request, account, problem)
        except errors.BodyTooLargeError:
            self._refuse(request, account, _body_too_large(admitted.route.api), close=True)
        except errors.RequestBrokenError:
            self._refuse(request, account, Problem(400, "BadRequest"), close=True)

    async def _admit(self, request: Request, account: Exchange) -> Inquiry | OptionsAnswer | Problem:
        """Everything that decides before upstream is asked: what to ask it, or what is answered instead."""
        if request.head.method in (b"CONNECT", b"TRACE"):
            return Problem(405, "MethodNotAllowed", fields=(_ALLOW,))
        if request.head.target == b"*" and request.head.method == b"OPTIONS":
            # It asks about the server as a whole (RFC 9110, section 9.3.7), so no API is meant.
            return OptionsAnswer((_ALLOW,), reason="Options")
        host = request.get(b"host")
        try:
            account.target = target = parse_target(
                request.head.target.decode("ascii"), host.decode("latin-1") if host is not None else None
            )
        except errors.BadTargetError as error:
            return Problem(400, "BadPath", str(error))
        table = self.table
        found = table.router.find(target.host, target.segments)
        if found is None:
            return Problem(404, "UnknownPath") if table.complete else Problem(503, "NotReady", retry_after=1)
        route, consumed = found
        account.belongs_to(route)
        if b"websocket" in request.get(b"upgrade", b"").lower():
            return Problem(501, "UpgradeNotSupported", "WebSocket connections are not relayed; use Server-Sent Events.")
        if route.cors is not None:
            answer = route.cors.answer(account.method, request.fields)
            if answer is not None:
                return answer
            account.cors = route.cors.changes(account.method, request.fields)
        if (unavailable := route.unavailable) is not None:
            return Problem(503, unavailable.reason, unavailable.message, retry_after=unavailable.retry_after)
        if headers.hops(request.fields) >= headers.MAX_HOPS:
            return Problem(508, "LoopDetected")
        if request.get(b"expect", b"100-continue").lower() != b"100-continue":
            return Problem(417, "ExpectationFailed")
        admission = await route.plan.admit(request.fields, target.query)
        if isinstance(admission, Problem):
            return admission
        account.admitted(admission.consumer)
        if (refusal := account.enter((self.admission, route.admission))) is not None:
            return refusal
        if _too_large(int(request.head.length or 0), route.api):
            return _body_too_large(route.api)
        rest = rest_of_path(target.path, consumed)
        return Inquiry(request, account.via, route, rest, admission.query, admission.fields)

    def _refuse(self, request: Request, account: Exchange, problem: Problem, *, close: bool = False) -> None:
        connection = request.connection
        # A client that waits for 100 may take the answer for the end of the request, and its next bytes for a new one.
        unread = request.get(b"expect") is not None and not request.complete
        close = close or self.closing or request.head.last or unread or request.head.method == b"CONNECT"
        connection.head_sent = True
        problem = replace(problem, fields=problem.fields + account.cors.added) if account.cors.added else problem
        connection.send(problem.message(close=close, head_only=request.head.method == b"HEAD"))
        account.refused(problem)
        if unread:
            connection.shut()
        connection.answered(keep_alive=not close)

    def _answer_options(self, request: Request, account: Exchange, answer: OptionsAnswer) -> None:
        close = self.closing or request.head.last or not request.complete
        request.connection.head_sent = True
        request.connection.send(answer.message(close=close))
        account.options_answered(answer.status, answer.reason)
        request.connection.answered(keep_alive=not close)

    async def ask(self, inquiry: Inquiry, account: Exchange, divert: Divert | None = None) -> None:
        """Ask one endpoint, and others after it as failover allows, and have the answer relayed, unless `divert` takes
        it. Raises UpstreamError when there is none, RequestBrokenError."""
        route = inquiry.route
        tries = 1
        if route.api.failover is not None:
            tries += route.api.failover.attempts
            await inquiry.keep_body()
        key = inquiry.affinity()
        tried: list[Endpoint] = []
        while (endpoint := route.endpoints.choose(key, tried, inquiry.session)) is not None:
            account.endpoint = endpoint
            try:
                return await self._relay(inquiry, account, endpoint, divert)
            except _NO_FAULT_OF_THE_ENDPOINT:
                raise
            except errors.UpstreamError as error:
                endpoint.failed(error.reason)
                tried.append(endpoint)
                if min(tries, len(route.endpoints)) == len(tried) or not inquiry.repeatable():
                    raise
        raise errors.NoEndpointError("no endpoint has a weight")

    async def _relay(self, inquiry: Inquiry, account: Exchange, endpoint: Endpoint, divert: Divert | None) -> None:
        """Ask one endpoint, and have its answer relayed. Raises UpstreamError when there is none."""
        request, route = inquiry.request, inquiry.route
        upstream = route.api.upstream
        place = inquiry.begin_at(endpoint.target)
        reuse = upstream.keep_alive
        while True:
            lease = await self._connect(route, endpoint, place, reuse=reuse)
            relay = Relay(
                request.connection,
                lease,
                route.api.timeouts,
                route.api.stream,
                self._deadlines,
                account,
                self.ended,
                method=request.head.method,
                keep_alive=not (request.head.last or self.closing),
                one_zero=request.head.one_zero,
                changes=inquiry.response_changes(endpoint.name).then(account.cors),
                redirected=inquiry.redirected if upstream.follow_redirects else None,
                diverted=divert,
            )
            request.connection.downstream = relay
            self.begun(relay, account)
            try:
                _send(inquiry, relay, lease, place)
                await relay.answer()
            except (asyncio.CancelledError, errors.BodyTooLargeError):
                relay.abandoned()
                raise
            failure = relay.failure
            if failure is None and inquiry.place is not None and inquiry.moved(place):
                place, reuse = inquiry.place, upstream.keep_alive
                continue
            if failure is None:
                return
            if (
                isinstance(failure, errors.UpstreamClosedError)
                and lease.connection.reused
                and not lease.connection.answered
                and inquiry.repeatable()
            ):
                # Upstream closed the idle connection while the request was on its way: once more, on a new one.
                reuse = False
                continue
            raise failure

    async def resume(self, inquiry: Inquiry, receiver: Receiver) -> Lease:
        """Ask one endpoint, for nobody alone: the answer goes to `receiver`. Raises UpstreamError."""
        route = inquiry.route
        endpoint = route.endpoints.choose(inquiry.affinity())
        if endpoint is None:
            raise errors.NoEndpointError("no endpoint has a weight")
        place = inquiry.begin_at(endpoint.target)
        try:
            lease = await self._connect(route, endpoint, place, reuse=False)
        except errors.UpstreamError as error:
            endpoint.failed(error.reason)
            raise
        lease.connection.begin(receiver, to_head_request=False)
        lease.connection.send(inquiry.head(place))
        return lease

    async def _connect(self, route: Route, endpoint: Endpoint, place: Place, *, reuse: bool) -> Lease:
        """A connection that counts for the route's API until it is given back. Raises UpstreamError."""
        api, usage = route.api, route.usage
        reach = route.reach.beyond if place.foreign else route.reach
        usage.take(api.upstream.max_connections, self._deadlines.now())
        try:
            lease = await self._pool.connect(
                place.target, reach, reuse=reuse, keep_for=_keep_for(api.upstream), within=api.timeouts.connect
            )
        except BaseException:
            usage.free()
            raise
        endpoint.streams += 1
        lease.ended = functools.partial(_free, usage, endpoint)
        return lease

    def serve_by(self, table: RoutingTable) -> None:
        """From now on, route by `table`. Exchanges that must not go on under it end, event streams at an event boundary
        where one comes in time."""
        before, self.table = self.table, table
        lapsed = [
            (relay, reason)
            for relay, account in self.accounts.items()
            if (reason := self._lapsed(account, before)) is not None
        ]
        for index, (relay, reason) in enumerate(lapsed):
            self._end_soon(relay, reason, share=index / len(lapsed))

    def _lapsed(self, account: Exchange, before: RoutingTable | None = None) -> CloseReason | None:
        if account.route is None:
            return None
        return lapsed(account.route, account.consumer.credential, self.table, before)

    def _end_soon(self, relay: Relay | Member, reason: CloseReason, share: float = 0.0) -> None:
        """End it within `LAPSE_SECONDS`. Clients of a changed API come back at once: they are sent away one after the
        other."""
        now = self._deadlines.now()
        start = now + (share * LAPSE_SECONDS / 2 if reason is CloseReason.CHANGED else 0.0)
        relay.end_by(Ending(start, now + LAPSE_SECONDS, reason, streams_only=reason is not CloseReason.REVOKED))

    def begun(self, relay: Relay | Member, account: Exchange) -> None:
        """A response is under way, or will be."""
        self.accounts[relay] = account
        self.live.add(relay)
        if (reason := self._lapsed(account)) is not None:  # since its request was admitted
            self._end_soon(relay, reason)

    def ended(self, relay: Relay | Member) -> None:
        """Nothing is left to do for a relay. Where it had no answer, its request's handler goes on."""
        self.live.remove(relay)
        account = self.accounts.pop(relay)
        if relay.reason is not None and account.status is not None:
            account.relayed(relay.reason, relay.bytes_sent)
            relay.client.answered(keep_alive=relay.keep_alive)
        elif relay.reason is not None and account.left_after is not None:
            account.abandoned()

    def close(self) -> None:
        """The proxy stops: no connection is left, and what is read for nobody ends too."""
        for response in self.live:
            response.abandoned()
        self.sharing.streams.close()


def _too_large(size: int, api: Api) -> bool:
    return api.limits.request_body is not None and size > api.limits.request_body


def _body_too_large(api: Api) -> Problem:
    return Problem(413, "BodyTooLarge", f"The body may have {api.limits.request_body} bytes.")


def _free(usage: Usage, endpoint: Endpoint) -> None:
    """An exchange needs its connection no more."""
    endpoint.streams -= 1
    usage.free()


def _send(inquiry: Inquiry, relay: Relay, lease: Lease, place: Place) -> None:
    """Send a request to upstream: at once what has come of it, and the rest as it comes, of its body as much as the API
    allows. Raises BodyTooLargeError."""
    request, upstream = inquiry.request, lease.connection
    most = inquiry.route.api.limits.request_body
    head = inquiry.head(place)
    upstream.begin(relay, to_head_request=place.method == b"HEAD")
    body = inquiry.whole_body()
    if body is not None:
        _check_size(len(inquiry.kept or b""), most)
        upstream.send(head + body)
        relay.request_complete = True
        relay.waiting_for_upstream()
    elif request.body is not None:
        inquiry.expect_body()
        upstream.send(head)
        upload = _upload(request.body, relay, lease, most, chunked=request.head.chunked)
        relay.upload_with(asyncio.create_task(upload))


def _check_size(size: int, most: int | None) -> None:
    if most is not None and size > most:
        raise errors.BodyTooLargeError


async def _upload(body: RequestBody, relay: Relay, lease: Lease, most: int | None, *, chunked: bool) -> None:
    """Send a request body on as it comes, no faster than upstream takes it. Raises BodyTooLargeError: upstream does not
    get the end of such a body, and a response that is under way is broken off."""
    connection = lease.connection
    size = 0
    while data := await body.read():
        size += len(data)
        try:
            _check_size(size, most)
        except errors.BodyTooLargeError:
            relay.end_if_begun(CloseReason.LIMIT)
            raise
        connection.send(chunk(data) if chunked else data)
        relay.waiting_for_upstream()
        try:
            await connection.drained()
        except ConnectionError:
            # Its end, and perhaps an answer before it, is the relay's to judge.
            return
        relay.waiting_for_client()
    if chunked:
        connection.send(LAST_CHUNK)
    relay.request_complete = True
    relay.waiting_for_upstream()


def _keep_for(upstream: Upstream) -> float:
    """Seconds for which a connection is kept after an exchange."""
    if not upstream.keep_alive:
        return 0.0
    return math.inf if upstream.keep_alive_timeout is None else upstream.keep_alive_timeout
