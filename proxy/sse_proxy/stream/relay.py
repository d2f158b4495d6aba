"""One response on its way from upstream to the client.

A relay receives from the upstream connection and writes to the client's, synchronously: no coroutine runs per chunk.
Everything that decides how an exchange ends lives here:

- Before upstream's head, a failure is the caller's to answer (or to try again): `failure` is set, nothing was sent.
- After it, a clean end of upstream is a clean end for the client. Every other end but that of a drained stream whose
  client is to come back (`Ending.reconnect`) first lets go of upstream, then flushes what waits for the client, and
  then breaks the client's connection: the last chunk, or bytes of the Content-Length, are missing; a body that ends
  with the connection is ended by a reset.
- Without its client, an answer ends too, unless it may finish (`onClientDisconnect`).
- While so many bytes wait for the client that upstream is held back, `timeouts.idle` stands still.

While there is nothing to decide, whole events take a shorter way, the `Passage`; a relay hears nothing of them.

What is ever added, where it was asked for, is an event about upstream's failure before such an end (`failure`), and the
heartbeat after a silence, where it can hurt nobody: in a 200 of unencoded text/event-stream in chunks, behind
upstream's first byte, at an event boundary, as a chunk of its own between two whole ones, while nothing else waits for
the client. It is no byte of upstream's: `timeouts.idle` takes no notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sse_proxy import errors
from sse_proxy.client_connection import ClientConnection
from sse_proxy.config import Stream, Timeouts
from sse_proxy.field_changes import FieldChanges
from sse_proxy.headers import Fields, is_encoded, is_event_stream, response_head
from sse_proxy.stream.boundary import EventBoundary
from sse_proxy.stream.close import CloseReason
from sse_proxy.stream.deadlines import TICK, Deadlines
from sse_proxy.stream.early import EARLY_FIELDS, Opening, Reframed, fits_early
from sse_proxy.stream.ending import Ending, of_drain, parting
from sse_proxy.stream.failure import FAILURE_CHUNKS
from sse_proxy.stream.framing import LAST_CHUNK, BodyDecoder, UntilClose
from sse_proxy.stream.heartbeat import HEARTBEAT_CHUNK
from sse_proxy.stream.observer import Observer
from sse_proxy.stream.pace import near
from sse_proxy.stream.passage import Passage
from sse_proxy.stream.stall import Stall
from sse_proxy.stream.unacknowledged import unacknowledged
from sse_proxy.upstream.pool import Lease
from sse_proxy.upstream.response import ResponseHead

_RESET_PATIENCE = 5.0
"""Seconds that a client has to acknowledge the last bytes before its connection is reset anyway."""


Divert = Callable[[ResponseHead, Lease], bool]
"""Judges a response head: with True, it has taken the response and its connection."""


class Relay:
    """Receives one exchange's response; see the module's head."""

    __slots__ = (
        "_alone_until",
        "_boundary",
        "_broken_by",
        "_changes",
        "_chunked",
        "_deadlines",
        "_decoder",
        "_diverted",
        "_ended",
        "_ending",
        "_heartbeat",
        "_held",
        "_keep_alive",
        "_last_sent",
        "_lease",
        "_may_add",
        "_method",
        "_near_idle",
        "_observer",
        "_one_zero",
        "_opened",
        "_opening",
        "_passage",
        "_quiet_since",
        "_redirected",
        "_released",
        "_reset_at",
        "_settings",
        "_stall",
        "_stream",
        "_tells_failure",
        "_timeouts",
        "_undecided",
        "_until_close",
        "_waiter",
        "_waiting_upstream_since",
        "client",
        "due_tick",
        "failure",
        "finished",
        "reason",
        "request_complete",
        "upload",
        "when_decided",
    )

    def __init__(
        self,
        client: ClientConnection,
        lease: Lease,
        timeouts: Timeouts,
        settings: Stream,
        deadlines: Deadlines,
        observer: Observer,
        ended: Callable[[Relay], None],
        *,
        method: bytes,
        keep_alive: bool,
        one_zero: bool,
        changes: FieldChanges,
        opening: Opening | None = None,
        redirected: Callable[[ResponseHead], bool] | None = None,
        diverted: Divert | None = None,
    ) -> None:
        """`ended` is called once, when nothing is left to do; `method` is the client's; `changes` are those of the
        response's header fields; `opening` is when the client is sent something before upstream answers; `redirected`
        judges a response head first: True, and the client gets nothing of this response; `diverted` does so next, and
        with True it has taken the connection as well."""
        self.client = client
        self._lease = lease
        self._timeouts = timeouts
        self._near_idle = near(timeouts.idle)
        self._passage = Passage(deadlines)
        self._deadlines = deadlines
        self._observer = observer
        self._ended = ended
        self._keep_alive = keep_alive and not one_zero
        self._one_zero = one_zero
        self._changes = changes
        self._method = method
        self._settings = settings
        self._heartbeat = settings.heartbeat
        self._tells_failure = settings.on_upstream_failure == "Event"
        self._quiet_since = 0.0
        """When there was, or might have been, the last heartbeat."""
        self._opening = opening
        self._redirected = redirected
        self._diverted = diverted
        self._opened: float | None = None
        self._held = False
        self._alone_until: float | None = None
        """Until when the rest is read without a client; None: it has one."""
        self._chunked = self._until_close = False
        self._last_sent = False
        """Whether the client has the last chunk."""
        self._decoder: BodyDecoder | None = None
        self._boundary: EventBoundary | None = None
        self._broken_by: BaseException | None = None
        self._stall = Stall(timeouts.write)
        self._waiting_upstream_since: float | None = None
        self._stream = self._may_add = False
        self._ending: Ending | None = None
        self._released = False
        self._reset_at: float | None = None
        self.due_tick: int | None = None
        self.reason: CloseReason | None = None
        self.failure: errors.UpstreamError | None = None
        """Why there is no response to relay. Nothing was sent to the client then."""
        self.request_complete = False
        self.upload: asyncio.Task[None] | None = None
        """Sends the rest of the request."""
        self._undecided = True
        """Whether it is not known yet if there is a response to relay."""
        self._waiter: asyncio.Future[None] | None = None
        """Done when it is known."""
        self.when_decided: Callable[[], None] | None = None
        """Called then. After `finished` there is none."""
        self.finished = False
        """Whether nothing is left to do for this exchange."""

    @property
    def bytes_sent(self) -> int:
        """Bytes of the body, without framing."""
        return self._passage.bytes_sent

    @property
    def keep_alive(self) -> bool:
        """Whether the client's connection can take another request, once finished."""
        return self.reason is CloseReason.UPSTREAM_END and self._keep_alive

    # The request's progress: the clock of `timeouts.response` runs while upstream is what is waited for.

    def waiting_for_upstream(self) -> None:
        """From now on upstream has to take more of the request, or to answer it."""
        self._waiting_upstream_since = now = self._deadlines.now()
        if self._opened is not None:
            return
        if self._opening is not None and self.request_complete:
            self._opening.wait(now)
            self._deadlines.watch(self, self._look_waiting_for_head(now))
        elif (timeout := self._timeouts.response) is not None:
            # No later than the look that a response needs, which need not be moved then.
            self._deadlines.watch(self, now + min(timeout, self._timeouts.write or timeout))

    def waiting_for_client(self) -> None:
        """From now on the client has to send more of the request."""
        self._waiting_upstream_since = None

    def upload_with(self, upload: asyncio.Task[None]) -> None:
        """A task sends the request's body; it ends with the exchange. Where the client's body breaks, there is no
        answer to wait for; where an answer is under way already, the client's connection is not used again."""
        self.upload = upload
        upload.add_done_callback(self._upload_ended)

    def _upload_ended(self, upload: asyncio.Task[None]) -> None:
        self.upload = None
        if not upload.cancelled() and (error := upload.exception()) is not None and self._opened is None:
            self._broken_by = error
            self._release(reuse=False)
            self._finish()

    async def answer(self) -> None:
        """Until upstream's head is on its way to the client, or it is known that there is none.

        Raises what the request's body broke with. `failure` may be set afterwards."""
        if self._undecided:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._broken_by is not None:
            raise self._broken_by

    # From upstream.

    def head_received(self, head: ResponseHead) -> None:
        if self._redirected is not None and self._redirected(head):
            self._release(reuse=False)
            self._finish()
            return
        if self._diverted is not None and self._diverted(head, self._lease):
            self._released = True
            self._finish()
            return
        early = self._opening is not None and self._opening.begun
        if early and not self._goes_on_early(head):
            return
        now = self._deadlines.now()
        self._opened = self._passage.last = now
        decoder = self._decoder = UntilClose() if early else head.decoder
        bodiless = decoder is None
        unknown_length = decoder is not None and decoder.length is None
        self._chunked = unknown_length and not self._one_zero
        self._until_close = unknown_length and self._one_zero
        stream = self._stream = not bodiless and is_event_stream(self._content_type(head))
        if stream and not is_encoded(head.get(b"content-encoding")):
            self._boundary = EventBoundary()
        self._may_add = self._boundary is not None and self._chunked and head.status == 200
        if not self._may_add:
            self._heartbeat = None
            self._tells_failure = False
        if not early:
            self._send_head(head.status, head.phrase, head.fields, bodiless=bodiless)
        self._lease.connection.passage = self._passage
        self._observer.head_sent(head.status, stream=stream)
        self._deadlines.watch_by(self, self._next_look(now))
        self._decide()

    def _send_head(self, status: int, phrase: bytes, fields: Fields, *, bodiless: bool = False) -> None:
        self.client.head_sent = True
        self.client.send(
            response_head(
                status,
                phrase,
                fields,
                bodiless=bodiless,
                chunked=self._chunked,
                close=not self._keep_alive,
                changes=self._changes,
            )
        )

    def _speak_first(self, opening: Opening, now: float) -> None:
        """Send the client something before upstream answers."""
        if not opening.begun:
            self._chunked = True
            self._send_head(200, b"OK", EARLY_FIELDS)
            self._observer.opened_early()
        elif self.client.unsent:
            opening.spoken(now)
            return
        self.client.send(HEARTBEAT_CHUNK)
        self._observer.heartbeat()
        opening.spoken(now)

    def _goes_on_early(self, head: ResponseHead) -> bool:
        """Whether a response goes with the head that the client has; it is the failure that there is otherwise."""
        if fits_early(head):
            self._lease.connection.hand_over(Reframed(self))
            return True
        self._observer.head_sent(head.status, stream=False)
        self._fail(errors.NoEventStreamError(head.status))
        return False

    def _content_type(self, head: ResponseHead) -> bytes | None:
        """The Content-Type that the client is told."""
        if b"content-type" in self._changes.dropped:
            return self._changes.get(b"content-type")
        return head.get(b"content-type")

    def _open_passage(self) -> None:
        """Let what comes next take the short way, if it may."""
        boundary, decoder = self._boundary, self._decoder
        if (
            boundary is not None
            and boundary.after_event
            and decoder is not None
            and decoder.at_chunk
            and self._chunked
            and self._ending is None
            and not self.client.unsent
        ):
            self._passage.open(self.client)

    def body_received(self, body: bytes, framed: bytes) -> None:
        if self.reason is not None:
            return
        now = self._deadlines.now()
        passage = self._passage
        if now - passage.last >= self._near_idle:
            self._observer.paused(now - passage.last)
        passage.last = now
        if not passage.bytes_sent and body:
            self._observer.first_byte()
        if self._stall.since is None and self.client.unsent:
            self._note_waiting(now)
        if self._boundary is not None:
            ending = self._ending if self._ending is not None and now >= self._ending.start else None
            if ending is not None and not self._parts(ending):
                end = self._boundary.last_in(body)
                if end >= 0:
                    self._end_within(body[:end], ending.reason)
                    return
            self._boundary.feed(body)
        else:
            ending = None
        self._passage.bytes_sent += len(body)
        if self._chunked and self._decoder is not None and self._decoder.ended:
            # Its end comes next: one packet and one system call for both.
            self._last_sent = True
            self.client.send(framed + LAST_CHUNK)
            return
        self.client.send(framed if self._chunked else body)
        if ending is not None and self._may_part():
            self._end_by(ending)
        else:
            self._open_passage()

    def _end_within(self, body: bytes, reason: CloseReason) -> None:
        """End at the event boundary behind `body`, the beginning of what has just been received."""
        self._passage.bytes_sent += len(body)
        if self._chunked and self._decoder is not None:
            self.client.send(self._decoder.framed_part(body))
        else:
            self.client.send(body)
        self.end(reason)

    def response_ended(self, failure: str | None) -> None:
        if self._opened is None:
            if failure is not None and failure.startswith("garbage"):
                self._fail(errors.UpstreamGarbageError(failure))
            else:
                self._fail(errors.UpstreamClosedError(failure or "no response"))
        elif failure is not None:
            self.end(CloseReason.UPSTREAM_ERROR)
        elif self.reason is None:
            self.reason = CloseReason.UPSTREAM_END
            if not self.request_complete:
                # What is left of the request has nowhere to go.
                self._keep_alive = False
                self._release(reuse=False)
            else:
                self._release(reuse=True)
            if self._chunked and not self._last_sent:
                self.client.send(LAST_CHUNK)
            self._conclude()

    # From the client's connection.

    def client_full(self) -> None:
        self._held = True
        self._lease.connection.hold()
        self._note_waiting(self._deadlines.now())

    def client_takes(self) -> None:
        self._held = False
        self._passage.last = self._deadlines.now()
        if not self._released:
            self._lease.connection.take()

    def client_lost(self) -> None:
        if self.reason is None and self._finishes():
            self._go_on_without_client()
        else:
            self.abandoned()

    def abandoned(self) -> None:
        """Nobody needs the response any more."""
        if self.reason is None:
            self.reason = CloseReason.CLIENT
        self._release(reuse=False)
        self._finish()

    def _finishes(self) -> bool:
        """Whether the answer is read to its end without a client."""
        policy = self._settings.on_client_disconnect.policy
        return policy == "Finish" and self._method == b"POST" and self.request_complete and not self.finished

    def _go_on_without_client(self) -> None:
        """What is written to the connection that is gone is dropped there."""
        self._alone_until = self._deadlines.now() + self._settings.on_client_disconnect.max_duration
        self._passage.close()
        self._heartbeat = self._redirected = None
        if self._opening is not None:
            self._opening.at = None
        self.client.release_handler()
        self._observer.client_left()
        if self._held:
            self.client_takes()
        self._deadlines.watch(self, self._deadlines.now())

    # Ends that are the gateway's.

    def drain(self, start: float, by: float) -> None:
        """End as the API's onDrain says: its turn comes at the time `start`, and at the time `by` nothing is left."""
        self.end_by(of_drain(self._settings.on_drain, self._method, start, by))

    def end_by(self, ending: Ending) -> None:
        """End it so. What has to end earlier already, does."""
        if self._ending is not None and self._ending.by <= ending.by:
            return
        self._keep_alive = False
        if ending.streams_only and self._opened is not None and not self._stream:
            return
        self._ending = ending
        self._passage.close()
        if self._opened is not None or self._alone_until is not None or self._opening is not None:
            # The next look finds when to end.
            self._deadlines.watch(self, self._deadlines.now())

    def end(self, reason: CloseReason) -> None:
        """Break the response off, for a reason that is not a clean end."""
        if self.reason is not None:
            return
        if self._tells_failure and self._may_part() and (told := FAILURE_CHUNKS.get(reason)) is not None:
            self.client.send(told)
        self.reason = reason
        self._keep_alive = False
        self._release(reuse=False)
        self._conclude()

    def end_if_begun(self, reason: CloseReason) -> None:
        """Break the response off if its head is sent; else nothing happens."""
        if self._opened is not None:
            self.end(reason)

    def look(self, now: float) -> float | None:
        """Part of `Timed`: what is overdue."""
        if self.finished:
            return None
        if self.reason is not None:
            return self._look_concluding(now)
        timeouts = self._timeouts
        if self._opened is None:
            return self._look_waiting_for_head(now)
        if now >= self._passage.last + self._near_idle:
            # What comes now is told as coming late, on the long way.
            self._passage.close()
        if timeouts.stream is not None and now >= self._opened + timeouts.stream:
            self.end(CloseReason.STREAM_TIMEOUT)
        elif timeouts.idle is not None and not self._held and now >= self._passage.last + timeouts.idle:
            self.end(CloseReason.IDLE_TIMEOUT)
        elif self._client_stalled(now):
            self.end(CloseReason.WRITE_TIMEOUT)
        elif self._alone_until is not None and now >= self._alone_until:
            self.end(CloseReason.FINISH_TIMEOUT)
        elif (ending := self._due_ending(now)) is not None:
            self._end_by(ending)
        else:
            if self._heartbeat is not None and now >= self._quiet_from() + self._heartbeat:
                self._quiet_since = now
                if self._may_beat():
                    self.client.send(HEARTBEAT_CHUNK)
                    self._observer.heartbeat()
                    if self.client.unsent:
                        self._passage.close()
            return self._next_look(now)
        return None

    def _quiet_from(self) -> float:
        return max(self._passage.last, self._quiet_since)

    def _may_beat(self) -> bool:
        return (
            self.bytes_sent > 0
            and not self.client.unsent
            and self._boundary is not None
            and self._boundary.open
            and self._may_part()
        )

    def _due_ending(self, now: float) -> Ending | None:
        ending = self._ending
        if ending is None or (ending.streams_only and not self._stream):
            return None
        if now >= ending.by:
            return ending
        here = self._may_part() if self._parts(ending) else self._boundary is not None and self._boundary.here
        return ending if here and now >= ending.start else None

    def _parts(self, ending: Ending) -> bool:
        """Whether the stream is to end cleanly."""
        return ending.reconnect and self._may_add

    def _may_part(self) -> bool:
        """Whether it can do so here."""
        return (
            self._boundary is not None
            and self._boundary.here
            and self._decoder is not None
            and self._decoder.between_chunks
        )

    def _end_by(self, ending: Ending) -> None:
        if self._parts(ending) and self._may_part():
            self.client.send(parting())
        self.end(ending.reason)

    def _look_waiting_for_head(self, now: float) -> float | None:
        since, timeout = self._waiting_upstream_since, self._timeouts.response
        times = [] if since is None or timeout is None else [since + timeout]
        if self._alone_until is not None:
            times.append(self._alone_until if self._ending is None else min(self._alone_until, self._ending.by))
        at = min(times, default=None)
        if at is None or now < at:
            return at if self._opening is None else self._look_before_response(self._opening, now, at)
        self._fail(errors.UpstreamResponseTimeoutError("no response head in time"))
        return None

    def _look_before_response(self, opening: Opening, now: float, at: float | None) -> float | None:
        """The time to look again, which is `at` for other reasons."""
        ending = self._ending if opening.begun and self._alone_until is None else None
        if ending is not None and now >= ending.start:
            self._end_by(ending)
            return None
        if opening.at is not None and now >= opening.at:
            self._speak_first(opening, now)
        times = (at, opening.at, ending.start if ending is not None else None)
        return min((time for time in times if time is not None), default=None)

    def _next_look(self, now: float) -> float | None:
        timeouts = self._timeouts
        times = []
        if timeouts.idle is not None and not self._held:
            near = self._passage.last + self._near_idle
            times.append(near if now < near else self._passage.last + timeouts.idle)
        if timeouts.stream is not None and self._opened is not None:
            times.append(self._opened + timeouts.stream)
        if (at := self._stall.next_look(now)) is not None:
            times.append(at)
        if self._alone_until is not None:
            times.append(self._alone_until)
        if self._heartbeat is not None:
            times.append(self._quiet_from() + self._heartbeat)
        if (ending := self._ending) is not None and (self._stream or not ending.streams_only):
            times.append(ending.start if self._boundary is not None and now < ending.start else ending.by)
        return min(times, default=None)

    # A client that takes nothing.

    def _note_waiting(self, now: float) -> None:
        at = self._stall.begin(now, self._bytes_taken())
        if at is not None:
            self._deadlines.watch(self, at)

    def _bytes_taken(self) -> int:
        return self.bytes_sent - self.client.unsent

    def _client_stalled(self, now: float) -> bool:
        return self._stall.is_over(now, self._bytes_taken(), self.client.unsent)

    # The end of the exchange: flush, then close as it must be.

    def _conclude(self) -> None:
        if self.client.unsent:
            # uvloop sends what was written in this turn of the loop at its end.
            asyncio.get_running_loop().call_soon(self._conclude_flushed)
        else:
            self._conclude_flushed()

    def _conclude_flushed(self) -> None:
        if not self.finished and (again := self._look_concluding(self._deadlines.now())) is not None:
            self._deadlines.watch(self, again)

    def _look_concluding(self, now: float) -> float | None:
        if self.client.unsent:
            if self._client_stalled(now) or self.reason is CloseReason.WRITE_TIMEOUT:
                self.reason = CloseReason.WRITE_TIMEOUT
                self._keep_alive = False
                self.client.reset()
                self._finish()
                return None
            return now + TICK
        if self.reason is not CloseReason.UPSTREAM_END:
            if self._until_close:
                if self._reset_at is None:
                    self._reset_at = now + _RESET_PATIENCE
                if now < self._reset_at and unacknowledged(self.client.socket):
                    return now + TICK
                self.client.reset()
            else:
                self.client.shut()
        self._finish()
        return None

    def _fail(self, failure: errors.UpstreamError) -> None:
        if self.reason is None and self.failure is None:
            self.failure = failure
            self._release(reuse=False)
            self._finish()

    def _release(self, *, reuse: bool) -> None:
        if not self._released:
            self._released = True
            if reuse:
                self._lease.give_back()
            else:
                self._lease.discard()

    def _decide(self) -> None:
        if not self._undecided:
            return
        self._undecided = False
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        when_decided, self.when_decided = self.when_decided, None
        if when_decided is not None:
            when_decided()

    def _finish(self) -> None:
        self._deadlines.forget(self)
        if self.finished:
            return
        self.finished = True
        if self.upload is not None:
            self.upload.cancel()
        self._decide()
        self._ended(self)
