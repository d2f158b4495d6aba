"""`make run`: the demo source, the gateway and a client, on the ports that the README names."""

import asyncio
import signal
import socket
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "quickstart.py"


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def quickstart() -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, str(SCRIPT), stdout=pipe, stderr=pipe)


@pytest.fixture(autouse=True)
def _ports_are_free() -> None:
    if listening(8080) or listening(8081):
        pytest.skip("another program has port 8080 or 8081")


async def test_events_arrive_through_the_gateway_and_an_interrupt_ends_all() -> None:
    process = await quickstart()
    assert process.stdout is not None
    assert process.stderr is not None
    told: list[str] = []
    try:
        async with asyncio.timeout(30):
            while not told or not told[-1].startswith("id: 2"):
                line = (await process.stdout.readline()).decode()
                assert line, (await process.stderr.read()).decode()
                told.append(line)
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 0
            assert await process.stderr.read() == b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = "".join(told)
    assert "curl -N -u demo:demo http://127.0.0.1:8080/sseconsumer\n" in text
    assert "curl -u demo:demo -d 'hello' http://127.0.0.1:8081/channels/ssechannel/messages\n" in text
    assert '"data": "message 1"' in text
    assert not listening(8080)
    assert not listening(8081)


@pytest.mark.parametrize("port", [8080, 8081])
async def test_a_port_in_use_is_one_line_and_nothing_stays(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        process = await quickstart()
        async with asyncio.timeout(30):
            out, err = await process.communicate()
        assert (process.returncode, out) == (1, b"")
        assert err.decode().count("\n") == 1
        assert f"127.0.0.1:{port}" in err.decode()
        assert "in use" in err.decode()
    assert not listening(8080)
    assert not listening(8081)
