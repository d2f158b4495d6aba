"""HTTP/2 to clients, with the proxies and the files of docs/http2.md in front of the gateway."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from ports import free_port
from proxy.harness import PATIENCE, Call, Gateway, Origin, api, eventually
from proxy.test_forwarded import load

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "http2"
STREAMS = 20


def _nginx() -> str | None:
    return shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")


def _envoy() -> str | None:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    cached = cache / "sse-gateway" / "bench-peers" / "bin" / "envoy"
    return shutil.which("envoy") or (str(cached) if cached.exists() else None)


def _http2_curl() -> str | None:
    curl = shutil.which("curl")
    if curl is None:
        return None
    version = subprocess.run([curl, "--version"], capture_output=True, text=True, check=False).stdout
    return curl if "HTTP2" in version else None


CURL = _http2_curl()


@dataclass(frozen=True)
class Front:
    """A proxy that speaks HTTP/2, and how to run it."""

    name: str
    file: str
    program: Callable[[], str | None]
    arguments: Callable[[Path], list[str]]
    remedy: str
    connection_header: tuple[str, str]
    """What to put into its file so that X-Connection tells which connection of a client's a request came on."""


FRONTS = (
    Front(
        "nginx",
        "nginx.conf",
        _nginx,
        lambda folder: ["-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", f"daemon off; pid {folder}/pid;"],
        "apt-get install nginx-light",
        (
            'proxy_set_header Connection "";',
            'proxy_set_header Connection ""; proxy_set_header X-Connection $connection;',
        ),
    ),
    Front(
        "envoy",
        "envoy.yaml",
        _envoy,
        lambda folder: ["-c", str(folder / "envoy.yaml"), "--disable-hot-restart", "-l", "error", "--concurrency", "1"],
        "bench/install-peers",
        (
            'domains: ["*"]',
            'domains: ["*"]\n                      request_headers_to_add: '
            '[{header: {key: X-Connection, value: "%CONNECTION_ID%"}}]',
        ),
    ),
)


@dataclass
class Running:
    url: str
    ca: Path
    port: int


@pytest.fixture(params=FRONTS, ids=lambda front: front.name)
async def front(request: pytest.FixtureRequest, gateway: Gateway, tmp_path: Path) -> AsyncIterator[Running]:
    front: Front = request.param
    program = front.program()
    if program is None:
        pytest.skip(f"no {front.name}: {front.remedy}")
    if CURL is None:
        pytest.skip("no curl that speaks HTTP/2: apt-get install curl")
    authority, port = trustme.CA(), free_port()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    text = (EXAMPLES / front.file).read_text()
    for old, new in (
        ("8443", str(port)),
        ("8080", str(gateway.proxy.listen_address[1])),
        ("server.pem", str(tmp_path / "server.pem")),
        ("worker_processes auto", "worker_processes 1"),
        (
            "access_log off;",
            "access_log off; "
            + "".join(
                f"{kind}_temp_path {tmp_path}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            ),
        ),
        front.connection_header,
    ):
        text = text.replace(old, new)
    (tmp_path / front.file).write_text(text)
    process = await asyncio.create_subprocess_exec(program, *front.arguments(tmp_path), cwd=tmp_path)
    try:
        running = Running(f"https://localhost:{port}/sse", tmp_path / "ca.pem", port)

        async def listens() -> bool:
            assert process.returncode is None, f"{front.name} ended"
            try:
                context = ssl.create_default_context(cafile=str(running.ca))
                _, writer = await asyncio.open_connection("localhost", port, ssl=context)
            except OSError:
                return False
            writer.close()
            return True

        await eventually(listens)
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def curl(running: Running, *arguments: str) -> asyncio.subprocess.Process:
    assert CURL is not None
    return await asyncio.create_subprocess_exec(
        CURL,
        "--silent",
        "--no-buffer",
        "--http2",
        "--cacert",
        str(running.ca),
        "--resolve",
        f"localhost:{running.port}:127.0.0.1",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
    )


async def test_events_come_as_they_are_published(front: Running, gateway: Gateway, origin: Origin) -> None:
    published: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer(call: Call) -> None:
        await call.stream_head()
        while event := await published.get():
            await call.event(event)
        await call.send(b"0\r\n\r\n")

    origin.answer = answer
    load(gateway, api(origin.url()), trusted=("127.0.0.1/32",))
    client = await curl(front, front.url, "--write-out", "HTTP/%{http_version}")
    assert client.stdout is not None
    call = await origin.call()
    assert call.get("X-Forwarded-Proto") == "https"
    for number in range(5):
        event = b"data: %d\n\n" % number
        published.put_nowait(event)
        assert await asyncio.wait_for(client.stdout.readexactly(len(event)), PATIENCE) == event
    published.put_nowait(b"")
    assert await asyncio.wait_for(client.stdout.read(), PATIENCE) == b"HTTP/2"
    assert await client.wait() == 0


async def test_a_client_that_leaves_is_gone_at_the_target(front: Running, gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: 1\n\n")
        await call.gone()

    origin.answer = answer
    load(gateway, api(origin.url()))
    client = await curl(front, front.url)
    assert client.stdout is not None
    assert await asyncio.wait_for(client.stdout.readexactly(9), PATIENCE) == b"data: 1\n\n"
    client.terminate()
    await client.wait()
    await (await origin.call()).has_left()
    assert await gateway.closed() == "client"


async def test_many_streams_share_one_connection(
    front: Running, gateway: Gateway, origin: Origin, tmp_path: Path
) -> None:
    """What browsers cannot do over HTTP/1.1, where six connections are all that an origin gets."""
    all_open = asyncio.Event()

    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: open\n\n")
        await all_open.wait()
        await call.event(b"data: all\n\n")
        await call.send(b"0\r\n\r\n")

    origin.answer = answer
    load(gateway, api(origin.url()))
    files = [tmp_path / f"stream-{number}" for number in range(STREAMS)]
    outputs = [argument for file in files for argument in (front.url, "--output", str(file))]
    client = await curl(front, "--parallel", "--parallel-max", str(STREAMS), *outputs)
    calls = [await origin.call() for _ in range(STREAMS)]
    assert len({call.get("X-Connection") for call in calls}) == 1
    assert calls[0].get("X-Connection")
    all_open.set()
    assert await asyncio.wait_for(client.wait(), PATIENCE) == 0
    assert {file.read_bytes() for file in files} == {b"data: open\n\ndata: all\n\n"}
