"""Headless Chromium with a page that uses EventSource: the arguments and the output are those of the other drivers."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue

PAGE = Path(__file__).with_name("page.html")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def main() -> None:
    chromium, *arguments = sys.argv[1:]
    middle = arguments.index("--")
    cases = arguments[middle + 1 :]
    job = {"bases": arguments[:middle], "cases": list(zip(cases[::2], cases[1::2], strict=True))}
    lines: Queue[bytes] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(json.dumps(job).encode() if self.path == "/job" else PAGE.read_bytes())

        def do_POST(self) -> None:
            lines.put(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(b"")

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with server, tempfile.TemporaryDirectory(prefix="sse-gateway-chromium-", ignore_cleanup_errors=True) as profile:
        url = f"http://127.0.0.1:{server.server_port}/"
        command = (chromium, *FLAGS, f"--user-data-dir={profile}", url)
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            server.timeout = 0.5
            while lines.empty():
                if browser.poll() is not None:
                    sys.exit(f"{chromium} ended with {browser.returncode} before the page had done its work")
                server.handle_request()
        finally:
            browser.terminate()
            browser.wait()
    for line in json.loads(lines.get()):
        print(json.dumps(line))


main()
