"""Sessions that endpoints make: a response names one in a header field, what comes with that name belongs there. Pure.

The name that a client gets has a mark of its endpoint at the end, which is taken off again before the endpoint sees it.
So every proxy knows where a session is, also after a restart, and none remembers anything. A mark is no secret and is
not signed: who forges one reaches an endpoint of the same API, which does not know the session.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

Fields = list[tuple[bytes, bytes]]

_MARKED = re.compile(rb"(.+)~([0-9a-f]{10})", re.DOTALL)


def mark_of(endpoint: str) -> bytes:
    """What stands for the endpoint of this name."""
    return hashlib.sha256(endpoint.encode()).hexdigest()[:10].encode()


def marking(endpoint: str) -> bytes:
    """What is put behind the name of a session that this endpoint has."""
    return b"~" + mark_of(endpoint)


def unmarked(header: bytes, fields: Iterable[tuple[bytes, bytes]]) -> tuple[bytes | None, Fields]:
    """The mark that a request's session has, and the fields as its endpoint is to see them. None: the request has no
    session, or one without a mark. `header` is in lower case."""
    mark: bytes | None = None
    left = []
    for name, value in fields:
        if name.lower() == header and (found := _MARKED.fullmatch(value)):
            value, mark = found[1], mark or found[2]
        left.append((name, value))
    return mark, left
