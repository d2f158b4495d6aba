"""TLS under a client's connection: a protocol to the socket's transport, a transport to the connection's protocol.

asyncio's own TLS transport hides the socket's: what waits there for the client could not be seen, so that neither a
client that takes nothing would be noticed, nor when all has been flushed. Here every encrypted byte is handed on at
once; all waiting is done in one place, whose size and limits are those of a connection without TLS.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from sse_proxy.turns import Turns

_RECORD = 16 * 1024
"""Bytes that one TLS record can hold."""


class TlsConnection(asyncio.Transport, asyncio.Protocol):
    """The server's side of one TLS connection. Its `upper` protocol is told of the connection before the handshake,
    so that its limits of time hold for that too."""

    def __init__(
        self, upper: asyncio.Protocol, context: ssl.SSLContext, turns: Turns, failed: Callable[[str], None]
    ) -> None:
        """A handshake, which costs more than a request, waits for its turn as requests do. `failed` is told why one
        failed."""
        super().__init__()
        self._upper = upper
        self._context = context
        self._turns = turns
        self._failed = failed
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._lower: asyncio.Transport
        self._open = False
        """Whether the handshake is done."""
        self._held = False

    # What the socket's transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._lower = cast("asyncio.Transport", transport)
        self._upper.connection_made(self)

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        if self._open or self._turns.may_begin():
            self._received()
        else:
            self._lower.pause_reading()
            self._turns.wait(self._begin)

    def _begin(self) -> None:
        """It is the handshake's turn."""
        if not self._lower.is_closing():
            self._lower.resume_reading()
            self._received()

    def _received(self) -> None:
        if self._open or self._shake_hands():
            self._hand_up()
        self._flush()

    def eof_received(self) -> bool | None:
        # With or without TLS's own goodbye: how long a request is, its framing tells.
        return self._upper.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._upper.connection_lost(exc)

    def pause_writing(self) -> None:
        self._upper.pause_writing()

    def resume_writing(self) -> None:
        self._upper.resume_writing()

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            self._break_off(error)
            return False
        self._open = True
        return True

    def _hand_up(self) -> None:
        while not self._held and not self._lower.is_closing():
            try:
                data = self._tls.read(_RECORD)
            except ssl.SSLWantReadError:
                return
            except ssl.SSLZeroReturnError:
                data = b""
            except ssl.SSLError as error:
                self._break_off(error)
                return
            if not data:
                self.close()
                return
            self._upper.data_received(data)

    def _break_off(self, error: ssl.SSLError) -> None:
        # The alert that says why is sent before the end.
        self._flush()
        self._failed(error.reason or "TLS failed")
        self._lower.close()

    def _flush(self) -> None:
        if (encrypted := self._outgoing.read()) and not self._lower.is_closing():
            self._lower.write(encrypted)

    # What the connection's protocol calls.

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send. Must not be called before something was received. What is written after the end is dropped."""
        if self._lower.is_closing():
            return
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(rest) :]
        self._flush()

    def close(self) -> None:
        """Say goodbye, and close after what waits has been flushed."""
        if self._open:
            # It wants the peer's goodbye too, which nobody waits for.
            with suppress(ssl.SSLError):
                self._tls.unwrap()
            self._flush()
        self._lower.close()

    def abort(self) -> None:
        """Close at once, without goodbye: what was sent cannot be taken for whole."""
        self._lower.abort()

    def is_closing(self) -> bool:
        """Whether it is, or will be, closed."""
        return self._lower.is_closing()

    def pause_reading(self) -> None:
        """Receive no more for now."""
        self._held = True
        self._lower.pause_reading()

    def resume_reading(self) -> None:
        """Receive again, first what has come already."""
        self._held = False
        self._lower.resume_reading()
        asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._hand_up()
        self._flush()

    def get_write_buffer_size(self) -> int:
        """Encrypted bytes that wait."""
        return self._lower.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """For `pause_writing` and `resume_writing`."""
        self._lower.set_write_buffer_limits(high, low)

    def can_write_eof(self) -> bool:
        """TLS has no half of a connection."""
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """The socket's, and `sslcontext`."""
        return self._context if name == "sslcontext" else self._lower.get_extra_info(name, default)
