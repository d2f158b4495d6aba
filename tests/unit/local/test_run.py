"""`sse-gateway run` as a process: serves files to real clients, follows their changes, never cuts a stream for one."""

import asyncio
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import trustme

from ports import free_port
from sse_operator.local.demo_source import DemoSource
from unit.local.manifest_files import certificate, sse_api, sse_gateway, write

AUTH = {"Authorization": aiohttp.encode_basic_auth("demo", "demo")}


@pytest.fixture
async def source() -> AsyncIterator[DemoSource]:
    async with DemoSource(keep_alive=None) as running:
        yield running


@dataclass
class Process:
    """A running sub-command and what it has told so far."""

    process: asyncio.subprocess.Process
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)

    async def told(self, text: str, *, err: bool = False) -> str:
        """The next line of standard output, or error, that has `text` in it."""
        stream = self.process.stderr if err else self.process.stdout
        assert stream is not None
        async with asyncio.timeout(20):
            while line := (await stream.readline()).decode():
                (self.err if err else self.out).append(line)
                if text in line:
                    return line
        pytest.fail(f"ended without telling {text!r}: {''.join(self.out + self.err)}")

    async def ended(self) -> tuple[int, str, str]:
        """Exit code and the rest of both outputs."""
        async with asyncio.timeout(20):
            out, err = await self.process.communicate()
        return int(self.process.returncode or 0), out.decode(), err.decode()


@asynccontextmanager
async def sse_gateway_run(*arguments: str, poll: bool = False) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sse_operator.command", "run", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **({"WATCHFILES_FORCE_POLLING": "1"} if poll else {})},
    )
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def stream(url: str) -> AsyncIterator[aiohttp.ClientResponse]:
    async with aiohttp.ClientSession(headers=AUTH) as session, session.get(url) as response:
        yield response


async def event_id(response: aiohttp.ClientResponse) -> str:
    async with asyncio.timeout(10):
        return (await response.content.readuntil(b"\n\n")).decode().splitlines()[0]


async def status_of(url: str) -> int:
    async with stream(url) as response:
        return response.status


async def test_from_a_file_to_events_and_a_clean_end(source: DemoSource, tmp_path: Path) -> None:
    port, admin = free_port(), free_port()
    file = write(tmp_path / "api.yaml", sse_api("ably", "/sseconsumer", source.url("news")))
    async with sse_gateway_run("-f", file, "--listen", f"127.0.0.1:{port}", "--admin", f":{admin}") as running:
        assert (await running.told("SSEAPI")).split() == ["SSEAPI", "URL", "TARGET", "CONDITION"]
        url = f"http://127.0.0.1:{port}/sseconsumer"
        assert (await running.told("default/ably")).split() == ["default/ably", url, source.url("news"), "Ready"]
        async with stream(url) as response:
            assert response.status == 200
            source.publish("news", "hello")
            assert await event_id(response) == "id: 1"
            async with stream(f"http://127.0.0.1:{admin}/readyz") as ready:
                assert ready.status == 200
            running.process.send_signal(signal.SIGTERM)
            code, _, err = await running.ended()
        assert code == 0
        assert '"event":"stream_open"' in err
        assert '"event":"stream_close"' in err
        assert "Traceback" not in err


async def test_tls_with_a_certificate_from_a_file(source: DemoSource, tmp_path: Path) -> None:
    authority, port = trustme.CA(), free_port()
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    write(tmp_path / "api.yaml", sse_api("ably", "/ably", source.url("news")))
    write(tmp_path / "gateway.yaml", sse_gateway("default", spec="{tls: {certificateRefs: [{name: events}]}}"))
    write(tmp_path / "secret.yaml", certificate("events", authority.issue_cert("localhost")))
    async with sse_gateway_run("-f", str(tmp_path), "--listen", ":0", "--listen-tls", f":{port}") as running:
        await running.told("default/ably")
        async with (
            aiohttp.ClientSession(headers=AUTH) as session,
            session.get(f"https://localhost:{port}/ably", ssl=tls) as response,
        ):
            assert response.status == 200
            source.publish("news", "hello")
            assert await event_id(response) == "id: 1"


@pytest.mark.parametrize("poll", [False, True])
async def test_a_change_is_served_and_cuts_no_stream(source: DemoSource, tmp_path: Path, poll: bool) -> None:
    port = free_port()
    file = tmp_path / "apis.yaml"
    api = sse_api("ably", "/ably", source.url("news"))
    write(file, api)
    async with sse_gateway_run("-f", str(tmp_path), "--listen", str(port), poll=poll) as running:
        await running.told("default/ably")
        async with stream(f"http://127.0.0.1:{port}/ably") as response:
            assert response.status == 200
            assert await status_of(f"http://127.0.0.1:{port}/other") == 404
            write(tmp_path / "other.yaml", sse_api("other", "/other", source.url("news")))
            await running.told("default/other")
            assert await status_of(f"http://127.0.0.1:{port}/other") == 200
            file.write_text(sse_api("ably", "/renamed", source.url("news")))  # in place, as some editors do
            await running.told("/renamed")
            (tmp_path / "other.yaml").unlink()
            await running.told("SSEAPI")
            assert await status_of(f"http://127.0.0.1:{port}/other") == 404
            source.publish("news", "still here")
            assert await event_id(response) == "id: 1"


async def test_a_broken_edit_is_told_once_and_what_was_good_stays(source: DemoSource, tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "apis.yaml"
    good = sse_api("ably", "/ably", source.url("news"))
    write(file, good)
    async with sse_gateway_run("-f", str(file), "--listen", str(port)) as running:
        await running.told("default/ably")
        write(file, good.replace("target:", "targt:"))
        assert "spec.targt: unknown field 'targt'" in await running.told(str(file), err=True)
        assert "as before its last edit, which has faults" in await running.told("default/ably")
        assert await status_of(f"http://127.0.0.1:{port}/ably") == 200
        write(file, "spec: [")
        assert "is not YAML" in await running.told(str(file), err=True)
        assert await status_of(f"http://127.0.0.1:{port}/ably") == 200
        file.unlink()
        assert "No such file" in await running.told(str(file), err=True)
        assert await status_of(f"http://127.0.0.1:{port}/ably") == 200
        write(file, good)
        assert (await running.told("default/ably")).rstrip().endswith("Ready")
        running.process.send_signal(signal.SIGINT)
        code, _, err = await running.ended()
        assert code == 0
        assert "unknown field" not in err


async def test_a_faulty_api_keeps_its_path_closed_and_harms_no_other(source: DemoSource, tmp_path: Path) -> None:
    port = free_port()
    write(tmp_path / "a.yaml", sse_api("good", "/good", source.url("news")))
    write(tmp_path / "b.yaml", sse_api("bad", "/good/bad", "ftp://x"))
    async with sse_gateway_run("-f", str(tmp_path), "--listen", str(port)) as running:
        assert (await running.told("default/good")).rstrip().endswith("Ready")
        assert "InvalidSpec: spec.target: must be an absolute URL" in await running.told("default/bad")
        assert await status_of(f"http://127.0.0.1:{port}/good") == 200
        assert await status_of(f"http://127.0.0.1:{port}/good/bad") == 503


async def test_what_it_cannot_serve_is_told_in_one_line(tmp_path: Path) -> None:
    two = write(
        tmp_path / "two.yaml",
        sse_api("a", "/a", more="gatewayRef: {name: one}"),
        sse_api("b", "/b", more="gatewayRef: {name: two}"),
        sse_gateway("one"),
        sse_gateway("two"),
    )
    absent = str(tmp_path / "absent.yaml")
    nothing = "sse-gateway run: nothing to serve: the files have no SseApi that can be read\n"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for arguments, expected in (
            ((absent,), (1, f"{absent}: cannot be read: No such file or directory\n{nothing}")),
            (
                (two,),
                (
                    2,
                    "sse-gateway run: the SseApis belong to 2 gateways; say which one this is: "
                    "--gateway default/one or default/two\n",
                ),
            ),
            (
                (two, "--gateway", "default/three"),
                (
                    2,
                    "sse-gateway run: no SseApi belongs to the gateway default/three; "
                    "there is: default/one, default/two\n",
                ),
            ),
        ):
            async with sse_gateway_run("-f", *arguments) as running:
                code, out, err = await running.ended()
                assert (code, out, err) == (expected[0], "", expected[1])
        async with sse_gateway_run("-f", two, "--gateway", "default/one", "--listen", str(port)) as running:
            code, out, err = await running.ended()
            assert (code, out) == (1, "")
            assert f"127.0.0.1:{port}" in err
            assert "in use" in err
            assert err.count("\n") == 1
