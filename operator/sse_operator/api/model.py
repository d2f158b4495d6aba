"""What all parts of the resources have in common: strictness, naming, and metadata as the API server keeps it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel

from sse_operator.api.fields import LabelName, ObjectName


def _without_nulls(model: type[BaseModel], value: Any) -> Any:
    """The API server prunes nulls of fields that it knows and that are not nullable; none of ours is."""
    if isinstance(value, dict) and None in value.values():
        known = {field.alias for field in model.model_fields.values()}
        return {key: item for key, item in value.items() if item is not None or key not in known}
    return value


class ApiModel(BaseModel):
    """A part of a resource: camelCase, immutable, no unknown fields, no coercion, as the API server judges it."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="forbid",
        strict=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        return _without_nulls(cls, value)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Timestamp = Annotated[datetime, AfterValidator(_aware)]
"""A moment, UTC where it names no zone."""


class Metadata(BaseModel):
    """The part of `metadata` that we read; the API server owns the rest."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore", hide_input_in_errors=True
    )

    name: ObjectName
    namespace: LabelName = "default"
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        return _without_nulls(cls, value)

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"
