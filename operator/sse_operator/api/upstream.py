"""How an SseApi's upstream is connected to and asked."""

from __future__ import annotations

from typing import Literal

from sse_operator.api.fields import Duration
from sse_operator.api.model import ApiModel


class UpstreamSpec(ApiModel):
    """How connections to upstream are made and kept, and what upstream is asked for."""

    keep_alive: bool | None = None
    """Whether connections to upstream are kept for further requests. Default true."""
    keep_alive_timeout: Duration | None = None
    """How long a connection is kept without a request; 0s: until upstream closes it. Default 4s, which is less than the
    5 s after which Node.js and uvicorn close theirs, so that a request hardly ever meets a closing connection."""
    host_header: Literal["Target", "Client"] | None = None
    """The Host that upstream is told: the target's own, or the one that the client named (which X-Forwarded-Host has
    in both cases). Default Target."""
    compression: bool | None = None
    """True passes the client's Accept-Encoding on. By default upstream is asked for uncompressed answers, since a
    compressor holds events back. Default false."""
