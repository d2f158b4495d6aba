"""`helm test`: read from the demo source through the gateway, publish an event there, and see it arrive.

test_stream.py GATEWAY_URL SOURCE_URL TIMEOUT_SECONDS
"""

import base64
import secrets
import sys
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

gateway, source, timeout = sys.argv[1], sys.argv[2], float(sys.argv[3])
began = time.monotonic()
token = secrets.token_hex(8)
credentials = {"Authorization": "Basic " + base64.b64encode(b"demo:demo").decode()}


def say(text):
    print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)


def remaining():
    return max(began + timeout - time.monotonic(), 0.1)


def attempt():
    """Whether the event came; why not as an exception."""
    with urlopen(Request(gateway, headers=credentials), timeout=min(remaining(), 10)) as stream:
        say(f"streaming: {stream.status} {stream.headers.get('Content-Type')}")
        with urlopen(Request(source, data=token.encode(), headers=credentials), timeout=5):
            say("published an event at the demo source")
        while line := stream.readline():
            if token.encode() in line:
                return True
    raise OSError("the stream ended without the event")


say(f"waiting for {gateway}")
last = ""
while time.monotonic() - began < timeout:
    try:
        if attempt():
            say("the event arrived through the gateway")
            sys.exit(0)
    except HTTPError as error:
        reason = f"{error.code} {error.read(300).decode(errors='replace')}"
    except OSError as error:
        reason = str(error)
    if reason != last:
        last = reason
        say(reason)
    time.sleep(0.5)
say(f"no event within {timeout:.0f} s; look at: kubectl describe sseapi,ssegateway,pods")
sys.exit(1)
