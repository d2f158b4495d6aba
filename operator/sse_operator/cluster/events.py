"""Kubernetes Events: what `kubectl describe` tells of an SseApi or SseGateway beside its conditions.

- One Event for each change of the deciding reason. What only passes (a config that is on its way to the proxies) is no
  Event; nor is, for an SseApi, what happened to its gateway's proxies, which would be told once per SseApi.
- What is told again within the hour is the same Event with a higher count.
- Events are told after the fact and never hold anything up: they wait in a bounded queue and are written at a bounded
  rate; what does not fit is dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sse_operator.api import API_VERSION
from sse_operator.api.conditions import Condition, timestamp
from sse_operator.api.model import Metadata
from sse_operator.cluster.api_server import ApiServer
from sse_operator.cluster.errors import ApiServerError, LeaseLostError, OperatorError
from sse_operator.cluster.kinds import EVENTS, SSE_APIS, Kind
from sse_operator.cluster.metrics import Metrics
from sse_operator.resources.names import MANAGER, Object

logger = logging.getLogger(__name__)

WAITING = 500
"""Events that may wait to be written."""

RATE, BURST = 10.0, 50
"""Events a second in the long run, and at once."""

REMEMBERED = 4096
"""Events whose count can go up, the latest ones."""

MESSAGE_LENGTH = 1024
"""Characters of an Event's note that the API server takes."""

PASSING = frozenset({"NotAsked", "Pending"})
OF_THE_PROXIES = frozenset({"NoReadyProxy", "ProxyUnreachable"})


@dataclass(frozen=True, slots=True)
class Notice:
    """What an Event is to say."""

    kind: Kind
    metadata: Metadata
    normal: bool
    reason: str
    message: str


class Story:
    """What has been told of each object, so that it is told once. Pure."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], str] = {}
        """(uid, condition type) → reason told last."""

    def changed(
        self, kind: Kind, metadata: Metadata, before: Sequence[Condition], after: Sequence[Condition]
    ) -> list[Notice]:
        """What is to be told now that the conditions of an object went from `before` to `after`."""
        untold = PASSING | OF_THE_PROXIES if kind is SSE_APIS else PASSING
        notices = []
        for aspect in ("Ready", "Warning"):
            old, new = _of_type(before, aspect), _of_type(after, aspect)
            told = self._told.get((metadata.uid, aspect), old.reason if old else "")
            if told in untold:  # it was so before this process looked: the end of it is nothing new
                told = "Ready"
            if new is None:
                self._told.pop((metadata.uid, aspect), None)
            elif new.reason in untold:
                self._told[metadata.uid, aspect] = told
            else:
                self._told[metadata.uid, aspect] = new.reason
                if new.reason != told:
                    normal = aspect == "Ready" and new.status == "True"
                    notices.append(Notice(kind, metadata, normal, new.reason, new.message))
        return notices

    def keep(self, uids: Collection[str]) -> None:
        """Forget all objects but these."""
        self._told = {key: reason for key, reason in self._told.items() if key[0] in uids}


def _of_type(conditions: Sequence[Condition], kind: str) -> Condition | None:
    return next((condition for condition in conditions if condition.type == kind), None)


class EventWriter:
    """Writes Events. `now` is the wall clock, for people; `clock` a monotonic one, in seconds."""

    def __init__(
        self, api: ApiServer, metrics: Metrics, *, now: Callable[[], datetime], clock: Callable[[], float]
    ) -> None:
        self._api = api
        self._metrics = metrics
        self._now = now
        self._clock = clock
        self._waiting: asyncio.Queue[Notice] = asyncio.Queue(WAITING)
        self._counts: OrderedDict[tuple[str, str, str], tuple[str, int]] = OrderedDict()
        """(uid, reason, message) → name and count of the Event that says so."""
        self._allowance = float(BURST)
        self._allowed_at = clock()

    def tell(self, notice: Notice) -> None:
        """Have the Event written some time soon, or drop it where too many wait."""
        try:
            self._waiting.put_nowait(notice)
        except asyncio.QueueFull:
            self._metrics.events_dropped.inc()

    async def run(self) -> None:
        """Write what is told until cancelled. Raises LeaseLostError; other failures cost one Event."""
        while True:
            notice = await self._waiting.get()
            await self._pause()
            try:
                await self._write(notice)
            except LeaseLostError:
                raise
            except OperatorError as error:
                logger.debug("event: %s", error)

    async def _pause(self) -> None:
        now = self._clock()
        self._allowance = min(BURST, self._allowance + (now - self._allowed_at) * RATE)
        self._allowed_at = now
        self._allowance -= 1
        if self._allowance < 0:
            await asyncio.sleep(-self._allowance / RATE)

    async def _write(self, notice: Notice) -> None:
        key = (notice.metadata.uid, notice.reason, notice.message)
        namespace = notice.metadata.namespace
        if key in self._counts:
            name, count = self._counts[key]
            patch = {"count": count + 1, "lastTimestamp": timestamp(self._now())}
            try:
                await self._api.merge(EVENTS, namespace, name, patch)
            except ApiServerError as error:
                if not error.not_found:  # the API server keeps them for an hour
                    raise
                del self._counts[key]
            else:
                self._remember(key, name, count + 1)
                return
        name = f"{notice.metadata.name[:230]}.{os.urandom(8).hex()}"
        await self._api.create(EVENTS, _event(notice, name, timestamp(self._now())))
        self._remember(key, name, 1)

    def _remember(self, key: tuple[str, str, str], name: str, count: int) -> None:
        self._counts[key] = (name, count)
        self._counts.move_to_end(key)
        if len(self._counts) > REMEMBERED:
            self._counts.popitem(last=False)


def _event(notice: Notice, name: str, moment: str) -> Object:
    metadata = notice.metadata
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": metadata.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": notice.kind.name,
            "namespace": metadata.namespace,
            "name": metadata.name,
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
        },
        "type": "Normal" if notice.normal else "Warning",
        "reason": notice.reason,
        "message": notice.message[:MESSAGE_LENGTH],
        "source": {"component": MANAGER},
        "reportingComponent": MANAGER,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
