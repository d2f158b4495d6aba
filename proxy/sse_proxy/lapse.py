"""Which responses under way must end because of a new config. Pure.

An exchange keeps the entry that it started with, whatever the config becomes, but for three reasons: the credential
that let it in counts no more, its API is gone or suspended (`closeOnRemoval`), or its API is to be met as it is now
(`closeOnChange`). Only the first ends what is no event stream.
"""

from __future__ import annotations

from sse_proxy.config import Api
from sse_proxy.route import Route, RoutingTable
from sse_proxy.stream.close import CloseReason

SUSPENDED = "Suspended"


def lapsed(
    route: Route, credential: bytes, current: RoutingTable, before: RoutingTable | None = None
) -> CloseReason | None:
    """Why an exchange that came in by `route`, with a plan's `Consumer.credential`, must end under the table `current`;
    None: it goes on. `before` is the table that the exchange was judged by before, if it was. What the latest entry of
    its API says of such ends is what counts."""
    key = route.key
    now = current.routes.get(key)
    if now is route:
        return None
    if now is not None and credential and not now.plan.knows(credential):
        return CloseReason.REVOKED
    if now is None:
        latest = before.routes.get(key) if before is not None else route
        if latest is None or not current.complete:
            # It was judged when it went, or it may be in the part of the first config that is not there yet.
            return None
        return CloseReason.REMOVED if latest.api.stream.close_on_removal else None
    stream = now.api.stream
    if now.unavailable is not None:
        suspended = now.unavailable.reason == SUSPENDED
        return CloseReason.REMOVED if suspended and stream.close_on_removal else None
    return CloseReason.CHANGED if stream.close_on_change and _content(now.api) != _content(route.api) else None


def _content(api: Api) -> Api:
    """The entry without what only says when it was made."""
    return api.model_copy(update={"generation": 0, "revision": 0})
