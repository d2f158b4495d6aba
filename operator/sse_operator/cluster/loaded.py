"""How far the proxies of a gateway have come, from what they said."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sse_operator.api.sse_api import Warned
from sse_operator.compiler.model import Programmed
from sse_proxy.config import shard_ids


def read_loaded(content: bytes) -> Mapping[str, int] | None:
    """The revisions in a proxy's answer to `GET /config`, by shard id, `""` for all that are not named; None where it
    is no such answer.

    `{"revision": 12, "shards": {"07": 11}}`: all shards of revision 12 are loaded, but 07 is still of 11."""
    try:
        answer = json.loads(content)
    except ValueError:
        return None
    revision, shards = (answer.get("revision"), answer.get("shards")) if isinstance(answer, dict) else (None, None)
    if not isinstance(revision, int) or (shards is not None and not isinstance(shards, dict)):
        return None
    return {"": revision, **{str(key): value for key, value in (shards or {}).items() if isinstance(value, int)}}


MOST_TOLD = 300
"""Characters of a proxy's warning that go into a status."""


def read_warnings(content: bytes) -> Mapping[str, Sequence[Warned]]:
    """What a proxy's answer to `GET /config` warns of, by SseApi key; what cannot be read is passed over.

    `{"warnings": [{"api": "shop/prices", "reason": "MaxConnectionsReached", "message": "…"}]}`"""
    try:
        answer = json.loads(content)
    except ValueError:
        return {}
    warnings: dict[str, list[Warned]] = {}
    given: Any = answer.get("warnings") if isinstance(answer, dict) else None
    for each in given if isinstance(given, list) else ():
        api, reason, message = (each.get(name) if isinstance(each, dict) else None for name in _WARNING)
        if isinstance(api, str) and isinstance(reason, str) and isinstance(message, str):
            warnings.setdefault(api, []).append(Warned(reason=reason, message=message[:MOST_TOLD]))
    return warnings


_WARNING = ("api", "reason", "message")


def behind(programmed: Programmed, revision: int) -> set[str]:
    """Names of the pods that do not have all of `revision` yet, or did not say."""
    return set(programmed.unreachable) | {
        pod
        for pod, loaded in programmed.loaded.items()
        if any(loaded.get(shard, loaded.get("", 0)) < revision for shard in shard_ids())
    }


def loaded_everywhere(programmed: Programmed | None) -> int:
    """The revision of which every ready proxy has all; -1 where there is none or not each of them said so."""
    if programmed is None or programmed.unreachable or not 0 < programmed.ready_pods <= len(programmed.loaded):
        return -1
    return min(min(loaded.values()) for loaded in programmed.loaded.values())
