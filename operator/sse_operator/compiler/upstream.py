"""How an entry's upstream is connected to and asked: defaults filled in."""

from __future__ import annotations

from sse_operator.api.upstream import UpstreamSpec
from sse_proxy.config import Upstream


def upstream_of(spec: UpstreamSpec | None) -> Upstream:
    """The contract's part for `spec.upstream`."""
    spec = spec or UpstreamSpec()
    return Upstream(
        keep_alive=spec.keep_alive is not False,
        host_header=spec.host_header or "Target",
        compression=bool(spec.compression),
    )
