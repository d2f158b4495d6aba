"""Who may connect. A plan looks at a request before anything is sent upstream.

Read in this order: `plan` (what every plan does), `sources` (where credentials stand in a request, and how they are
taken out of it), `api_key`, `passwords` and `basic`. `plan_for` picks the plan of a config entry.
"""

from __future__ import annotations

from collections.abc import Mapping

from sse_proxy import config
from sse_proxy.plans.api_key import ApiKey
from sse_proxy.plans.basic import Basic
from sse_proxy.plans.passwords import Passwords
from sse_proxy.plans.plan import ANYBODY as ANYBODY
from sse_proxy.plans.plan import Admission as Admission
from sse_proxy.plans.plan import Consumer as Consumer
from sse_proxy.plans.plan import Keyless
from sse_proxy.plans.plan import Plan as Plan
from sse_proxy.plans.plan import Verdict as Verdict

_KEYLESS = Keyless()


def plan_for(plan: config.Plan, slots: Mapping[str, str], passwords: Passwords) -> Plan:
    """The plan of a config entry. `slots` are the entry's secrets: without its own a plan lets nobody in."""
    match plan:
        case config.ApiKey():
            return ApiKey(plan, slots.get(config.KEYS_SLOT, ""))
        case config.Basic():
            return Basic(plan, slots.get(config.USERS_SLOT, ""), passwords)
        case config.Keyless():
            return _KEYLESS
