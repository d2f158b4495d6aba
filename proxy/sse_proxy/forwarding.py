"""An inquiry's way to an endpoint and back: which one is asked, the request that it is sent, and who gets its answer.

Another endpoint, or another connection to the same one, is asked only before there is an answer, and where the inquiry
can be made again.
"""

from __future__ import annotations

import asyncio
import functools
import math
from typing import Protocol

from sse_proxy import errors
from sse_proxy.account import Account
from sse_proxy.config import Upstream
from sse_proxy.inquiry import Inquiry
from sse_proxy.request import RequestBody
from sse_proxy.route import Route
from sse_proxy.stream.close import CloseReason
from sse_proxy.stream.deadlines import Deadlines
from sse_proxy.stream.early import Opening, opening_for
from sse_proxy.stream.framing import LAST_CHUNK, chunk
from sse_proxy.stream.measured import MeasuredRelay
from sse_proxy.stream.relay import Divert, Relay
from sse_proxy.upstream.connection import Receiver
from sse_proxy.upstream.endpoints import Endpoint
from sse_proxy.upstream.pool import Lease, UpstreamPool
from sse_proxy.upstream.redirects import Place
from sse_proxy.upstream.usage import Usage

_NO_FAULT_OF_THE_ENDPOINT = (
    errors.MaxConnectionsReachedError,
    errors.NoEventStreamError,
    errors.RedirectRefusedError,
    errors.TooManyRedirectsError,
)


class Exchanging(Protocol):
    """Who keeps the responses that are under way."""

    closing: bool
    """Whether every client connection is closed after its answer."""

    def begun(self, relay: Relay, account: Account) -> None:
        """A response is under way, or will be."""

    def ended(self, relay: Relay) -> None:
        """Nothing is left to do for a relay."""


class Forwarding:
    """Has inquiries answered by upstream."""

    def __init__(self, pool: UpstreamPool, deadlines: Deadlines, exchanges: Exchanging) -> None:
        self._pool = pool
        self._deadlines = deadlines
        self._exchanges = exchanges

    async def ask(self, inquiry: Inquiry, account: Account, divert: Divert | None = None) -> None:
        """Ask one endpoint, and others after it as failover allows, and have the answer relayed, unless `divert` takes
        it. Raises UpstreamError when there is none, RequestBrokenError."""
        route = inquiry.route
        tries = 1
        if route.api.failover is not None:
            tries += route.api.failover.attempts
            await inquiry.keep_body()
        key = inquiry.affinity()
        opening = opening_for(inquiry.request, route.api.stream) if divert is None else None
        tried: list[Endpoint] = []
        while (endpoint := route.endpoints.choose(key, tried, inquiry.session)) is not None:
            account.endpoint = endpoint
            try:
                return await self._relay(inquiry, account, endpoint, opening, divert)
            except _NO_FAULT_OF_THE_ENDPOINT:
                raise
            except errors.UpstreamError as error:
                endpoint.failed(error.reason)
                tried.append(endpoint)
                if min(tries, len(route.endpoints)) == len(tried) or not inquiry.repeatable():
                    raise
        raise errors.NoEndpointError("no endpoint has a weight")

    async def _relay(
        self, inquiry: Inquiry, account: Account, endpoint: Endpoint, opening: Opening | None, divert: Divert | None
    ) -> None:
        """Ask one endpoint, and have its answer relayed. Raises UpstreamError when there is none."""
        request, route = inquiry.request, inquiry.route
        upstream = route.api.upstream
        place = inquiry.begin_at(endpoint.target)
        reuse = upstream.keep_alive
        while True:
            lease = await self._connect(route, endpoint, place, reuse=reuse)
            relay = (Relay if route.api.stream.event_size is None else MeasuredRelay)(
                request.connection,
                lease,
                route.api.timeouts,
                route.api.stream,
                self._deadlines,
                account,
                self._exchanges.ended,
                method=request.head.method,
                keep_alive=not (request.head.last or self._exchanges.closing),
                one_zero=request.head.one_zero,
                changes=inquiry.response_changes(endpoint.name).then(account.cors),
                opening=opening,
                redirected=inquiry.redirected if upstream.follow_redirects else None,
                diverted=divert,
            )
            request.connection.downstream = relay
            self._exchanges.begun(relay, account)
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
