"""The CORS protocol (Fetch standard, section 3.2): what browsers must be told, so that pages of other origins may read.

It protects nobody but the browser's user, so a request of another origin is served all the same; only the page does
not get to read the answer. An API that speaks CORS here speaks it alone: the target's own fields are dropped, since
two answers to one question make browsers refuse both. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate

from sse_proxy import config
from sse_proxy.field_changes import FieldChanges
from sse_proxy.problem import Problem

_ANY = "*"
_PREFIX = b"access-control-"
_FIELDS = frozenset(
    _PREFIX + name
    for name in (
        b"allow-origin",
        b"allow-credentials",
        b"allow-methods",
        b"allow-headers",
        b"allow-private-network",
        b"expose-headers",
        b"max-age",
    )
)
_LABELS = re.compile(rb"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_VARY = (b"Vary", b"Origin")

RawFields = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class OptionsAnswer:
    """The gateway's own answer to OPTIONS: to a preflight that may go on to ask, or to one for the whole server."""

    fields: tuple[tuple[bytes, bytes], ...]
    reason: str = "Preflight"
    """The CamelCase word for the log."""
    status: int = 204

    def message(self, *, close: bool) -> bytes:
        """The whole HTTP/1.1 response."""
        lines = [b"HTTP/1.1 204 No Content", b"Date: " + formatdate(usegmt=True).encode()]
        lines.extend(name + b": " + value for name, value in self.fields)
        if close:
            lines.append(b"Connection: close")
        return b"\r\n".join(lines) + b"\r\n\r\n"


class Cors:
    """One entry's settings, ready to answer."""

    def __init__(self, settings: config.Cors) -> None:
        self._any = _ANY in settings.allow_origins
        self._exact = frozenset(origin.encode() for origin in settings.allow_origins if "*" not in origin)
        self._wildcards = tuple(
            (scheme.encode(), suffix.encode())
            for scheme, _, suffix in (origin.partition("*") for origin in settings.allow_origins if origin != _ANY)
            if suffix
        )
        self._gateway_answers = settings.preflight == "Gateway"
        self._private_network = settings.allow_private_network
        self._always: tuple[tuple[bytes, bytes], ...] = (
            ((b"Access-Control-Allow-Credentials", b"true"),) if settings.allow_credentials else ()
        )
        self._exposed = _list(b"Access-Control-Expose-Headers", settings.expose_headers)
        self._preflight = (
            *_list(b"Access-Control-Allow-Methods", settings.allow_methods),
            *_list(b"Access-Control-Allow-Headers", settings.allow_headers),
        )
        if settings.max_age is not None:
            self._preflight += ((b"Access-Control-Max-Age", b"%d" % settings.max_age),)

    def answer(self, method: str, fields: RawFields) -> OptionsAnswer | Problem | None:
        """The answer to a preflight; None where the request is none, or the target's to answer."""
        if method != "OPTIONS" or not self._gateway_answers or not _is_preflight(fields):
            return None
        allowed = self._allowed(_origin(fields))
        if allowed is None:
            return Problem(403, "OriginNotAllowed", fields=() if self._any else (_VARY,))
        private = self._private_network and any(
            name.lower() == b"access-control-request-private-network" and value == b"true" for name, value in fields
        )
        asked = ((b"Access-Control-Allow-Private-Network", b"true"),) if private else ()
        return OptionsAnswer((*self._permission(allowed), *self._preflight, *asked))

    def changes(self, method: str, fields: RawFields) -> FieldChanges:
        """The changes of the response to a request, whoever answers it."""
        if method == "OPTIONS" and not self._gateway_answers and _is_preflight(fields):
            return FieldChanges()  # the target's to answer, with fields of its own
        allowed = self._allowed(_origin(fields))
        if allowed is None:
            return FieldChanges(_FIELDS, () if self._any else (_VARY,))
        return FieldChanges(_FIELDS, (*self._permission(allowed), *self._exposed))

    def _permission(self, allowed: bytes) -> tuple[tuple[bytes, bytes], ...]:
        vary = () if self._any else (_VARY,)
        return ((b"Access-Control-Allow-Origin", allowed), *self._always, *vary)

    def _allowed(self, origin: bytes | None) -> bytes | None:
        """What Access-Control-Allow-Origin has to say; None: nothing."""
        if self._any:
            # Also without an Origin field, so that a cache need not tell apart.
            return b"*"
        if origin is None:
            return None
        if origin in self._exact:
            return origin
        for scheme, suffix in self._wildcards:
            if origin.startswith(scheme) and origin.endswith(suffix):
                labels = origin[len(scheme) : len(origin) - len(suffix)]
                if _LABELS.fullmatch(labels):
                    return origin
        return None


def _is_preflight(fields: RawFields) -> bool:
    names = {name.lower() for name, _ in fields}
    return b"origin" in names and b"access-control-request-method" in names


def _origin(fields: RawFields) -> bytes | None:
    """The one origin of a request; None where there is none, or more than one."""
    origins = [value for name, value in fields if name.lower() == b"origin"]
    return origins[0] if len(origins) == 1 else None


def _list(name: bytes, members: tuple[str, ...]) -> tuple[tuple[bytes, bytes], ...]:
    return ((name, ", ".join(members).encode()),) if members else ()
