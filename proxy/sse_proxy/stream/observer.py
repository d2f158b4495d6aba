"""Who keeps count of an exchange hears of it from whoever answers the client."""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """Who keeps count of an exchange."""

    def opened_early(self) -> None:
        """The client has a response head, of an event stream, and upstream has not answered."""

    def head_sent(self, status: int, *, stream: bool) -> None:
        """Upstream has answered, and the client knows."""

    def first_byte(self) -> None: ...

    def paused(self, seconds: float) -> None:
        """Bytes came after a silence that was within a tenth of the idle timeout."""

    def heartbeat(self) -> None:
        """The client was sent a heartbeat."""

    def client_left(self) -> None:
        """The client has gone, and the rest of the answer is read for nobody."""
