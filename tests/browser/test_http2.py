"""Twenty EventSources of one page over one HTTP/2 connection; over HTTP/1.1 a browser opens six."""

from __future__ import annotations

from pathlib import Path

from browser.test_cors import page as page
from browser.test_cors import pytestmark as pytestmark
from browser.test_cors import report_of
from proxy.harness import Call, Gateway, Origin, api
from proxy.test_forwarded import load
from proxy.test_http2 import STREAMS, Running
from proxy.test_http2 import front as front
from sse_proxy.config import Cors

PAGE = """<!doctype html><script>
let open = 0;
for (let number = 0; number < STREAMS; number++) {
  new EventSource("URL").onmessage = () => { if (++open == STREAMS) fetch("/report?" + open); };
}
</script>"""


async def test_twenty_event_sources(
    front: Running, gateway: Gateway, origin: Origin, page: Origin, tmp_path: Path
) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: open\n\n")
        await call.gone()

    origin.answer = answer
    load(gateway, api(origin.url(), cors=Cors(allow_origins=("*",))))
    html = PAGE.replace("STREAMS", str(STREAMS)).replace("URL", front.url)
    assert await report_of(page, html, tmp_path / "profile", "--ignore-certificate-errors") == STREAMS
    calls = [await origin.call() for _ in range(STREAMS)]
    assert len({call.get("X-Connection") for call in calls}) == 1
