"""How an SseApi's upstream is connected to and asked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sse_operator.api.credentials import CredentialsSpec
from sse_operator.api.fields import Duration
from sse_operator.api.model import ApiModel
from sse_operator.api.upstream_tls import ProxySpec, UpstreamTlsSpec


class UpstreamSpec(ApiModel):
    """How connections to upstream are made and kept, and what upstream is asked for."""

    keep_alive: bool | None = None
    """Whether connections to upstream are kept for further requests. Default true."""
    keep_alive_timeout: Duration | None = None
    """How long a connection is kept without a request; 0s: until upstream closes it. Default 4s, which is less than the
    5 s after which Node.js and uvicorn close theirs, so that a request hardly ever meets a closing connection."""
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """How many connections to upstream the API may use at the same time, in each proxy. A stream uses one, so this is a
    cap on concurrent streams; requests beyond it get 503 with Retry-After, and the Warning MaxConnectionsReached tells
    that it limits. Default none."""
    host_header: Literal["Target", "Client"] | None = None
    """The Host that upstream is told: the target's own, or the one that the client named (which X-Forwarded-Host has
    in both cases). Default Target."""
    follow_redirects: bool | None = None
    """True has the gateway follow redirects itself, for requests that can be made again: at most 5 hops, never from
    https to http, and without credentials once another origin is reached. Otherwise clients get them. Default false."""
    compression: bool | None = None
    """True passes the client's Accept-Encoding on. By default upstream is asked for uncompressed answers, since a
    compressor holds events back. Default false."""
    credentials: CredentialsSpec | None = None
    """Credentials of the gateway's own at upstream, from a Secret. The client's Authorization stays behind then;
    without them it passes on."""
    tls: UpstreamTlsSpec | None = None
    """TLS to https targets. Default: as the system trusts, for the target's host."""
    proxy: ProxySpec | None = None
    """An HTTP proxy between the gateway and the target. Default none."""
