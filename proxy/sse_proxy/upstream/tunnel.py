"""A connection through a proxy: the CONNECT exchange (RFC 9110, section 9.3.6) on a socket that is connected to it."""

from __future__ import annotations

import asyncio
import re
import socket

from sse_proxy.errors import ProxyRefusedError, UpstreamUnreachableError
from sse_proxy.upstream.reach import Tunnel

MOST = 16 * 1024
"""Bytes of the proxy's answer."""

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?\r?\n")


async def open_tunnel(sock: socket.socket, tunnel: Tunnel, host: str, port: int) -> None:
    """Have the proxy connect to `host`. Raises UpstreamError. The socket stays the caller's in any case."""
    loop = asyncio.get_running_loop()
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if tunnel.authorization:
        lines.append(f"Proxy-Authorization: {tunnel.authorization}")
    try:
        await loop.sock_sendall(sock, ("\r\n".join(lines) + "\r\n\r\n").encode("ascii"))
        answer = b""
        while not _whole(answer):
            part = await loop.sock_recv(sock, 4096)
            answer += part
            if not part or len(answer) > MOST:
                raise UpstreamUnreachableError("the proxy gave no answer to CONNECT")
    except OSError as error:
        raise UpstreamUnreachableError(f"the proxy: {error}") from error
    status = _STATUS.match(answer)
    if status is None:
        raise UpstreamUnreachableError("the proxy's answer to CONNECT is no HTTP")
    if not status[1].startswith(b"2"):
        raise ProxyRefusedError(f"the proxy answered CONNECT with {status[1].decode()}")
    if not answer.endswith((b"\r\n\r\n", b"\n\n")):
        # Who is behind it speaks only when it is asked.
        raise UpstreamUnreachableError("bytes behind the proxy's answer to CONNECT")


def _whole(answer: bytes) -> bool:
    return b"\r\n\r\n" in answer or b"\n\n" in answer
