"""What `make run` does: a demo source, the gateway in front of it, and a client that shows what arrives through both.

All of it is one process, which follows examples/quickstart.yaml as `sse-gateway run` does. Ctrl-C ends it.
"""

import asyncio
import signal
import sys
from itertools import count
from pathlib import Path

import aiohttp

from sse_operator.local.addresses import Address, listen_problem
from sse_operator.local.demo_source import DemoSource
from sse_operator.local.gateway import LocalGateway
from sse_operator.local.workspace import Reading
from sse_proxy.errors import ListenError

MANIFEST = Path(__file__).resolve().parent.parent / "examples" / "quickstart.yaml"
SOURCE = Address("127.0.0.1", 8081)
GATEWAY = Address("127.0.0.1", 8080)
CHANNEL = "ssechannel"
URL = f"http://{GATEWAY}/sseconsumer"
BASIC_AUTH = {"Authorization": aiohttp.encode_basic_auth("demo", "demo")}

WELCOME = f"""\
client ──▶ gateway {URL} ──▶ demo source {DemoSource(SOURCE).url(CHANNEL)}

Try it from another terminal:

  curl -N -u demo:demo {URL}
  curl -u demo:demo -d 'hello' http://{SOURCE}/channels/{CHANNEL}/messages

Edit examples/quickstart.yaml to see it change. Events through the gateway, one a second; Ctrl-C ends it:
"""


class Report:
    """Tells of changes of the manifest; the first reading is what the welcome tells of."""

    def __init__(self) -> None:
        self._revision: int | None = None

    def __call__(self, reading: Reading, listen: Address) -> None:
        for fault in reading.faults:
            print(fault, flush=True)
        if self._revision not in (None, reading.config.revision):
            print(
                f"\nexamples/quickstart.yaml reloaded: {listen} serves revision {reading.config.revision}\n", flush=True
            )
        self._revision = reading.config.revision


async def publish(source: DemoSource) -> None:
    await source.subscribed(CHANNEL)
    for number in count(1):
        source.publish(CHANNEL, f"message {number}", name="tick")
        await asyncio.sleep(1)


async def show_events() -> None:
    last_id = ""
    # A stream has no end of its own: no timeout for the whole of it.
    async with aiohttp.ClientSession(headers=BASIC_AUTH, timeout=aiohttp.ClientTimeout(total=None)) as client:
        while True:
            try:
                async with client.get(URL, headers={"Last-Event-ID": last_id} if last_id else {}) as response:
                    response.raise_for_status()
                    async for line in response.content:
                        print(line.decode(), end="", flush=True)
                        if line.startswith(b"id: "):
                            last_id = line[4:].strip().decode()
            except aiohttp.ClientError as error:
                print(f"(the stream ended: {error}; connecting again)", flush=True)
            await asyncio.sleep(1)


async def quickstart() -> int:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    gateway = LocalGateway([str(MANIFEST)], listen=GATEWAY, report=Report(), access_log=None)
    source = DemoSource(SOURCE)
    try:
        await source.start()
    except OSError as error:
        print(f"make run: {listen_problem(SOURCE, error)}", file=sys.stderr)
        return 1
    try:
        try:
            await gateway.start()
        except ListenError as error:
            print(f"make run: {error}", file=sys.stderr)
            return 1
        print(WELCOME, flush=True)
        # A failure of one of the three ends the others, and is told.
        async with asyncio.TaskGroup() as tasks:
            others = [tasks.create_task(publish(source)), tasks.create_task(show_events())]
            await gateway.follow(stopping)
            for task in others:
                task.cancel()
        await gateway.stop()
    finally:
        await source.stop()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(quickstart()))
