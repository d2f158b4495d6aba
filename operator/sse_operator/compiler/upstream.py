"""How an entry's upstream is connected to and asked: defaults filled in."""

from __future__ import annotations

from sse_operator.api.fields import seconds_of
from sse_operator.api.upstream import UpstreamSpec
from sse_operator.compiler.credentials import credentials_of
from sse_operator.compiler.secrets import Referenced
from sse_operator.compiler.upstream_tls import proxy_of, tls_of
from sse_proxy.config import Upstream

DEFAULT_KEEP_ALIVE_TIMEOUT = "4s"


def upstream_of(spec: UpstreamSpec | None, referenced: Referenced) -> Upstream:
    """The contract's part for `spec.upstream`."""
    spec = spec or UpstreamSpec()
    return Upstream(
        keep_alive=spec.keep_alive is not False,
        keep_alive_timeout=seconds_of(spec.keep_alive_timeout or DEFAULT_KEEP_ALIVE_TIMEOUT) or None,
        max_connections=spec.max_connections,
        host_header=spec.host_header or "Target",
        follow_redirects=bool(spec.follow_redirects),
        compression=bool(spec.compression),
        credentials=credentials_of(spec.credentials, referenced),
        tls=tls_of(spec.tls, referenced),
        proxy=proxy_of(spec.proxy, referenced),
    )
