"""What a shared stream keeps for clients that come back."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from sse_operator.api.credentials import ParameterName
from sse_operator.api.fields import Duration, Rule, cel_of, ruled
from sse_operator.api.limits import SIZE_RULES, Size
from sse_operator.api.model import ApiModel

BOUND_RULES = (
    *SIZE_RULES,
    Rule(r"^0", "must be above 0", forbids=True),
)

Bound = Annotated[Size, Field(json_schema_extra=cel_of(BOUND_RULES, "size")), AfterValidator(ruled(BOUND_RULES))]
"""A size in bytes that is above 0."""


class ReplaySpec(ApiModel):
    """Clients that come back with `Last-Event-ID` get what they missed, as far as it is kept: for each shared stream,
    per replica, within all three bounds."""

    events: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """How many of the last events are kept. Default 1000."""
    max_age: Duration | None = None
    """How long an event is kept. 0s means any time. Default 5m."""
    bytes: Bound | None = None
    """How many bytes of events are kept, at most. Default 1Mi."""
    query_parameter: ParameterName | None = None
    """A query parameter that may say the last event's id, for clients that cannot send the header field. It does not go
    upstream. Default none."""
    on_miss: Literal["Live", "All", "Resync"] | None = None
    """Where a client begins whose id is not kept, and that upstream does not help either. Live: at what comes next.
    All: at all that is kept. Resync: at what comes next, behind an event named `resync`. Default Live."""
    ids: Literal["Upstream", "Generate"] | None = None
    """Generate: events without an id get one, good for this replica's stream only. Default Upstream."""
