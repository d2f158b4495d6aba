"""An endpoint's URL, and the request target that a client's request becomes there. Pure.

The target's own query parameters are fixed: a client adds others, it never replaces one. A client's parameter whose
decoded name is one of the target's is dropped; everything else passes byte for byte, in order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import unquote_to_bytes, urlsplit

from sse_proxy.errors import TargetError

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint, taken apart."""

    scheme: str
    host: str
    """As connections need it: no brackets around IPv6."""
    port: int
    authority: bytes
    """For the Host field: as the URL has it, without a default port."""
    path: str
    query: str
    fixed: frozenset[bytes]
    """Decoded names of the parameters that the target sets itself."""

    @property
    def origin(self) -> str:
        """`scheme://authority`, for pools and people."""
        return f"{self.scheme}://{self.authority.decode()}"

    def request_target(self, rest: str, query: str | None) -> bytes:
        """The request line's target: `rest` of the client's path (`""` or starting with `/`) appended to the target's,
        the client's `query` to its parameters; both undecoded."""
        path = self.path
        if rest:
            path = path[:-1] + rest if path.endswith("/") else path + rest
        if query and self.fixed:
            query = "&".join(part for part in query.split("&") if parameter_name(part) not in self.fixed)
        joined = "&".join(part for part in (self.query, query) if part)
        return (f"{path or '/'}?{joined}" if joined else path or "/").encode("ascii")

    def with_parameter(self, name: str, value: str) -> Target:
        """The same target with this parameter of its own; both as they stand in a URL."""
        decoded = parameter_name(name)
        others = [part for part in self.query.split("&") if part and parameter_name(part) != decoded]
        return replace(self, query="&".join((*others, f"{name}={value}")), fixed=self.fixed | {decoded})


def parameter_name(part: str) -> bytes:
    """The decoded name of one `name=value` part of a query (`+` is a blank, as in HTML forms)."""
    return unquote_to_bytes(part.partition("=")[0].replace("+", " "))


def parse(url: str) -> Target:
    """Take an absolute, percent-encoded http(s) URL apart. Raises TargetError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise TargetError(f"the endpoint's URL cannot be read: {error}") from None
    scheme, host = parts.scheme, parts.hostname
    if scheme not in _PORTS or not host or parts.username is not None or not url.isascii():
        raise TargetError("the endpoint's URL must be an absolute ASCII http(s) URL without credentials")
    bracketed = f"[{host}]" if ":" in host else host
    return Target(
        scheme=scheme,
        host=host,
        port=port or _PORTS[scheme],
        authority=(bracketed if port in (None, _PORTS[scheme]) else f"{bracketed}:{port}").encode(),
        path=parts.path,
        query=parts.query,
        fixed=frozenset(parameter_name(part) for part in parts.query.split("&") if part),
    )
