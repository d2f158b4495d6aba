"""Conditions, as every Kubernetes API has them; one function sets them, so that none lacks its generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from sse_operator.api.model import ApiModel

ConditionStatus = Literal["True", "False", "Unknown"]


def moment(text: str) -> datetime:
    """The moment that an RFC 3339 timestamp names, UTC where it names no zone; ValueError where it is none."""
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def timestamp(instant: datetime) -> str:
    """RFC 3339 to the second, as the Kubernetes API writes it. `instant` is aware."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> str:
    moment(text)
    return text


Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"}), AfterValidator(_moment)]
"""An RFC 3339 timestamp, kept as it was written so that an unchanged one stays the same bytes."""


class Condition(ApiModel):
    """One aspect of an object's state (Kubernetes API conventions, "Typical status properties")."""

    type: str
    """Aspect in CamelCase."""
    status: ConditionStatus
    """True, False or Unknown."""
    observed_generation: int = Field(default=0, ge=0)
    """The metadata.generation that this was judged on."""
    last_transition_time: Moment
    """When the status last changed, RFC 3339."""
    reason: str
    """Why, as a CamelCase word for machines."""
    message: str = ""
    """Why, and what to do about it, for people."""


@lru_cache(maxsize=4096)
def shared(condition: Condition) -> Condition:
    """The condition, or one that is equal: most conditions of thousands of objects are, and take most of the memory
    that an object takes."""
    return condition


Conditions = Annotated[
    list[Condition],
    AfterValidator(lambda conditions: [shared(condition) for condition in conditions]),
    Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
]


@dataclass(frozen=True)
class Verdict:
    """What a condition is to say; its times and generation are added by `set_conditions`."""

    type: str
    status: ConditionStatus
    reason: str
    message: str = ""


def set_conditions(
    previous: Sequence[Condition], verdicts: Sequence[Verdict], *, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The conditions that `verdicts` give. `lastTransitionTime` is kept where the status is what it was."""
    before = {condition.type: condition for condition in previous}
    return tuple(
        shared(
            Condition(
                type=verdict.type,
                status=verdict.status,
                observed_generation=generation,
                last_transition_time=(
                    old.last_transition_time
                    if (old := before.get(verdict.type)) and old.status == verdict.status
                    else timestamp(now)
                ),
                reason=verdict.reason,
                message=verdict.message,
            )
        )
        for verdict in verdicts
    )
