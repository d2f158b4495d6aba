"""Which entry a request belongs to. Pure.

The rules, in this order:

1. Hosts, most specific first: the exact name, then wildcards (`*.suffix` stands for one or more labels) with the
   longest suffix first, then the entries for any host.
2. The first of those that has an entry whose context-path is the request's path, or a prefix of it on a segment
   boundary, decides: the longest such context-path wins. A host without a fitting entry leaves the request to the
   next wider one, so that an API with a host name of its own does not take other APIs off that name.
3. That entry answers, whatever its state. An entry that is refused, suspended or unreadable answers 503; nothing
   falls through to a shorter path or a wider host, whose plan may be weaker.

The cost of a look-up grows with the labels of the host and the depth of the path, never with the number of entries.
Where two entries claim the same host and path (the compiler does not let that happen), the first one has it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar


class Routed(Protocol):
    """What the router must know of an entry."""

    @property
    def hostnames(self) -> tuple[str, ...]: ...

    @property
    def context_path(self) -> str: ...


R = TypeVar("R", bound=Routed)


class _Paths(Generic[R]):
    """The context-paths of one host."""

    __slots__ = ("by_segments", "depth")

    def __init__(self) -> None:
        self.by_segments: dict[tuple[str, ...], R] = {}
        self.depth = 0

    def add(self, segments: tuple[str, ...], entry: R) -> None:
        self.by_segments.setdefault(segments, entry)
        self.depth = max(self.depth, len(segments))

    def find(self, segments: tuple[str, ...]) -> tuple[R, int] | None:
        for length in range(min(self.depth, len(segments)), -1, -1):
            entry = self.by_segments.get(segments[:length])
            if entry is not None:
                return entry, length
        return None


def context_segments(context_path: str) -> tuple[str, ...]:
    """The segments of a context-path; none for the root."""
    return tuple(context_path[1:].split("/")) if context_path != "/" else ()


class Router(Generic[R]):
    """An immutable look-up table over entries."""

    def __init__(self, entries: Iterable[R] = ()) -> None:
        self._exact: dict[str, _Paths[R]] = {}
        self._wildcard: dict[str, _Paths[R]] = {}
        self._any: _Paths[R] = _Paths()
        for entry in entries:
            segments = context_segments(entry.context_path)
            if not entry.hostnames:
                self._any.add(segments, entry)
            for hostname in entry.hostnames:
                table, name = (self._wildcard, hostname[2:]) if hostname.startswith("*.") else (self._exact, hostname)
                table.setdefault(name, _Paths()).add(segments, entry)

    def find(self, host: str, segments: tuple[str, ...]) -> tuple[R, int] | None:
        """The entry for a request, and how many segments its context-path has.

        `host` is lower case without port, `segments` are decoded (see `path`). None where nothing fits.
        """
        exact = self._exact.get(host)
        if exact is not None and (found := exact.find(segments)) is not None:
            return found
        if self._wildcard:
            dot = host.find(".")
            while dot >= 0:
                suffix = self._wildcard.get(host[dot + 1 :])
                if suffix is not None and (found := suffix.find(segments)) is not None:
                    return found
                dot = host.find(".", dot + 1)
        return self._any.find(segments)
