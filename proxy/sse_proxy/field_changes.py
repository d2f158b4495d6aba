"""Changes of header fields on their way through: those that an API asks for, and those of the gateway's own features.

First fields are taken away, then others are added behind what is left; a `set` is both. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from sse_proxy.config import HeaderChanges


@dataclass(frozen=True, slots=True)
class FieldChanges:
    """What goes and what comes."""

    dropped: frozenset[bytes] = frozenset()
    """Lower-case names of fields that go no further."""
    added: tuple[tuple[bytes, bytes], ...] = ()
    """Names and values of fields that are put behind the others."""
    extended: tuple[bytes, bytes] | None = None
    """The lower-case name of a field of upstream's, and what is put behind its value."""

    def then(self, later: FieldChanges) -> FieldChanges:
        """These changes and then the later ones, as one."""
        if later is UNCHANGED:
            return self
        kept = tuple(field for field in self.added if field[0].lower() not in later.dropped)
        return FieldChanges(self.dropped | later.dropped, kept + later.added, later.extended or self.extended)

    def get(self, name: bytes) -> bytes | None:
        """The last value that is added of a field; `name` in lower case."""
        return next((value for key, value in reversed(self.added) if key.lower() == name), None)


UNCHANGED = FieldChanges()


def field_changes(changes: HeaderChanges | None) -> FieldChanges:
    """The changes of a config entry, ready to apply."""
    if changes is None:
        return UNCHANGED
    added = tuple((header.name.encode(), header.value.encode()) for header in (*changes.set, *changes.add))
    names = (*changes.remove, *(header.name for header in changes.set))
    return FieldChanges(frozenset(name.lower().encode() for name in names), added)
