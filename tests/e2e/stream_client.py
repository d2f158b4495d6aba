"""Clients in the manner of EventSource, as a pod of the cluster: they read, notice what is missing, and come back.

    stream_client.py URL --streams N [--publish URL --rate EVENTS_PER_SECOND]

Each stream resumes with Last-Event-ID after any end, some moments later. The origin numbers its events, so that a
client sees whether one was lost or came twice. Standard output has one JSON object a line: a `summary` each half
second, a `back` for each stream that was broken and reads again, a `refused` for each answer that was no stream.
"""

import argparse
import asyncio
import json
import random
import time
from collections import Counter

import aiohttp

CREDENTIALS = aiohttp.BasicAuth("demo", "demo")
PAUSE = (0.1, 1.0)  # seconds until a client comes back, at random
SUMMARY = 0.5  # seconds


def tell(kind: str, **what: object) -> None:
    print(json.dumps({"kind": kind, "at": round(time.time(), 3), **what}), flush=True)


class Clients:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url
        self.open = 0
        self.count: Counter[str] = Counter()

    async def follow(self, number: int) -> None:
        """One client, for ever."""
        last: int | None = None
        broke = 0.0
        while True:
            headers = {} if last is None else {"Last-Event-ID": str(last)}
            try:
                async with self.session.get(self.url, headers=headers) as response:
                    if response.status != 200:
                        self.count["refused"] += 1
                        tell("refused", stream=number, status=response.status)
                    else:
                        self.open += 1
                        if broke:
                            tell("back", stream=number, after=round(time.time() - broke, 3), broke=round(broke, 3))
                        broke = 0.0
                        try:
                            async for line in response.content:
                                if line.startswith(b"id:"):
                                    last = self.check(int(line[3:]), last)
                        finally:
                            self.open -= 1
                            self.count["ended"] += 1
            except (aiohttp.ClientError, TimeoutError, OSError):
                self.count["errors"] += 1
            broke = broke or time.time()
            await asyncio.sleep(random.uniform(*PAUSE))

    def check(self, number: int, last: int | None) -> int:
        """Count the event; the last one that the client has."""
        self.count["events"] += 1
        if last is not None and number > last + 1:
            self.count["lost"] += number - last - 1
        elif last is not None and number <= last:
            self.count["repeated"] += 1
        return number


async def publish(session: aiohttp.ClientSession, url: str, rate: float) -> None:
    """Events at an even pace; an origin that is away for a moment is tried again."""
    while True:
        try:
            async with session.post(url, data=b"tick") as response:
                await response.read()
        except (aiohttp.ClientError, OSError):
            tell("not published")
        await asyncio.sleep(1 / rate)


async def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("url")
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--publish")
    parser.add_argument("--rate", type=float, default=2.0)
    arguments = parser.parse_args()
    # A dead proxy must be noticed although nothing closes the connection: as EventSource, by silence.
    timeout = aiohttp.ClientTimeout(total=None, connect=5, sock_read=15)
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with (
        aiohttp.ClientSession(auth=CREDENTIALS, timeout=timeout, connector=connector) as session,
        asyncio.TaskGroup() as group,
    ):
        clients = Clients(session, arguments.url)
        if arguments.publish:
            group.create_task(publish(session, arguments.publish, arguments.rate))
        for number in range(arguments.streams):
            group.create_task(clients.follow(number))
        while True:
            tell("summary", open=clients.open, **{name: clients.count[name] for name in COUNTED})
            await asyncio.sleep(SUMMARY)


COUNTED = ("events", "lost", "repeated", "ended", "errors", "refused")

if __name__ == "__main__":
    asyncio.run(main())
