"""One request's way: router → plan → upstream → stream → close reason.

`Exchanges` is the listener's handler. It answers with a problem what goes no further, opens the exchange with
upstream, and leaves the response to the relay.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web import BaseRequest, RequestPayloadError, StreamResponse

from sse_proxy import access_log, errors, headers
from sse_proxy.config import Api, Upstream
from sse_proxy.cors import Preflight
from sse_proxy.field_changes import UNCHANGED, FieldChanges
from sse_proxy.listener import CLOSE, KEEP_ALIVE, ClientConnection
from sse_proxy.metrics import ApiCounts, Counts
from sse_proxy.path import RequestTarget, parse_target, rest_of_path
from sse_proxy.plans import Consumer
from sse_proxy.problem import Problem
from sse_proxy.route import EMPTY, Route, RoutingTable
from sse_proxy.stream.close import CloseReason
from sse_proxy.stream.deadlines import Deadlines
from sse_proxy.stream.live import LiveExchanges
from sse_proxy.stream.relay import Relay
from sse_proxy.upstream.pool import Lease, UpstreamPool
from sse_proxy.upstream.target import Target

_log = logging.getLogger(__name__)

_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))

_RETRY_AFTER: dict[type[errors.UpstreamError], int] = {errors.MaxConnectionsReachedError: 5}
"""Seconds after which a request may be tried again."""

_GATEWAY_STATUS: dict[type[errors.UpstreamError], int] = {
    errors.UpstreamConnectTimeoutError: 504,
    errors.UpstreamResponseTimeoutError: 504,
    errors.MaxConnectionsReachedError: 503,
}


class Exchange:
    """The account of one request: what the log and the metrics say of it."""

    __slots__ = (
        "_counts",
        "_log",
        "_now",
        "_opened",
        "client",
        "consumer",
        "cors",
        "first_byte_after",
        "head_after",
        "host",
        "id",
        "method",
        "route",
        "started",
        "status",
        "stream",
        "target",
    )

    def __init__(
        self, request: BaseRequest, counts: ApiCounts, now: Callable[[], float], log: access_log.Sink | None
    ) -> None:
        self._counts = counts
        self._now = now
        self._log = log
        self._opened = 0.0
        self.started = now()
        self.id = secrets.token_hex(8)
        self.method = request.method
        self.client = request.remote
        self.host: str | None = None
        self.target: RequestTarget | None = None
        self.route: Route | None = None
        self.consumer = Consumer()
        self.cors: FieldChanges = UNCHANGED
        self.status: int | None = None
        self.stream = False
        self.head_after: float | None = None
        self.first_byte_after: float | None = None

    def belongs_to(self, route: Route) -> None:
        """From now on it counts for this route's API."""
        self.route, self._counts = route, route.counts

    def head_sent(self, status: int, *, stream: bool) -> None:
        """Upstream's response head is on its way to the client."""
        self._opened = self._now()
        self.head_after = self._opened - self.started
        self.status, self.stream = status, stream
        self._counts.head.observe(self.head_after)
        if stream:
            self._counts.streams_active += 1
            self._write("stream_open", {})

    def first_byte(self) -> None:
        """The first byte of the body is on its way to the client."""
        self.first_byte_after = self._now() - self.started
        if self.stream:
            self._counts.first_byte.observe(self.first_byte_after)

    def relayed(self, reason: CloseReason, bytes_sent: int) -> None:
        """The response has ended."""
        now = self._now()
        counts = self._counts
        counts.response_bytes += bytes_sent
        self._count_status()
        if self.stream:
            counts.streams_active -= 1
            counts.closed[reason] += 1
            counts.lifetime.observe(now - self._opened)
        self._write(
            "stream_close" if self.stream else "request",
            {"reason": reason.value, "bytes": bytes_sent, **self._times(now)},
        )

    def refused(self, problem: Problem) -> None:
        """The gateway answered itself."""
        self.status = problem.status
        self._counts.refused[problem.reason] = self._counts.refused.get(problem.reason, 0) + 1
        self._count_status()
        self._write("request", {"reason": problem.reason, **self._times(self._now())})

    def preflight(self, status: int) -> None:
        """The gateway answered a browser's question before its request."""
        self.status = status
        self._count_status()
        self._write("request", {"reason": "Preflight", **self._times(self._now())})

    def abandoned(self) -> None:
        """The client went away before there was a response."""
        self._count_status()
        self._write("request", {"reason": CloseReason.CLIENT.value, **self._times(self._now())})

    def _count_status(self) -> None:
        self._counts.requests[min((self.status or 0) // 100, 5)] += 1

    def _times(self, now: float) -> dict[str, object]:
        return {
            "seconds": round(now - self.started, 3),
            "head_seconds": _rounded(self.head_after),
            "first_byte_seconds": _rounded(self.first_byte_after),
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
        self.live: LiveExchanges[Relay] = LiveExchanges()
        self.accounts: dict[Relay, Exchange] = {}
        """The account of each relay under way."""
        self.closing = False
        """When set, every client connection is closed after its answer."""
        self._pool = pool
        self._deadlines = deadlines
        self._counts = counts
        self._log = log

    async def __call__(self, request: BaseRequest) -> StreamResponse:
        """Answer one request, from its head on. The listener's handler."""
        connection = cast("ClientConnection", request.protocol)
        account = Exchange(request, self._counts.api(""), self._deadlines.now, self._log)
        try:
            answer = await self._answer(request, connection, account)
        except asyncio.CancelledError:
            if account.status is None:
                account.abandoned()
            raise
        except Exception:
            _log.exception("request %s could not be handled", account.id)
            if not connection.head_sent:
                return self._refuse(request, connection, account, Problem(500, "InternalError"), close=True)
            connection.reset()
            return CLOSE
        finally:
            connection.answered()
        return answer

    async def _answer(self, request: BaseRequest, connection: ClientConnection, account: Exchange) -> StreamResponse:
        fields = request.raw_headers
        admitted = await self._admit(request, account)
        if isinstance(admitted, Problem):
            return self._refuse(request, connection, account, admitted)
        if isinstance(admitted, Preflight):
            return self._answer_preflight(request, connection, account, admitted)
        route, target, asked = admitted
        has_body = request.content is not EMPTY_PAYLOAD
        length = request.headers.get("Content-Length")
        head = headers.request_head(
            request.method.encode(),
            asked,
            _authority(request, route.api, target),
            fields,
            _client_of(request, connection),
            length=length.encode() if length is not None else None,
            chunked=has_body and length is None,
            keep_alive=route.api.upstream.keep_alive,
            compression=route.api.upstream.compression,
            changes=route.request_changes,
        )
        try:
            relay = await self._relay(
                request, connection, account, route, target, head, chunked=has_body and length is None
            )
        except errors.UpstreamError as error:
            status = _GATEWAY_STATUS.get(type(error), 502)
            problem = Problem(status, error.reason, retry_after=_RETRY_AFTER.get(type(error)))
            return self._refuse(request, connection, account, problem)
        except RequestPayloadError:
            return self._refuse(request, connection, account, Problem(400, "BadRequest"), close=True)
        return KEEP_ALIVE if relay.keep_alive else CLOSE

    async def _admit(
        self, request: BaseRequest, account: Exchange
    ) -> tuple[Route, Target, bytes] | Preflight | Problem:
        """Everything that decides before upstream is asked: the route, its target and what to ask it for, or what is
        answered instead."""
        if request.method in ("CONNECT", "TRACE"):
            return Problem(
                405, "MethodNotAllowed", fields=((b"Allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),)
            )
        try:
            account.target = target = parse_target(request.raw_path, request.headers.get("Host"))
        except errors.BadTargetError as error:
            return Problem(400, "BadPath", str(error))
        table = self.table
        found = table.router.find(target.host, target.segments)
        if found is None:
            return Problem(404, "UnknownPath") if table.complete else Problem(503, "NotReady", retry_after=1)
        route, consumed = found
        account.belongs_to(route)
        if "websocket" in request.headers.get("Upgrade", "").lower():
            return Problem(501, "UpgradeNotSupported", "WebSocket connections are not relayed; use Server-Sent Events.")
        fields = request.raw_headers
        if route.cors is not None:
            answer = route.cors.answer(request.method, fields)
            if answer is not None:
                return answer
            account.cors = route.cors.changes(request.method, fields)
        if (unavailable := route.unavailable) is not None:
            return Problem(503, unavailable.reason, unavailable.message, retry_after=unavailable.retry_after)
        if headers.hops(fields) >= headers.MAX_HOPS:
            return Problem(508, "LoopDetected")
        if request.headers.get("Expect", "100-continue").lower() != "100-continue":
            return Problem(417, "ExpectationFailed")
        consumer = await route.plan.admit(fields, target.query)
        if isinstance(consumer, Problem):
            return consumer
        account.consumer = consumer
        endpoint = route.targets.next()
        if endpoint is None:
            return Problem(503, "NoEndpoint", retry_after=30)
        rest = rest_of_path(target.path, consumed)
        return route, endpoint, endpoint.request_target(rest, target.query)

    def _refuse(
        self,
        request: BaseRequest,
        connection: ClientConnection,
        account: Exchange,
        problem: Problem,
        *,
        close: bool = False,
    ) -> StreamResponse:
        # A client that waits for 100 may take the answer for the end of the request, and its next bytes for a new one.
        unread = request.headers.get("Expect") is not None and not request.content.is_eof()
        close = close or self.closing or not request.keep_alive or unread or request.method == "CONNECT"
        connection.head_sent = True
        problem = replace(problem, fields=problem.fields + account.cors.added) if account.cors.added else problem
        connection.send(problem.message(close=close, head_only=request.method == "HEAD"))
        account.refused(problem)
        if unread:
            connection.shut()
        return CLOSE if close else KEEP_ALIVE

    def _answer_preflight(
        self, request: BaseRequest, connection: ClientConnection, account: Exchange, preflight: Preflight
    ) -> StreamResponse:
        close = self.closing or not request.keep_alive
        connection.head_sent = True
        connection.send(preflight.message(close=close))
        account.preflight(preflight.status)
        return CLOSE if close else KEEP_ALIVE

    async def _relay(
        self,
        request: BaseRequest,
        connection: ClientConnection,
        account: Exchange,
        route: Route,
        target: Target,
        head: bytes,
        *,
        chunked: bool,
    ) -> Relay:
        """Ask upstream, and relay its answer to the end. Raises UpstreamError when there is none."""
        api = route.api
        reuse = api.upstream.keep_alive
        while True:
            lease = await self._connect(route, target, reuse=reuse)
            relay = Relay(
                connection,
                lease,
                api.timeouts,
                self._deadlines,
                account,
                keep_alive=request.keep_alive and not self.closing,
                one_zero=request.version < (1, 1),
                changes=route.response_changes.then(account.cors),
            )
            await self._run(request, connection, account, relay, lease, head, chunked=chunked)
            failure = relay.failure
            if failure is None:
                return relay
            if (
                isinstance(failure, errors.UpstreamClosedError)
                and lease.connection.reused
                and not lease.connection.answered
                and request.content is EMPTY_PAYLOAD
                and request.method in _IDEMPOTENT
            ):
                # Upstream closed the idle connection while the request was on its way: once more, on a new one.
                reuse = False
                continue
            raise failure

    async def _connect(self, route: Route, target: Target, *, reuse: bool) -> Lease:
        """A connection that counts for the route's API until it is given back. Raises UpstreamError."""
        api, usage = route.api, route.usage
        usage.take(api.upstream.max_connections, self._deadlines.now())
        try:
            lease = await self._pool.connect(
                target, reuse=reuse, keep_for=_keep_for(api.upstream), within=api.timeouts.connect
            )
        except BaseException:
            usage.free()
            raise
        lease.ended = usage.free
        return lease

    async def _run(
        self,
        request: BaseRequest,
        connection: ClientConnection,
        account: Exchange,
        relay: Relay,
        lease: Lease,
        head: bytes,
        *,
        chunked: bool,
    ) -> None:
        connection.downstream = relay
        self.live.add(relay)
        self.accounts[relay] = account
        upload: asyncio.Task[None] | None = None
        try:
            lease.connection.begin(relay, to_head_request=request.method == "HEAD")
            body = request.content
            if body is EMPTY_PAYLOAD or body.is_eof():
                lease.connection.send(head + _whole_body(body, chunked=chunked))
                relay.request_complete = True
                relay.waiting_for_upstream()
            else:
                if request.headers.get("Expect") is not None and request.version >= (1, 1):
                    connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                lease.connection.send(head)
                connection.reads(body)
                upload = asyncio.create_task(_upload(body, relay, lease, chunked=chunked))
                upload.add_done_callback(relay.upload_ended)
            await relay.finished
            if relay.reason is None and relay.failure is None and upload is not None:
                await upload
        except asyncio.CancelledError:
            relay.client_lost()
            raise
        finally:
            if upload is not None:
                upload.cancel()
            connection.downstream = None
            self.live.remove(relay)
            del self.accounts[relay]
            if relay.reason is not None and account.status is not None:
                account.relayed(relay.reason, relay.bytes_sent)


def _whole_body(body: StreamReader, *, chunked: bool) -> bytes:
    """A request body that is already there, framed."""
    data = b"" if body is EMPTY_PAYLOAD else body.read_nowait()
    if not chunked:
        return data
    return (b"%x\r\n%b\r\n" % (len(data), data) if data else b"") + b"0\r\n\r\n"


async def _upload(body: StreamReader, relay: Relay, lease: Lease, *, chunked: bool) -> None:
    """Send a request body on as it comes, no faster than upstream takes it."""
    connection = lease.connection
    while data := await body.readany():
        connection.send(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
        relay.waiting_for_upstream()
        try:
            await connection.drained()
        except ConnectionError:
            # Its end, and perhaps an answer before it, is the relay's to judge.
            return
        relay.waiting_for_client()
    if chunked:
        connection.send(b"0\r\n\r\n")
    relay.request_complete = True
    relay.waiting_for_upstream()


def _keep_for(upstream: Upstream) -> float:
    """Seconds for which a connection is kept after an exchange."""
    if not upstream.keep_alive:
        return 0.0
    return math.inf if upstream.keep_alive_timeout is None else upstream.keep_alive_timeout


def _authority(request: BaseRequest, api: Api, target: Target) -> bytes:
    """The Host that upstream is told."""
    named = request.headers.get("Host") if api.upstream.host_header == "Client" else None
    return named.encode("utf-8", "surrogateescape") if named else target.authority


def _client_of(request: BaseRequest, connection: ClientConnection) -> headers.Client:
    transport = connection.transport
    local = transport.get_extra_info("sockname") if transport is not None else None
    host = request.headers.get("Host", "")
    scheme = request.scheme
    _, colon, port = host.rpartition(":")
    if not (colon and port.isdigit()):
        port = str(local[1]) if local else ("443" if scheme == "https" else "80")
    return headers.Client(
        address=(request.remote or "").encode(),
        scheme=scheme.encode(),
        host=host.encode("utf-8", "surrogateescape"),
        port=port.encode(),
    )
