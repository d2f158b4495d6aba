"""A request's way to a shared stream: found, led to, or not to be had."""

from __future__ import annotations

import functools
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from sse_proxy.errors import UpstreamError
from sse_proxy.field_changes import FieldChanges
from sse_proxy.headers import response_head
from sse_proxy.inquiry import Inquiry
from sse_proxy.stream.deadlines import Deadlines
from sse_proxy.stream.ending import of_drain
from sse_proxy.stream.observer import Observer
from sse_proxy.stream.relay import Divert as Divert
from sse_proxy.stream.shared import without_ids
from sse_proxy.stream.shared.catch_up import Beginning, Found
from sse_proxy.stream.shared.key import shareable
from sse_proxy.stream.shared.member import Member
from sse_proxy.stream.shared.registry import Lead, Outcome, SharedStreams
from sse_proxy.stream.shared.stream import SharedStream
from sse_proxy.upstream.connection import Receiver
from sse_proxy.upstream.pool import Lease
from sse_proxy.upstream.response import ResponseHead

REPLAY = b"SSE-Gateway-Replay"
"""The response field that says whether a client that came back gets what it missed."""


class Account(Observer, Protocol):
    """Who keeps count of the request."""

    cors: FieldChanges

    def resumed(self, found: Found) -> None:
        """It has come back, with what it missed or without."""


A = TypeVar("A", bound=Account)
In = TypeVar("In", bound=Account, contravariant=True)


class Exchanging(Protocol[In]):
    """What sharing needs of who handles requests."""

    closing: bool

    async def ask(self, inquiry: Inquiry, account: In, divert: Divert | None = None) -> None:
        """Have it answered by upstream; `divert` judges the response head. Raises UpstreamError."""

    async def resume(self, inquiry: Inquiry, receiver: Receiver) -> Lease:
        """Have it answered to `receiver`. Raises UpstreamError."""

    def begun(self, member: Member, account: In) -> None:
        """A client has joined a shared stream."""

    def ended(self, member: Member) -> None:
        """Nothing is left to do for it."""


class Sharing(Generic[A]):
    """Answers requests from shared streams."""

    def __init__(self, exchanging: Exchanging[A], deadlines: Deadlines) -> None:
        self.streams = SharedStreams()
        self._exchanging = exchanging
        self._deadlines = deadlines

    async def answer(self, inquiry: Inquiry, account: A, key: Hashable) -> None:
        """Have it answered from the stream of this key, or by upstream where there can be none. Raises UpstreamError,
        RequestBrokenError."""
        outcome: Outcome | None = Outcome.JOINED
        while outcome is not None:
            stream = self.streams.find(key, self._deadlines.now())
            if stream is not None:
                if await self._enter(stream, inquiry, account):
                    return
            elif (lead := self.streams.leads.get(key)) is None:
                outcome = await self._lead(inquiry, account, key)
            elif _resumes(inquiry):
                outcome = await lead.outcome()
            else:
                outcome = await lead.outcome(lambda stream: self._join(stream, inquiry, account))
                if outcome is Outcome.JOINED:
                    return
            if outcome is Outcome.PRIVATE:
                await self._exchanging.ask(inquiry, account)
                return

    async def _lead(self, inquiry: Inquiry, account: A, key: Hashable) -> Outcome | None:
        """Ask for all who wait. None: it has been answered; JOINED: there is a stream for it now; PRIVATE: it is to be
        asked once more, for this one alone."""
        lead = self.streams.leads[key] = Lead()
        asked = inquiry.after(b"")
        outcome: Outcome | None = None

        def divert(head: ResponseHead, lease: Lease) -> bool:
            nonlocal outcome
            if shareable(head):
                stream = self._open(asked, key, head, lease)
                if _resumes(inquiry):
                    outcome = Outcome.JOINED
                else:
                    self._join(stream, inquiry, account)
                lead.joined(stream)
                return True
            lead.settle(Outcome.PRIVATE)
            if inquiry.last_event_id:
                # It was asked without what only this client has seen.
                outcome = Outcome.PRIVATE
                lease.discard()
            return outcome is not None

        try:
            await self._exchanging.ask(asked, account, divert)
        except UpstreamError as error:
            lead.settle(error)
            raise
        finally:
            del self.streams.leads[key]
            lead.settle(Outcome.ABANDONED)
        return outcome

    async def _enter(self, stream: SharedStream, inquiry: Inquiry, account: A) -> bool:
        """Have it join, once it is known where it begins; False: the stream has ended meanwhile."""
        ring, resumptions = stream.hub.ring, stream.resumptions
        if ring is None or resumptions is None or not inquiry.last_event_id:
            self._join(stream, inquiry, account)
            return True
        stream.joined()
        try:
            beginning = await resumptions.beginning(ring, inquiry.last_event_id)
            if stream.closed:
                return False
            self._join(stream, inquiry, account, beginning)
        finally:
            stream.left()
        account.resumed(beginning.found)
        return True

    def _open(self, inquiry: Inquiry, key: Hashable, head: ResponseHead, lease: Lease) -> SharedStream:
        api = inquiry.route.api

        async def ask(receiver: Receiver, last_event_id: bytes) -> Lease:
            return await self._exchanging.resume(inquiry.after(last_event_id), receiver)

        stream = SharedStream(head, lease, ask, api.stream, api.timeouts, self._deadlines, self.streams.remove)
        self.streams.add(key, stream)
        return stream

    def _join(self, stream: SharedStream, inquiry: Inquiry, account: A, beginning: Beginning | None = None) -> None:
        request, route = inquiry.request, inquiry.route
        settings = route.api.stream

        def ended(member: Member) -> None:
            self._exchanging.ended(member)
            stream.left()

        member = Member(
            request.connection,
            stream.hub,
            route.api.timeouts,
            settings,
            self._deadlines,
            account,
            functools.partial(of_drain, settings.on_drain, request.head.method),
            ended,
        )
        member.open(
            response_head(
                200,
                stream.head.phrase,
                _fields(stream.head, beginning),
                bodiless=False,
                chunked=True,
                close=request.head.last or self._exchanging.closing,
                changes=route.response_changes.then(account.cors),
            ),
            beginning,
        )
        stream.joined()
        self._exchanging.begun(member, account)
        if stream.hub.lacks_ids:
            without_ids.observe(route.observations, self._deadlines.now())


def _resumes(inquiry: Inquiry) -> bool:
    """Whether it is to be known what the client missed."""
    return inquiry.route.api.stream.replay is not None and bool(inquiry.last_event_id)


def _fields(head: ResponseHead, beginning: Beginning | None) -> list[tuple[bytes, bytes]]:
    if beginning is None:
        return head.fields
    others = [field for field in head.fields if field[0].lower() != REPLAY.lower()]
    return [*others, (REPLAY, beginning.found.encode())]
