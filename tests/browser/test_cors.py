"""EventSource and fetch in a real browser, whose page is of another origin than the gateway."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from proxy.harness import PATIENCE, Call, Gateway, Origin, api
from sse_proxy.config import Cors, Unavailable

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no browser: apt-get install chromium")

PAGE = """<!doctype html><script>
const gateway = "GATEWAY";
function events(path, options) {
  return new Promise(resolve => {
    const got = [], source = new EventSource(gateway + path, options);
    source.onmessage = event => {
      got.push(event.data);
      if (got.length == 2) { source.close(); resolve(got); }
    };
    source.onerror = () => { source.close(); resolve("error"); };
  });
}
async function asks(path, options) {
  try {
    const response = await fetch(gateway + path, options);
    return response.status + (response.headers.get("X-Exposed") || "");
  } catch { return "blocked"; }
}
(async () => {
  const report = {
    events: await events("/open"),
    with_credentials: await events("/open", {withCredentials: true}),
    without_cors: await events("/closed"),
    another_origin: await events("/other"),
    preflight: await asks("/post", {method: "POST", body: "{}", headers: {"Content-Type": "application/json"}}),
    header_not_allowed: await asks("/post", {method: "POST", headers: {"X-Other": "1"}}),
    method_not_allowed: await asks("/post", {method: "DELETE"}),
    suspended: await asks("/suspended"),
  };
  await fetch("/report?" + encodeURIComponent(JSON.stringify(report)));
})();
</script>"""


@pytest.fixture
async def page() -> AsyncIterator[Origin]:
    """The server of the page, which also gets its report."""
    page = Origin()
    await page.start()
    yield page
    await page.stop()


async def report_of(page: Origin, html: str, profile: Path, *options: str) -> Any:
    """What the page says at /report, opened in a browser."""
    body = html.encode()
    page.answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    assert CHROMIUM is not None
    browser = await asyncio.create_subprocess_exec(
        CHROMIUM,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
        *options,
        page.url("/"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(4 * PATIENCE):
            while True:
                call = await page.calls.get()
                path, _, query = call.line.split(" ")[1].partition("?")
                if path == "/report":
                    return json.loads(unquote(query))
    finally:
        browser.terminate()
        await browser.wait()


async def test_what_a_page_of_another_origin_gets(
    gateway: Gateway, origin: Origin, page: Origin, tmp_path: Path
) -> None:
    async def answer(call: Call) -> None:
        if not call.line.startswith("GET"):
            await call.send(b"HTTP/1.1 200 OK\r\nX-Exposed: !\r\nContent-Length: 0\r\n\r\n")
            return
        await call.stream_head(b"Access-Control-Allow-Origin: https://the-targets-own.example")
        await call.event(b"data: 1\n\ndata: 2\n\n")
        await call.gone()

    origin.answer = answer
    cors = Cors(
        allow_origins=(page.url("").removesuffix("/"),),
        allow_methods=("GET", "POST"),
        allow_headers=("Content-Type",),
        expose_headers=("X-Exposed",),
        allow_credentials=True,
    )
    gateway.load(
        api(origin.url(), name="open", path="/open", cors=cors),
        api(origin.url(), name="closed", path="/closed"),
        api(origin.url(), name="other", path="/other", cors=Cors(allow_origins=("https://other.example",))),
        api(origin.url(), name="post", path="/post", cors=cors),
        api(
            origin.url(),
            name="suspended",
            path="/suspended",
            cors=cors,
            unavailable=Unavailable(reason="Suspended", message="suspended"),
        ),
    )
    host, port = gateway.proxy.listen_address
    report = await report_of(page, PAGE.replace("GATEWAY", f"http://{host}:{port}"), tmp_path / "profile")
    assert report == {
        "events": ["1", "2"],
        "with_credentials": ["1", "2"],
        "without_cors": "error",
        "another_origin": "error",
        "preflight": "200!",
        "header_not_allowed": "blocked",
        "method_not_allowed": "blocked",
        "suspended": "503",
    }
