"""The proxy as the pods run it: a process, a config folder, signals."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ports import free_port
from proxy.harness import PATIENCE, Call, Client, Origin, api, chunk, eventually
from proxy.test_loader import files_of, write
from sse_proxy.main import address, duration

COMMAND = (sys.executable, "-m", "sse_operator.command", "proxy")


class Process:
    def __init__(self, folder: Path, *arguments: str) -> None:
        self.port, self.admin_port = free_port(), free_port()
        self.arguments = (
            f"--config-dir={folder}",
            f"--listen=127.0.0.1:{self.port}",
            f"--admin=127.0.0.1:{self.admin_port}",
            *arguments,
        )

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *COMMAND, *self.arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )

    async def get(self, port: int, path: str, *lines: str) -> tuple[int, str]:
        client = Client(*await asyncio.open_connection("127.0.0.1", port))
        response = await client.get(path, "Connection: close", *lines)
        body, _ = await client.rest()
        await client.close()
        return response.status, body.decode()

    async def until(self, status: int, path: str = "/readyz") -> str:
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(OSError):
                    got, text = await self.get(self.admin_port, path)
                    if got == status:
                        return text
                await asyncio.sleep(0.05)


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    process = Process(tmp_path / "config", "--drain-period=1s", f"--admin-token-file={tmp_path / 'token'}")
    (tmp_path / "config").mkdir()
    (tmp_path / "token").write_text("s3cret\n")
    yield process
    if process.process.returncode is None:
        process.process.kill()
    await process.process.communicate()


async def test_serves_a_folder_and_drains_on_sigterm(process: Process, tmp_path: Path, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: 1\n\n")
        await call.gone()

    origin.answer = answer
    await process.start()
    assert "no complete configuration" in await process.until(503)
    write(tmp_path / "config", files_of(7, api(origin.url())))
    await process.until(200)
    client = Client(*await asyncio.open_connection("127.0.0.1", process.port))
    assert (await client.get("/sse")).status == 200
    assert await client.chunk() == b"data: 1\n\n"
    assert (await process.get(process.admin_port, "/config"))[0] == 401
    status, text = await process.get(process.admin_port, "/config", "Authorization: Bearer s3cret")
    assert (status, json.loads(text)["revision"]) == (200, 7)
    process.process.send_signal(signal.SIGTERM)
    assert await process.until(503) == "draining\n"
    # Not ready, and the stream is still there; then it is broken off.
    assert await client.rest() == (b"", "fin")
    await client.close()
    out, err = await asyncio.wait_for(process.process.communicate(), PATIENCE)
    assert process.process.returncode == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [(line["event"], line.get("reason")) for line in lines] == [("stream_open", None), ("stream_close", "drain")]
    assert "Traceback" not in err.decode()


async def test_last_good_config_stays(process: Process, tmp_path: Path, origin: Origin) -> None:
    write(tmp_path / "config", files_of(1, api(origin.url())))
    await process.start()
    await process.until(200)
    write(tmp_path / "config", {"index.json": b'{"revision": 2, "settings"'})
    async with asyncio.timeout(PATIENCE):
        while b"index.json is not valid" not in await process.process.stderr.readline():  # type: ignore[union-attr]
            pass
    assert (await process.get(process.port, "/sse"))[0] == 200
    assert "sse_gateway_config_load_errors_total 1.0" in (await process.get(process.admin_port, "/metrics"))[1]
    write(tmp_path / "config", files_of(3, api(origin.url(), path="/moved")))

    async def moved() -> bool:
        return (await process.get(process.port, "/moved"))[0] == 200

    await eventually(moved)
    process.process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.process.wait(), PATIENCE)
    assert process.process.returncode == 0


async def test_second_signal_ends_at_once(process: Process, tmp_path: Path, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: never whole")
        await call.gone()

    origin.answer = answer
    process.arguments = (*process.arguments, "--drain-period=10m")
    write(tmp_path / "config", files_of(1, api(origin.url())))
    await process.start()
    await process.until(200)
    client = Client(*await asyncio.open_connection("127.0.0.1", process.port))
    await client.get("/sse")
    assert await client.chunk() == b"data: never whole"
    process.process.send_signal(signal.SIGTERM)
    await process.until(503)
    process.process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.process.wait(), PATIENCE)
    data, _ = await client.rest()
    assert chunk(b"") not in data
    await client.close()


async def test_faults_of_the_command_line_are_one_line(process: Process, tmp_path: Path, origin: Origin) -> None:
    for arguments, message in (
        (
            (f"--listen=127.0.0.1:{origin.port}",),
            rf"cannot listen on 127\.0\.0\.1:{origin.port}: the port is in use; .*",
        ),
        ((f"--admin-token-file={tmp_path}/none",), r"the admin token cannot be read: .*"),
        ((f"--config-dir={tmp_path}/none",), rf"{tmp_path}/none is no folder: .*"),
    ):
        process.arguments = (*process.arguments[:3], *arguments)
        await process.start()
        _, err = await asyncio.wait_for(process.process.communicate(), PATIENCE)
        assert process.process.returncode == 1
        assert re.fullmatch(rf"sse-gateway proxy: {message}\n", err.decode())


def test_arguments() -> None:
    assert address("[::1]:80") == ("::1", 80)
    assert address(":80") == ("0.0.0.0", 80)
    assert (duration("1m30s"), duration("500ms")) == (90.0, 0.5)
