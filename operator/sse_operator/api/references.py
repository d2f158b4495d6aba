"""What an SseApi names besides itself: Secrets and ConfigMaps of its own namespace.

Only those that carry the label `sse-gateway.dev/use=true` count, so that who may write SseApis cannot send any Secret
of the namespace to a target of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from sse_operator.api import GROUP
from sse_operator.api.fields import ObjectName, Rule, cel_of, ruled
from sse_operator.api.model import ApiModel
from sse_operator.api.sharing import shared_set

USE = f"{GROUP}/use"
USABLE = "true"
"""Label, and its value, by which the owner of a Secret or ConfigMap lets SseApis of its namespace use it."""

ReferencedKind = Literal["Secret", "ConfigMap"]

Reference = tuple[ReferencedKind, str]
"""Kind and name, in the namespace of whoever refers."""

ENTRY_RULES = (Rule(r"^[-._a-zA-Z0-9]+$", "must be letters, digits, -, _ and . only, as the keys of a Secret are"),)

EntryName = Annotated[
    str,
    Field(min_length=1, max_length=253, json_schema_extra=cel_of(ENTRY_RULES, "name")),
    AfterValidator(ruled(ENTRY_RULES)),
]
"""The key of one entry of a Secret or ConfigMap."""


class ObjectRef(ApiModel):
    """An object of the same namespace that an SseApi names."""

    @property
    def reference(self) -> Reference:
        """What it refers to."""
        raise NotImplementedError


class SecretRef(ObjectRef):
    """A Secret of the same namespace that carries the label sse-gateway.dev/use=true."""

    name: ObjectName
    """Name of the Secret, which carries the label sse-gateway.dev/use=true."""

    @property
    def reference(self) -> Reference:
        """What it refers to."""
        return ("Secret", self.name)


class SecretEntryRef(SecretRef):
    """One entry of such a Secret."""

    key: EntryName | None = None
    """Key of the entry."""


def located_references(
    value: Any, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Reference]]:
    """Every reference in a spec or a part of it, however deep it lies, with its place."""
    if isinstance(value, ObjectRef):
        yield path, value.reference
    elif isinstance(value, ApiModel):
        for name, field_info in type(value).model_fields.items():
            yield from located_references(getattr(value, name), (*path, field_info.alias or name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from located_references(item, (*path, number))


def references(spec: ApiModel) -> frozenset[Reference]:
    """Everything that a spec refers to."""
    return shared_set(frozenset(reference for _, reference in located_references(spec)))
