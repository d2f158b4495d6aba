"""What of requests and responses an entry changes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sse_proxy.contract.model import ConfigModel


class Header(ConfigModel):
    """One header field."""

    name: str
    value: str


class HeaderChanges(ConfigModel):
    """Changes of header fields: first remove, then set, then add."""

    set: tuple[Header, ...] = ()
    add: tuple[Header, ...] = ()
    remove: tuple[str, ...] = ()


class Cors(ConfigModel):
    """Which pages of other origins may read the API (Fetch standard, CORS protocol)."""

    allow_origins: tuple[str, ...]
    """Exact origins, `scheme://*.suffix[:port]`, or `*`."""
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    allow_credentials: bool = False
    max_age: Annotated[int, Field(ge=0)] | None = None
    """Seconds that a browser may keep a preflight's answer."""
    allow_private_network: bool = False
    preflight: Literal["Gateway", "Target"] = "Gateway"
    """Who answers preflights."""
