"""Writes of what a gateway owns: only what differs, never over what is somebody else's.

Whether an object is as it should be is told without asking: the annotation `sse-gateway.dev/applied` has the digest of
what was applied last (so a field that we no longer set is noticed), and every field that we set must be there with our
value (so a change by hand is noticed). Fields of others, such as an autoscaler's replicas or an admin's annotation,
do not count and stay, since server-side apply leaves them alone.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Hashable, Iterable
from decimal import Decimal
from typing import Any

from sse_operator.api import GROUP
from sse_operator.api.objects import SseGateway
from sse_operator.cluster.api_server import ApiServer
from sse_operator.cluster.errors import ApiServerError, ForeignObjectError, KindMissingError
from sse_operator.cluster.kinds import DEPLOYMENTS, Kind, kind_of
from sse_operator.cluster.store import Name, Store
from sse_operator.resources.names import MANAGER, Object, owned_by

logger = logging.getLogger(__name__)

APPLIED = f"{GROUP}/applied"

REPLICAS_MANAGER = f"{MANAGER}-replicas"

QUANTITIES = ("cpu", "memory", "averageValue")
"""Fields whose value the API server may write in another way."""


class Applier:
    """Brings a gateway's objects to what they should be."""

    def __init__(self, api: ApiServer, store: Store) -> None:
        self._api = api
        self._store = store
        self._in_order: dict[str, dict[tuple[Kind, Name], tuple[Hashable, Object]]] = {}
        """Gateway → its objects that were found as they should be, with what that depends on."""

    def is_in_order(self, gateway: SseGateway, kind: Kind, name: Name, basis: Hashable) -> bool:
        """Whether the object is the very one that `keep` found as it should be with the same basis."""
        found = self._in_order.get(gateway.metadata.key, {}).get((kind, name))
        return found is not None and found[1] is self._store.children[kind].get(name) and found[0] == basis

    async def keep(
        self, gateway: SseGateway, kind: Kind, name: Name, basis: Hashable, render: Callable[[], Object]
    ) -> bool:
        """`apply` of what `render` gives, which depends on `basis` alone. It is not even rendered where the object
        `is_in_order`."""
        if self.is_in_order(gateway, kind, name, basis):
            return False
        in_order = self._in_order.setdefault(gateway.metadata.key, {})
        in_order.pop((kind, name), None)
        stamped = _stamped(render())
        written = await self._apply(gateway, stamped)
        live = self._store.children[kind].get(name)
        if live is not None and is_as_applied(stamped, live):  # a webhook may have had its own will
            in_order[kind, name] = (basis, live)
        return written

    def forget(self, gateway_key: str) -> None:
        """The gateway is gone."""
        self._in_order.pop(gateway_key, None)

    async def apply(self, gateway: SseGateway, document: Object) -> bool:
        """Write the object if it differs. Whether it did. Raises ObjectRefusedError, ApiServerError."""
        return await self._apply(gateway, _stamped(document))

    async def _apply(self, gateway: SseGateway, stamped: Object) -> bool:
        kind, name = kind_of(stamped), name_of(stamped)
        live = self._store.children[kind].get(name)
        if live is None:
            live = await self._unlabelled(kind, name)
        if live is not None and not owned_by(live, gateway):
            raise ForeignObjectError(kind.name, "/".join(name))
        if live is not None and is_as_applied(stamped, live):
            return False
        try:
            if live is not None and kind is DEPLOYMENTS and "replicas" not in stamped["spec"]:
                await self._hand_over_replicas(live)
            applied = await self._api.apply(kind, stamped)
        except ApiServerError as error:
            if kind.comes_with and error.kind_missing:
                raise KindMissingError(kind.name, "/".join(name), kind.comes_with) from error
            raise
        self._store.put(kind, applied)
        logger.info("applied", extra={"gateway": gateway.metadata.key, "object": f"{kind.name} {name[0]}/{name[1]}"})
        return True

    async def _hand_over_replicas(self, live: Object) -> None:
        """What is no longer applied goes, and a Deployment without `replicas` has one pod. So before the operator
        stops naming them, another manager does, until the autoscaler changes them (Kubernetes, "Server-Side Apply",
        transferring ownership)."""
        metadata = live["metadata"]
        document = {
            "apiVersion": live["apiVersion"],
            "kind": live["kind"],
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "spec": {"replicas": live["spec"]["replicas"]},
        }
        await self._api.apply(DEPLOYMENTS, document, manager=REPLICAS_MANAGER)

    async def create(self, gateway: SseGateway, document: Object) -> Object:
        """Create the object where there is none: the object as it is now. Raises ForeignObjectError, ApiServerError."""
        kind, name = kind_of(document), name_of(document)
        live = self._store.children[kind].get(name) or await self._unlabelled(kind, name)
        if live is None:
            live = await self._api.create(kind, document)
            self._store.put(kind, live)
        if not owned_by(live, gateway):
            raise ForeignObjectError(kind.name, "/".join(name))
        return live

    async def prune(self, gateway: SseGateway, keep: Iterable[tuple[Kind, Name]], kinds: Iterable[Kind]) -> int:
        """Delete what the gateway owns of these kinds and is not in `keep`. How many were deleted."""
        kept = set(keep)
        pruned = 0
        for kind in kinds:
            for live in self._store.children[kind].of_gateway(gateway.metadata.key):
                name = name_of(live)
                if (kind, name) in kept or not owned_by(live, gateway) or "deletionTimestamp" in live["metadata"]:
                    continue
                await self._delete(kind, live)
                self._in_order.get(gateway.metadata.key, {}).pop((kind, name), None)
                pruned += 1
        return pruned

    async def _delete(self, kind: Kind, live: Object) -> None:
        metadata = live["metadata"]
        try:
            await self._api.delete(
                kind,
                metadata["namespace"],
                metadata["name"],
                uid=metadata["uid"],
                version=metadata["resourceVersion"],
            )
        except ApiServerError as error:
            if not error.not_found:
                raise
        self._store.delete(kind, live)
        logger.info("pruned", extra={"object": f"{kind.name} {metadata['namespace']}/{metadata['name']}"})

    async def _unlabelled(self, kind: Kind, name: Name) -> Object | None:
        """An object that our selector does not show: somebody else's, or one of ours that lost its labels."""
        try:
            return await self._api.get(kind, *name)
        except ApiServerError as error:
            if error.not_found:
                return None
            raise


def name_of(document: Object) -> Name:
    """(namespace, name)."""
    return document["metadata"].get("namespace", ""), document["metadata"]["name"]


def is_new(document: Object, live: Object) -> bool:
    """Whether `document` is another than was applied last, whatever became of it since."""
    stamp = (live["metadata"].get("annotations") or {}).get(APPLIED)
    return bool(_stamped(document)["metadata"]["annotations"][APPLIED] != stamp)


def is_as_applied(stamped: Object, live: Object) -> bool:
    """Whether every field of `stamped` is in `live` with the same value. Lists of objects are matched item by item,
    in any order and with others between them; lists of values must be equal."""
    return _within(stamped, live)


def _within(wanted: Any, live: Any) -> bool:
    match wanted:
        case dict():
            return isinstance(live, dict) and all(
                key in live
                and (_within(value, live[key]) or (key in QUANTITIES and same_quantity(str(value), str(live[key]))))
                for key, value in wanted.items()
            )
        case list() if wanted and isinstance(wanted[0], dict):
            if not isinstance(live, list):
                return False
            if len(live) == len(wanted) and all(_within(item, other) for item, other in zip(wanted, live, strict=True)):
                return True
            return all(any(_within(item, other) for other in live) for item in wanted)
        case _:
            return bool(wanted == live)


def same_quantity(one: str, other: str) -> bool:
    """Whether two Kubernetes quantities are equal: the API server writes 1.5Gi as 1536Mi, and 5000 as 5k."""
    values = [_quantity(text) for text in (one, other)]
    return values[0] is not None and values[0] == values[1]


def _quantity(text: str) -> Decimal | None:
    match = _QUANTITY.fullmatch(text)
    return Decimal(match[1]) * _SUFFIXES[match[2] or ""] if match else None


_SUFFIXES = {
    "m": Decimal("0.001"),
    "": Decimal(1),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTP", 1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTP", 1)},
}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")


def _stamped(document: Object) -> Object:
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    metadata = document["metadata"]
    return {
        **document,
        "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), APPLIED: digest}},
    }
