"""An inquiry's way to an endpoint and back: which one is asked, the request that it is sent, and who gets its answer.

Another endpoint, or another connection to the same one, is asked only before there is an answer, and where the inquiry
can be made again.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, Protocol

from sse_proxy import errors
from sse_proxy.account import Account
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


Rest = Callable[[], Coroutine[Any, Any, None]]
"""What is left to do until a request is answered."""


class Attempt(NamedTuple):
    """An inquiry that was sent to an endpoint."""

    endpoint: Endpoint
    place: Place
    lease: Lease
    relay: Relay


class Forwarding:
    """Has inquiries answered by upstream."""

    def __init__(self, pool: UpstreamPool, deadlines: Deadlines, exchanges: Exchanging) -> None:
        self._pool = pool
        self._deadlines = deadlines
        self._exchanges = exchanges

    def begin(self, inquiry: Inquiry, account: Account, failed: Callable[[Attempt], None]) -> Rest | None:
        """Ask one endpoint at once, where all of the request is there, and a connection; `failed` is called where it
        gives no answer, to go on with `ask`. Where something has to be waited for, what is left to do. Raises
        UpstreamError, BodyTooLargeError."""
        request, route = inquiry.request, inquiry.route
        upstream = route.upstream
        if route.api.failover is not None or not (upstream.keep_alive and request.complete):
            return functools.partial(self.ask, inquiry, account)
        endpoint = account.endpoint = route.endpoints.choose(inquiry.affinity(), (), inquiry.session)
        if endpoint is None:
            raise _no_endpoint()
        route.usage.take(upstream.max_connections, self._deadlines.now())
        lease = self._pool.take(endpoint.target, route.reach, route.keep_for)
        if lease is None:
            route.usage.free()
            return functools.partial(self.ask, inquiry, account, chosen=endpoint)
        _count(lease, route.usage, endpoint)
        opening = opening_for(request, route.stream)
        attempt = self._attempt(inquiry, account, endpoint, inquiry.begin_at(endpoint.target), lease, opening, None)
        attempt.relay.when_decided = functools.partial(_decided, attempt, account, failed)
        return None

    async def ask(
        self,
        inquiry: Inquiry,
        account: Account,
        divert: Divert | None = None,
        *,
        chosen: Endpoint | None = None,
        attempt: Attempt | None = None,
    ) -> None:
        """Ask one endpoint, and others after it as failover allows, and have the answer relayed, unless `divert` takes
        it. The first is the `chosen` one, or where there has been an `attempt` already. Raises UpstreamError when there
        is no answer, RequestBrokenError."""
        route = inquiry.route
        tries = 1
        if route.api.failover is not None:
            tries += route.api.failover.attempts
            await inquiry.keep_body()
        key = inquiry.affinity()
        opening = opening_for(inquiry.request, route.stream) if divert is None else None
        tried: list[Endpoint] = []
        first = attempt.endpoint if attempt is not None else chosen
        while (endpoint := first or route.endpoints.choose(key, tried, inquiry.session)) is not None:
            account.endpoint = endpoint
            try:
                return await self._relay(inquiry, account, endpoint, opening, divert, attempt)
            except _NO_FAULT_OF_THE_ENDPOINT:
                raise
            except errors.UpstreamError as error:
                endpoint.failed(error.reason)
                tried.append(endpoint)
                if min(tries, len(route.endpoints)) == len(tried) or not inquiry.repeatable():
                    raise
            first = attempt = None
        raise _no_endpoint()

    async def _relay(
        self,
        inquiry: Inquiry,
        account: Account,
        endpoint: Endpoint,
        opening: Opening | None,
        divert: Divert | None,
        attempt: Attempt | None,
    ) -> None:
        """Ask one endpoint, and have its answer relayed. Raises UpstreamError when there is none."""
        upstream = inquiry.route.upstream
        place = attempt.place if attempt is not None else inquiry.begin_at(endpoint.target)
        reuse = upstream.keep_alive
        while True:
            if attempt is None:
                lease = await self._connect(inquiry.route, endpoint, place, reuse=reuse)
                attempt = self._attempt(inquiry, account, endpoint, place, lease, opening, divert)
            relay, connection = attempt.relay, attempt.lease.connection
            try:
                await relay.answer()
            except (asyncio.CancelledError, errors.BodyTooLargeError):
                relay.abandoned()
                raise
            attempt = None
            failure = relay.failure
            if failure is None and inquiry.place is not None and inquiry.moved(place):
                place, reuse = inquiry.place, upstream.keep_alive
                continue
            if failure is None:
                return
            if (
                isinstance(failure, errors.UpstreamClosedError)
                and connection.reused
                and not connection.answered
                and inquiry.repeatable()
            ):
                # Upstream closed the idle connection while the request was on its way: once more, on a new one.
                reuse = False
                continue
            raise failure

    def _attempt(
        self,
        inquiry: Inquiry,
        account: Account,
        endpoint: Endpoint,
        place: Place,
        lease: Lease,
        opening: Opening | None,
        divert: Divert | None,
    ) -> Attempt:
        """Send the request, and have its answer relayed. Raises BodyTooLargeError."""
        request, route = inquiry.request, inquiry.route
        relay = (Relay if route.stream.event_size is None else MeasuredRelay)(
            request.connection,
            lease,
            route.timeouts,
            route.stream,
            self._deadlines,
            account,
            self._exchanges.ended,
            method=request.head.method,
            keep_alive=not (request.head.last or self._exchanges.closing),
            one_zero=request.head.one_zero,
            changes=inquiry.response_changes(endpoint.name).then(account.cors),
            opening=opening,
            redirected=inquiry.redirected if route.upstream.follow_redirects else None,
            diverted=divert,
        )
        request.connection.downstream = relay
        self._exchanges.begun(relay, account)
        try:
            _send(inquiry, relay, lease, place)
        except errors.BodyTooLargeError:
            relay.abandoned()
            raise
        return Attempt(endpoint, place, lease, relay)

    async def resume(self, inquiry: Inquiry, receiver: Receiver) -> Lease:
        """Ask one endpoint, for nobody alone: the answer goes to `receiver`. Raises UpstreamError."""
        route = inquiry.route
        endpoint = route.endpoints.choose(inquiry.affinity())
        if endpoint is None:
            raise _no_endpoint()
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
        usage = route.usage
        reach = route.reach.beyond if place.foreign else route.reach
        usage.take(route.upstream.max_connections, self._deadlines.now())
        try:
            lease = await self._pool.connect(
                place.target, reach, reuse=reuse, keep_for=route.keep_for, within=route.timeouts.connect
            )
        except BaseException:
            usage.free()
            raise
        _count(lease, usage, endpoint)
        return lease


def _no_endpoint() -> errors.NoEndpointError:
    return errors.NoEndpointError("no endpoint has a weight")


def _decided(attempt: Attempt, account: Account, failed: Callable[[Attempt], None]) -> None:
    """It is known whether an attempt has a response."""
    relay = attempt.relay
    if not relay.finished:
        return
    if relay.reason is None:
        failed(attempt)
    elif account.status is None and account.left_after is None:
        account.abandoned()


def _count(lease: Lease, usage: Usage, endpoint: Endpoint) -> None:
    """An exchange has a connection, until it is given back."""
    endpoint.streams += 1
    lease.ended = functools.partial(_free, usage, endpoint)


def _free(usage: Usage, endpoint: Endpoint) -> None:
    """An exchange needs its connection no more."""
    endpoint.streams -= 1
    usage.free()


def _send(inquiry: Inquiry, relay: Relay, lease: Lease, place: Place) -> None:
    """Send a request to upstream: at once what has come of it, and the rest as it comes, of its body as much as the API
    allows. Raises BodyTooLargeError."""
    request, upstream = inquiry.request, lease.connection
    most = inquiry.route.request_body
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
