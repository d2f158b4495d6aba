"""Every reason that a condition can give, and what each says of all conditions. The verdicts and docs/reference.md
are made from these two tables, so that they cannot differ.

How a table is read: one reason decides an object's state, the first that applies in the order of the table. It gives
every condition a status. A condition that is True has its own word for a reason (`Accepted`, `ResolvedRefs`,
`Programmed`, `Ready`), save `Ready` itself, which carries the deciding one; the others carry the deciding one too.

`Stalled` is for what only an edit of the object can mend; what can pass without one (another object's edit included)
is `Reconciling` (kstatus: both must be absent when they are false). A suspended SseApi and a gateway scaled to zero
are what their owner asked for: `Ready` is True with that reason, so that a GitOps tool does not wait for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sse_operator.api.conditions import ConditionStatus

Progress = Literal["Reconciling", "Stalled"]


@dataclass(frozen=True)
class Reason:
    """One row: the deciding reason, the status it gives to each condition, and what it means."""

    name: str
    accepted: ConditionStatus
    resolved_refs: ConditionStatus
    programmed: ConditionStatus
    ready: ConditionStatus
    progress: Progress | None
    meaning: str
    """For docs/reference.md: what happened, what clients get, what mends it."""


def _table(*rows: Reason) -> Mapping[str, Reason]:
    return {row.name: row for row in rows}


SSE_API_REASONS = _table(
    Reason(
        "InvalidSpec", "False", "Unknown", "False", "False", "Stalled",
        "The object has faults; the message lists them. Its context-path, as far as it is valid, is held and answers "
        "503. Edit the SseApi.",
    ),
    Reason(
        "InternalError", "False", "Unknown", "False", "False", "Stalled",
        "Compiling this one object failed for a fault of the operator's; the others are not affected. Its context-path "
        "is held and answers 503. Report it; an edit is tried anew.",
    ),
    Reason(
        "GatewayNotFound", "Unknown", "False", "False", "False", "Reconciling",
        "The gateway that it names does not exist, or is being deleted. Create the SseGateway, or change gatewayRef.",
    ),
    Reason(
        "GatewayInvalid", "Unknown", "False", "Unknown", "Unknown", "Reconciling",
        "The gateway's own spec has faults. What its proxies serve stays as it was. Edit the SseGateway.",
    ),
    Reason(
        "NotAllowedByGateway", "False", "True", "False", "False", "Reconciling",
        "The gateway's allowedNamespaces does not let this namespace attach. It holds no context-path there.",
    ),
    Reason(
        "ContextPathConflict", "False", "True", "False", "False", "Reconciling",
        "Another SseApi holds the context-path on one of its host names; the message names it. It takes over when the "
        "holder goes. On host names where it is the holder itself, it answers 503.",
    ),
    Reason(
        "NestedContextPath", "False", "True", "False", "False", "Reconciling",
        "Its context-path lies under or above one that an SseApi of another namespace holds; the message names it. "
        "The gateway's allowNestedContextPaths would allow it.",
    ),
    Reason(
        "SecretNotFound", "True", "False", "False", "False", "Reconciling",
        "A Secret that it names does not exist, or lacks the label by which it may be used; the message has the "
        "command that sets it. Clients get 503 until it is there.",
    ),
    Reason(
        "SecretInvalid", "True", "False", "False", "False", "Reconciling",
        "A Secret that it names lacks an entry, or holds something that cannot be used; the message says what. Clients "
        "get 503 until the Secret is mended.",
    ),
    Reason(
        "NotAsked", "True", "True", "Unknown", "Unknown", "Reconciling",
        "The proxies have not been asked yet which config they have.",
    ),
    Reason(
        "NoReadyProxy", "True", "True", "False", "False", "Reconciling",
        "No proxy of the gateway is ready. Look at the gateway's pods.",
    ),
    Reason(
        "ProxyUnreachable", "True", "True", "Unknown", "Unknown", "Reconciling",
        "A ready proxy did not say which config it has; the message names the pod.",
    ),
    Reason(
        "Pending", "True", "True", "False", "False", "Reconciling",
        "A ready proxy still has an older config; the message names the pod. It passes within seconds.",
    ),
    Reason(
        "Suspended", "True", "True", "True", "True", None,
        "spec.suspend is true, and every ready proxy answers 503 with Retry-After on its context-path, as asked.",
    ),
    Reason(
        "Ready", "True", "True", "True", "True", None,
        "Every ready proxy serves it as it is now.",
    ),
)  # fmt: skip
"""In the order in which they are looked for."""

SSE_GATEWAY_REASONS = _table(
    Reason(
        "InvalidSpec", "False", "Unknown", "Unknown", "False", "Stalled",
        "The object has faults; the message lists them. What its proxies serve stays as it was. Edit the SseGateway.",
    ),
    Reason(
        "BeingDeleted", "Unknown", "Unknown", "Unknown", "Unknown", "Reconciling",
        "The gateway is being deleted. Its SseApis are GatewayNotFound.",
    ),
    Reason(
        "ApplyFailed", "True", "True", "Unknown", "False", "Reconciling",
        "The API server refused one of the gateway's objects; the message has its words. It is tried again.",
    ),
    Reason(
        "SecretNotFound", "True", "False", "Unknown", "False", "Reconciling",
        "A Secret that its tls names does not exist, or lacks the label by which it may be used; the message has the "
        "command that sets it. Proxies go on with the certificate that they had of it; new ones are without.",
    ),
    Reason(
        "SecretInvalid", "True", "False", "Unknown", "False", "Reconciling",
        "A Secret that its tls names holds no certificate that can be used, or not its key; the message says what. "
        "Proxies go on with the certificate that they had of it; new ones are without.",
    ),
    Reason(
        "ScaledToZero", "True", "True", "False", "True", None,
        "spec.replicas is 0: no proxies run, as asked. Its SseApis are NoReadyProxy.",
    ),
    Reason(
        "NotAsked", "True", "True", "Unknown", "Unknown", "Reconciling",
        "The proxies have not been asked yet which config they have.",
    ),
    Reason(
        "NoReadyProxy", "True", "True", "False", "False", "Reconciling",
        "No proxy is ready. Look at the gateway's Deployment and pods.",
    ),
    Reason(
        "ProxyUnreachable", "True", "True", "Unknown", "Unknown", "Reconciling",
        "A ready proxy did not say which config it has; the message names the pod.",
    ),
    Reason(
        "Pending", "True", "True", "False", "False", "Reconciling",
        "A ready proxy still has an older config; the message names the pod. It passes within seconds.",
    ),
    Reason(
        "Ready", "True", "True", "True", "True", None,
        "Every ready proxy has the newest config.",
    ),
)  # fmt: skip
"""In the order in which they are looked for."""
