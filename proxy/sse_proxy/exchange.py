"""One request's way: router → plan → upstream → stream → close reason.

`Exchanges` is the listener's handler. It answers with a problem what goes no further, has the rest answered by
upstream (`forwarding`) or from a shared stream (`sharing`), and leaves the response to the relay. There is a task only
where something has to be waited for, and it ends when upstream's head is on its way to the client. It keeps the
responses that are under way, each with its `account`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from sse_proxy import access_log, errors, headers
from sse_proxy.account import Account
from sse_proxy.config import GatewayLimits
from sse_proxy.cors import OptionsAnswer
from sse_proxy.forwarded import TrustedProxies
from sse_proxy.forwarding import Attempt, Forwarding, Rest
from sse_proxy.inquiry import Inquiry
from sse_proxy.lapse import lapsed
from sse_proxy.limits.admission import Admission
from sse_proxy.metrics import Counts
from sse_proxy.path import parse_target, rest_of_path
from sse_proxy.plans import Verdict
from sse_proxy.problem import Problem
from sse_proxy.request import Request
from sse_proxy.route import EMPTY, Route, RoutingTable
from sse_proxy.sharing import Sharing
from sse_proxy.stream.close import CloseReason
from sse_proxy.stream.deadlines import Deadlines
from sse_proxy.stream.ending import Ending
from sse_proxy.stream.failure import failure_chunk
from sse_proxy.stream.live import LiveExchanges
from sse_proxy.stream.relay import Divert, Relay
from sse_proxy.stream.shared.key import as_shared
from sse_proxy.stream.shared.member import Member
from sse_proxy.upstream.connection import Receiver
from sse_proxy.upstream.pool import Lease, UpstreamPool

_log = logging.getLogger(__name__)

_ALLOW = (b"Allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")

LAPSE_SECONDS = 4.0
"""For an event boundary to come, once a stream must not go on under a new config."""

_RETRY_AFTER: dict[type[errors.UpstreamError], int] = {
    errors.MaxConnectionsReachedError: 5,
    errors.NoEndpointError: 30,
}
"""Seconds after which a request may be tried again."""

_GATEWAY_STATUS: dict[type[errors.UpstreamError], int] = {
    errors.UpstreamConnectTimeoutError: 504,
    errors.UpstreamResponseTimeoutError: 504,
    errors.MaxConnectionsReachedError: 503,
    errors.NoEndpointError: 503,
}


Admitted = Inquiry | OptionsAnswer | Problem
"""What a request has become: what to ask upstream for it, or what is answered instead."""


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
        self.accounts: dict[Relay | Member, Account] = {}
        """The account of each response under way."""
        self.sharing: Sharing[Account] = Sharing(self, deadlines)
        self.admission = Admission(GatewayLimits())
        """The limits of the gateway as a whole."""
        self.trusted = TrustedProxies()
        """Whose word on a client counts."""
        self.closing = False
        """When set, every client connection is closed after its answer."""
        self._forwarding = Forwarding(pool, deadlines, self)
        self._deadlines = deadlines
        self._counts = counts
        self._log = log

    def __call__(self, request: Request) -> None:
        """Decide what becomes of one request, at once where nothing has to be waited for. The listener's handler."""
        via = self.trusted.via(request.connection.address, request.fields)
        account = Account(request, via, self._counts.api(""), self._deadlines.now, self._log)
        try:
            admitted = self._admit(request, account)
            if callable(admitted):
                rest: Rest | None = functools.partial(self._answer_later, request, account, admitted)
            else:
                rest = self._answer(request, account, admitted)
        except Exception as error:
            self._fail(request, account, error)
            return
        if rest is not None:
            self._see_to(request, account, rest)

    def _see_to(self, request: Request, account: Account, rest: Rest) -> None:
        """Do the rest for a request, for as long as its client is there."""

        async def see_to() -> None:
            try:
                await rest()
            except Exception as error:
                self._fail(request, account, error)

        def given_up() -> None:
            if account.status is None or account.early:
                account.abandoned()

        request.connection.see_to(see_to(), given_up)

    def _fail(self, request: Request, account: Account, error: Exception) -> None:
        """Tell the client why upstream does not answer."""
        match error:
            case errors.UpstreamError():
                status = _GATEWAY_STATUS.get(type(error), 502)
                if isinstance(error, errors.NoEventStreamError) and error.status >= 300:
                    status = error.status
                problem = Problem(status, error.reason, retry_after=_RETRY_AFTER.get(type(error)))
                self._refuse(request, account, problem)
            case errors.BodyTooLargeError() if account.route is not None:
                self._refuse(request, account, _body_too_large(account.route), close=True)
            case errors.RequestBrokenError():
                self._refuse(request, account, Problem(400, "BadRequest"), close=True)
            case _:
                _log.error("request %s could not be handled", account.id, exc_info=error)
                if request.connection.head_sent and not account.early:
                    request.connection.reset()
                else:
                    self._refuse(request, account, Problem(500, "InternalError"), close=True)

    def _answer(self, request: Request, account: Account, admitted: Admitted) -> Rest | None:
        """Answer a request, or ask for its answer; what is left to do for that, if anything is."""
        if isinstance(admitted, Problem):
            self._refuse(request, account, admitted, close=admitted.status == 413)
        elif isinstance(admitted, OptionsAnswer):
            self._answer_options(request, account, admitted)
        elif (shared := as_shared(admitted)) is not None:
            inquiry, key = shared
            return functools.partial(self.sharing.answer, inquiry, account, key)
        else:
            return self._forwarding.begin(admitted, account, functools.partial(self._ask_on, admitted, account))
        return None

    async def _answer_later(
        self, request: Request, account: Account, admitting: Callable[[], Awaitable[Admitted]]
    ) -> None:
        rest = self._answer(request, account, await admitting())
        if rest is not None:
            await rest()

    def _ask_on(self, inquiry: Inquiry, account: Account, attempt: Attempt) -> None:
        """There is no answer to what was asked at once."""
        rest = functools.partial(self._forwarding.ask, inquiry, account, attempt=attempt)
        self._see_to(inquiry.request, account, rest)

    def _admit(self, request: Request, account: Account) -> Admitted | Callable[[], Awaitable[Admitted]]:
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
        if b"via" in request.head.first and headers.hops(request.fields) >= headers.MAX_HOPS:
            return Problem(508, "LoopDetected")
        if request.get(b"expect", b"100-continue").lower() != b"100-continue":
            return Problem(417, "ExpectationFailed")
        rest = rest_of_path(target.path, consumed)
        verdict = route.plan.admit(request.fields, target.query)
        if callable(verdict):
            return functools.partial(self._enter_later, request, account, route, rest, verdict)
        return self._enter(request, account, route, rest, verdict)

    async def _enter_later(
        self, request: Request, account: Account, route: Route, rest: str, judging: Callable[[], Awaitable[Verdict]]
    ) -> Admitted:
        return self._enter(request, account, route, rest, await judging())

    def _enter(
        self, request: Request, account: Account, route: Route, rest: str, admission: Verdict
    ) -> Inquiry | Problem:
        """What the plan lets in has to be within limits."""
        if isinstance(admission, Problem):
            return admission
        account.admitted(admission.consumer)
        if (refusal := account.enter((self.admission, route.admission))) is not None:
            return refusal
        if route.request_body is not None and (request.head.length or 0) > route.request_body:
            return _body_too_large(route)
        return Inquiry(request, account.via, route, rest, admission.query, admission.fields)

    def _refuse(self, request: Request, account: Account, problem: Problem, *, close: bool = False) -> None:
        connection = request.connection
        if account.early:
            # It has a response head already.
            connection.send(failure_chunk(problem))
            account.refused(problem)
            connection.shut()
            connection.answered(keep_alive=False)
            return
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

    def _answer_options(self, request: Request, account: Account, answer: OptionsAnswer) -> None:
        close = self.closing or request.head.last or not request.complete
        request.connection.head_sent = True
        request.connection.send(answer.message(close=close))
        account.options_answered(answer.status, answer.reason)
        request.connection.answered(keep_alive=not close)

    async def ask(self, inquiry: Inquiry, account: Account, divert: Divert | None = None) -> None:
        """See `Forwarding.ask`."""
        await self._forwarding.ask(inquiry, account, divert)

    async def resume(self, inquiry: Inquiry, receiver: Receiver) -> Lease:
        """See `Forwarding.resume`."""
        return await self._forwarding.resume(inquiry, receiver)

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

    def _lapsed(self, account: Account, before: RoutingTable | None = None) -> CloseReason | None:
        if account.route is None:
            return None
        return lapsed(account.route, account.consumer.credential, self.table, before)

    def _end_soon(self, relay: Relay | Member, reason: CloseReason, share: float = 0.0) -> None:
        """End it within `LAPSE_SECONDS`. Clients of a changed API come back at once: they are sent away one after the
        other."""
        now = self._deadlines.now()
        start = now + (share * LAPSE_SECONDS / 2 if reason is CloseReason.CHANGED else 0.0)
        relay.end_by(Ending(start, now + LAPSE_SECONDS, reason, streams_only=reason is not CloseReason.REVOKED))

    def begun(self, relay: Relay | Member, account: Account) -> None:
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


def _body_too_large(route: Route) -> Problem:
    return Problem(413, "BodyTooLarge", f"The body may have {route.request_body} bytes.")
