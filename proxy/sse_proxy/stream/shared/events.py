"""From the bytes of a stream to whole events. Sans-I/O.

WHATWG HTML, 9.2.5 and 9.2.6: lines end with LF, CR or CRLF, a blank line ends an event. An `id` counts from the end of
its event on, a `retry` at once. What lies outside of events (comments) is handed on as it came, as a piece that is no
event. A byte order mark belongs to one connection, not to the events.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sse_proxy.stream.boundary import EventBoundary

_LINE = re.compile(rb"([^\r\n]*)(\r\n|\r|\n)")
_BOM = b"\xef\xbb\xbf"

LARGEST_EVENT = 1 << 20
"""Bytes of one event, unless something else is said; clients such as MCP's take no larger one."""


@dataclass(frozen=True, slots=True)
class Event:
    """A whole event with its blank line, or something between two of them."""

    data: bytes
    id: bytes | None = None
    """What the last event ID is from now on; None: as before."""
    counts: bool = False
    """Whether clients see an event: it has a `data` line."""


class EventSplitter:
    """Follows one stream over all of its connections."""

    __slots__ = ("_at_start", "_begun", "_boundary", "_largest", "_size", "last_id", "retry", "too_large")

    def __init__(self, largest: int | None = None) -> None:
        """`largest` is how many bytes an event may have; None: `LARGEST_EVENT`."""
        self._largest = LARGEST_EVENT if largest is None else largest
        self.too_large = False
        """Whether an event came that is larger. It, and what comes after it, are not handed on."""
        self.last_id = b""
        """The last event ID; empty where upstream gives none."""
        self.retry: float | None = None
        """Seconds after which upstream wants to be asked again."""
        self.begin_anew()

    def begin_anew(self) -> None:
        """Another connection: an event that was not whole will come again, or never."""
        self._boundary = EventBoundary()
        self._begun: list[bytes] = []
        self._size = 0
        self._at_start = True

    def feed(self, data: bytes) -> list[Event]:
        """Whole events, as far as `data` completes some."""
        end = len(data) if data.endswith(b"\n\n") else self._boundary.last_in(data)
        self._boundary.feed(data)
        if end < 0:
            self._begun.append(data)
            self._size += len(data)
            self.too_large = self._size > self._largest
            return []
        whole = b"".join((*self._begun, data[:end]))
        rest = data[end:]
        self._begun, self._size = [rest] if rest else [], len(rest)
        self.too_large = len(rest) > self._largest
        if self._at_start:
            self._at_start = False
            whole = whole.removeprefix(_BOM)
        return self._split(whole)

    def _split(self, whole: bytes) -> list[Event]:
        events: list[Event] = []
        start, id_, counts = 0, None, False
        begun = 0
        """Where the event itself begins, behind comments."""
        for line in _LINE.finditer(whole):
            text = line[1]
            if not text:
                if line.end() - begun > self._largest:
                    self.too_large = True
                    return [*events, Event(whole[start:begun])] if begun > start else events
                if id_ is not None:
                    self.last_id = id_
                events.append(Event(whole[start : line.end()], id_, counts))
                start = begun = line.end()
                id_, counts = None, False
                continue
            if text.startswith(b":") and line.start() == begun:
                begun = line.end()
                continue
            name, _, value = text.partition(b":")
            if name == b"data":
                counts = True
            elif name == b"id" and b"\0" not in value:
                id_ = value.removeprefix(b" ")
            elif name == b"retry" and (digits := value.removeprefix(b" ")).isdigit():
                self.retry = int(digits[:9]) / 1000
        if start < len(whole):
            events.append(Event(whole[start:]))
        return events
