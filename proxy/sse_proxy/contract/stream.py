"""How an entry's streams are kept alive and ended."""

from __future__ import annotations

from typing import Literal

from sse_proxy.contract.model import ConfigModel, Seconds

OnDrain = Literal["Close", "Reconnect", "Finish"]


class Stream(ConfigModel):
    """What the proxy does with event streams beyond relaying their bytes."""

    heartbeat: Seconds | None = None
    """After so long a silence the client gets a comment, where one may stand; None: nothing is ever added."""
    close_on_removal: bool = True
    """Whether open streams end when the entry goes, or is suspended."""
    close_on_change: bool = False
    """Whether open streams end when the entry is not what they started with."""
    on_drain: OnDrain | None = None
    """How open streams end when the proxy is stopped. None: `Finish` after POST, else `Close`."""
