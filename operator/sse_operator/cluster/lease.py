"""Who leads: a Lease object that one process holds and renews (coordination.k8s.io, as client-go's leader election).

- A holder is taken for dead when its record has not changed for `duration`, by the observer's own monotonic clock:
  wall clocks of different nodes are never compared.
- A holder that could not renew for `renew_deadline` has lost the lease. Since that is sooner than `duration`, it has
  stopped before anybody else starts.
- `check` is asked before every write, so that a process that was frozen does not write when it wakes up.
- On a graceful end the lease is released: the next one need not wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sse_operator.cluster.api_server import ApiServer
from sse_operator.cluster.errors import ApiServerError, LeaseLostError, OperatorError
from sse_operator.cluster.kinds import LEASES
from sse_operator.resources.names import Object

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LeaseTimes:
    """Seconds, as client-go's defaults."""

    duration: float = 15.0
    """For how long a record that does not change still counts."""
    renew_deadline: float = 10.0
    """For how long a holder may fail to renew."""
    retry: float = 2.0
    """Between two attempts to get or renew it."""


class Observer:
    """What is known of the holder: pure, time is an argument in seconds on one monotonic clock."""

    def __init__(self, identity: str, times: LeaseTimes) -> None:
        self._identity = identity
        self._times = times
        self._record: tuple[str, str, int] | None = None
        self._since = 0.0

    def may_take(self, spec: Object, now: float) -> bool:
        """Whether the lease of this `spec` is ours, free, or held by one that is taken for dead."""
        record = (spec.get("holderIdentity") or "", spec.get("renewTime") or "", spec.get("leaseTransitions") or 0)
        if record != self._record:
            self._record, self._since = record, now
        return record[0] in ("", self._identity) or now - self._since >= self._times.duration


class Elector:
    """Holds the lease `namespace/name` as `identity`, or waits for it."""

    def __init__(
        self,
        api: ApiServer,
        namespace: str,
        name: str,
        identity: str,
        *,
        times: LeaseTimes = LeaseTimes(),
        clock: Callable[[], float],
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._times = times
        self._clock = clock
        self._observer = Observer(identity, times)
        self._attempted: float | None = None
        """When the last attempt began; None before the first."""
        self._held: Object | None = None
        """The lease as it was when this process wrote it last."""
        self._renewed: float | None = None
        """When the attempt began that renewed it last; None while it is not held."""

    @property
    def leads(self) -> bool:
        """Whether the lease is held beyond doubt."""
        return self._renewed is not None and self._clock() - self._renewed < self._times.renew_deadline

    def overdue(self, now: float) -> float:
        """For how many seconds longer than normal nobody has tried to get or renew the lease; 0 where all is well. It
        says nothing of whether the attempts succeed."""
        if self._attempted is None:
            return 0.0
        return max(now - self._attempted - self._times.duration, 0.0)

    def check(self) -> None:
        """Raises LeaseLostError unless the lease is held beyond doubt."""
        if not self.leads:
            raise LeaseLostError(f"lease {self._namespace}/{self._name} is not held any more")

    async def acquire(self) -> None:
        """Return when the lease is held. API errors are told and outlasted."""
        while True:
            if await self._attempt():
                break
            await asyncio.sleep(self._times.retry)
        logger.info("leading", extra={"lease": f"{self._namespace}/{self._name}", "identity": self._identity})

    async def keep(self) -> None:
        """Renew until cancelled. Raises LeaseLostError."""
        while True:
            await asyncio.sleep(self._times.retry)
            await self._attempt()
            self.check()

    async def release(self) -> None:
        """Give the lease up, if it is held; a failure only costs the next holder some time."""
        if not self.leads:
            return
        self._renewed = self._held = None
        with contextlib.suppress(OperatorError):
            lease = await self._request("GET", self._path, None)
            if lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"].update(holderIdentity="", leaseDurationSeconds=1, renewTime=_now())
                await self._request("PUT", self._path, lease)

    @property
    def _path(self) -> str:
        return LEASES.path(self._namespace, self._name)

    async def _attempt(self) -> bool:
        began = self._attempted = self._clock()
        try:
            held = await self._take()
        except ApiServerError as error:
            if not error.conflict:
                logger.warning("lease: %s", error)
            held = False
        except OperatorError as error:
            logger.warning("lease: %s", error)
            held = False
        if not held:
            self._held = None
        if held:
            self._renewed = began
        return held

    async def _take(self) -> bool:
        if self._held is not None:  # nobody has written to it, or else this is refused: there is no need to look
            lease = self._held
        else:
            try:
                lease = await self._request("GET", self._path, None)
            except ApiServerError as error:
                if not error.not_found:
                    raise
                self._held = await self._request("POST", LEASES.path(self._namespace), self._new())
                return True
        spec = lease["spec"]
        if not self._observer.may_take(spec, self._clock()):
            return False
        changes = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(self._times.duration),
            "renewTime": _now(),
        }
        if spec.get("holderIdentity") != self._identity:
            changes |= {"leaseTransitions": (spec.get("leaseTransitions") or 0) + 1, "acquireTime": _now()}
        lease = {**lease, "spec": {**spec, **changes}}
        # It carries the resourceVersion: this fails if somebody was quicker.
        self._held = await self._request("PUT", self._path, lease)
        return True

    async def _request(self, method: str, path: str, body: Object | None) -> Object:
        return await self._api.lease(method, path, body, timeout=self._times.renew_deadline / 2)

    def _new(self) -> Object:
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.name,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(self._times.duration),
                "leaseTransitions": 0,
                "acquireTime": _now(),
                "renewTime": _now(),
            },
        }


def _now() -> str:
    """For people only: see the first rule."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
