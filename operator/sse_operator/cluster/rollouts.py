"""One gateway's pods roll at a time when the operator itself is the reason, as with a new image after an upgrade.

What a gateway's owner asks for is done at once, and so is the repair of what somebody changed by hand. A rollout that
the Deployment controller has given up (its progress deadline has passed) holds nobody up.
"""

from __future__ import annotations

import asyncio

from sse_operator.api.objects import SseGateway
from sse_operator.cluster.apply import Applier, is_new
from sse_operator.cluster.kinds import DEPLOYMENTS
from sse_operator.cluster.store import Store
from sse_operator.resources.names import Object, gateway_key_of_child


class Rollouts:
    """Applies Deployments."""

    def __init__(self, applier: Applier, store: Store) -> None:
        self._applier = applier
        self._store = store
        self._turn = asyncio.Lock()

    async def apply(self, gateway: SseGateway, document: Object) -> bool:
        """Apply the Deployment, or leave it for later while another gateway's pods roll: whether it was left.
        Raises as `Applier.apply`."""
        live = self._store.children[DEPLOYMENTS].get((document["metadata"]["namespace"], document["metadata"]["name"]))
        asked = gateway.status.observed_generation != gateway.metadata.generation
        if asked or live is None or not is_new(document, live):
            await self._applier.apply(gateway, document)
            return False
        async with self._turn:  # from the look to the write, so that two do not start together
            if self._another_rolls(gateway.metadata.key):
                return True
            await self._applier.apply(gateway, document)
        return False

    def _another_rolls(self, key: str) -> bool:
        return any(
            rolls(deployment) and gateway_key_of_child(deployment["metadata"]) != key
            for deployment in self._store.children[DEPLOYMENTS].all()
        )


def rolls(deployment: Object) -> bool:
    """Whether pods of an older template may still run, or new ones are not available yet (as `kubectl rollout
    status` judges)."""
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    if any(
        condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded"
        for condition in status.get("conditions") or ()
    ):
        return False
    updated = status.get("updatedReplicas", 0)
    return bool(
        status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0)
        or updated < wanted
        or status.get("replicas", 0) > updated
        or status.get("availableReplicas", 0) < updated
    )
