"""`sse-gateway demo-source`: a small SSE origin in the manner of Ably, to try the gateway against and to test it with.

    GET  /sse?channel=C&v=1.1       events of channel C from now on; with Last-Event-ID, from there on
    POST /channels/C/messages       publishes {"name": …, "data": …}, or the body as text

Both ask for Basic credentials. Every channel numbers its messages from 1 and keeps the last `KEPT_MESSAGES`. That ring
is the only buffer: a subscriber reads along it, and one who falls behind its end is cut off.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hmac
import json
import signal
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiohttp import web

from sse_operator.api.fields import seconds_of
from sse_operator.local.addresses import ANY_PORT, Address, address_of, listen_problem

KEPT_MESSAGES = 1000
"""Per channel, for subscribers that come back."""
BATCH = 32
"""Messages in one write."""
MAX_CHANNELS = 1000
MAX_MESSAGE_BYTES = 64 * 1024

_KEEP_ALIVE = b":keepalive\n\n"


@dataclass(frozen=True, slots=True)
class Message:
    """One published message as it goes over the wire."""

    number: int
    event: bytes


@dataclass(slots=True)
class Channel:
    """The last messages of one channel."""

    name: str
    newest: int = 0
    ring: deque[Message] = field(default_factory=lambda: deque(maxlen=KEPT_MESSAGES))
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, and replaced, when something happens that subscribers wait for."""
    subscribers: int = 0

    def wake(self) -> None:
        """Lets everybody who waits look again."""
        self.news.set()
        self.news = asyncio.Event()

    def after(self, number: int) -> list[Message]:
        """The next kept messages after `number`, oldest first, at most `BATCH`."""
        begin = len(self.ring) - min(self.newest - number, len(self.ring))
        return [self.ring[index] for index in range(begin, min(begin + BATCH, len(self.ring)))]


class DemoSource:
    """The origin as an object: `async with DemoSource() as source`, then `source.url("channel")`."""

    def __init__(
        self,
        listen: Address = ANY_PORT,
        *,
        keep_alive: float | None = 60.0,
        user: str = "demo:demo",
    ) -> None:
        """`keep_alive` is in seconds; None means no keep-alive comments. Port 0 lets the system choose."""
        self.address = listen
        self._keep_alive = keep_alive
        self._authorization = f"Basic {base64.b64encode(user.encode()).decode()}"
        self._channels: dict[str, Channel] = {}
        self._closing = False
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listens; `address` then has the real port. OSError where it cannot."""
        application = web.Application(client_max_size=MAX_MESSAGE_BYTES)
        application.router.add_get("/sse", self._subscribe, allow_head=False)
        application.router.add_post("/channels/{channel}/messages", self._publish)
        # With cancellation a client that goes ends its handler at once, and `subscribers` is true.
        self._runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            site = web.TCPSite(self._runner, self.address.host, self.address.port)
            await site.start()
        except OSError:
            await self._runner.cleanup()
            raise
        host, port = self._runner.addresses[0][:2]
        self.address = Address(host, port)

    async def stop(self) -> None:
        """Ends every stream and stops listening."""
        self._closing = True
        self._wake_all()
        if self._runner is not None:
            await self._runner.cleanup()

    def url(self, channel: str) -> str:
        """Where to subscribe to a channel."""
        return f"http://{self.address}/sse?channel={channel}&v=1.1"

    def subscribers(self, channel: str) -> int:
        """How many streams of the channel are open."""
        return self._channels[channel].subscribers if channel in self._channels else 0

    async def subscribed(self, channel: str, streams: int = 1) -> None:
        """Returns when the channel has this many open streams."""
        followed = self._channel(channel)
        while followed.subscribers != streams:
            await followed.news.wait()

    def set_keep_alive(self, seconds: float | None) -> None:
        """Another interval between keep-alive comments from now on; None stops them."""
        self._keep_alive = seconds
        self._wake_all()

    def publish(self, channel: str, data: object, name: str | None = None) -> int:
        """Sends a message to the channel's subscribers; returns its number, which is the event's id."""
        return self._append(self._channel(channel), data, name)

    def _append(self, channel: Channel, data: object, name: str | None) -> int:
        channel.newest += 1
        number = channel.newest
        message: dict[str, object] = {"id": str(number), "timestamp": int(time.time() * 1000), "channel": channel.name}
        if name is not None:
            message["name"] = name
        message["data"] = data
        event = f"id: {number}\nevent: message\ndata: {json.dumps(message, ensure_ascii=False)}\n\n"
        channel.ring.append(Message(number, event.encode(errors="replace")))
        channel.wake()
        return number

    def _channel(self, name: str) -> Channel:
        if name not in self._channels and len(self._channels) >= MAX_CHANNELS:
            raise web.HTTPServiceUnavailable(text=f"more than {MAX_CHANNELS} channels\n")
        return self._channels.setdefault(name, Channel(name))

    def _wake_all(self) -> None:
        for channel in self._channels.values():
            channel.wake()

    def _authorize(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), self._authorization.encode()):
            raise web.HTTPUnauthorized(
                headers={"WWW-Authenticate": 'Basic realm="demo-source"'}, text="the demo source wants Basic auth\n"
            )

    async def _publish(self, request: web.Request) -> web.Response:
        self._authorize(request)
        data, name = _message_of(await request.read(), is_json=request.content_type == "application/json")
        channel = self._channel(request.match_info["channel"])
        number = self._append(channel, data, name)
        return web.json_response({"channel": channel.name, "messageId": str(number)}, status=201)

    async def _subscribe(self, request: web.Request) -> web.StreamResponse:
        self._authorize(request)
        name = request.query.get("channel")
        if not name:
            raise web.HTTPBadRequest(text="say which channel: /sse?channel=NAME&v=1.1\n")
        channel = self._channel(name)
        last_id = request.headers.get("Last-Event-ID") or request.query.get("lastEventId")
        seen = channel.newest if last_id is None else _resumed_from(last_id, channel)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        channel.subscribers += 1
        channel.wake()
        try:
            with contextlib.suppress(ConnectionResetError):  # the client has gone
                await response.prepare(request)
                await self._stream(channel, seen, response)
        finally:
            channel.subscribers -= 1
            channel.wake()
        return response

    async def _stream(self, channel: Channel, seen: int, response: web.StreamResponse) -> None:
        last_keep_alive = time.monotonic()
        while not self._closing:
            news = channel.news
            if channel.newest - seen > len(channel.ring):
                return  # too slow: what it needs next is no longer kept
            messages = channel.after(seen)
            if messages:
                await response.write(b"".join(message.event for message in messages))
                seen = messages[-1].number
            now = time.monotonic()
            wait = None if self._keep_alive is None else last_keep_alive + self._keep_alive - now
            if wait is not None and wait <= 0:
                await response.write(_KEEP_ALIVE)
                last_keep_alive = now
            elif channel.newest == seen:
                await _wait_for(news, wait)


async def _wait_for(event: asyncio.Event, seconds: float | None) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _resumed_from(last_id: str, channel: Channel) -> int:
    """The number after which to go on. An id that is not one of the kept gives all that is kept."""
    oldest = channel.newest - len(channel.ring)
    number = int(last_id) if last_id.isascii() and last_id.isdecimal() and len(last_id) < 20 else -1
    return number if oldest <= number <= channel.newest else oldest


def _message_of(body: bytes, *, is_json: bool) -> tuple[object, str | None]:
    """Data and name. A JSON object with `data` is a message whatever its Content-Type, as curl's default is another."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        if is_json:
            raise web.HTTPBadRequest(text="the body is not JSON\n") from None
        document = None
    if isinstance(document, dict) and "data" in document:
        name = document.get("name")
        return document["data"], name if isinstance(name, str) else None
    if is_json:
        raise web.HTTPBadRequest(text='the body must be {"data": …} or {"name": …, "data": …}\n')
    return body.decode(errors="replace"), None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `sse-gateway demo-source`."""
    parser.add_argument(
        "--listen", type=address_of, default="127.0.0.1:8081", metavar="ADDR", help="host:port (%(default)s)"
    )
    parser.add_argument(
        "--keep-alive",
        type=_seconds,
        default="60s",
        metavar="DURATION",
        help="between two keep-alive comments; 0s sends none (%(default)s)",
    )
    parser.add_argument(
        "--user", type=_user, default="demo:demo", metavar="USER:PASSWORD", help="who may connect (%(default)s)"
    )


def _seconds(text: str) -> float:
    try:
        return seconds_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _user(text: str) -> str:
    if ":" not in text:
        raise argparse.ArgumentTypeError("must be USER:PASSWORD")
    return text


def main(arguments: argparse.Namespace) -> int:
    """Serves until SIGINT or SIGTERM; 1 where it cannot listen."""
    source = DemoSource(arguments.listen, keep_alive=arguments.keep_alive or None, user=arguments.user)
    return asyncio.run(_serve(source, arguments.user))


async def _serve(source: DemoSource, user: str) -> int:
    asked = source.address
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    try:
        await source.start()
    except OSError as error:
        print(f"sse-gateway demo-source: {listen_problem(asked, error)}", file=sys.stderr)
        return 1
    print(f"demo source on http://{source.address}; Ctrl-C ends it", flush=True)
    print(f"  subscribe: curl -N -u {user} '{source.url('demo')}'", flush=True)
    print(f"  publish:   curl -u {user} -d 'hello' http://{source.address}/channels/demo/messages", flush=True)
    await stopping.wait()
    await source.stop()
    return 0
