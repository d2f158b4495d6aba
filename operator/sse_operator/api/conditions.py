"""Conditions, as every Kubernetes API has them; one function sets them, so that none lacks its generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import Field

from sse_operator.api.model import ApiModel

ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(ApiModel):
    """One aspect of an object's state (Kubernetes API conventions, "Typical status properties")."""

    type: str
    """Aspect in CamelCase."""
    status: ConditionStatus
    """True, False or Unknown."""
    observed_generation: int = Field(default=0, ge=0)
    """The metadata.generation that this was judged on."""
    last_transition_time: str
    """When the status last changed, RFC 3339."""
    reason: str
    """Why, as a CamelCase word for machines."""
    message: str = ""
    """Why, and what to do about it, for people."""


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
        Condition(
            type=verdict.type,
            status=verdict.status,
            observed_generation=generation,
            last_transition_time=(
                old.last_transition_time
                if (old := before.get(verdict.type)) and old.status == verdict.status
                else now.strftime("%Y-%m-%dT%H:%M:%SZ")
            ),
            reason=verdict.reason,
            message=verdict.message,
        )
        for verdict in verdicts
    )
