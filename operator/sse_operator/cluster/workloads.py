"""All of a gateway's objects but its config: applied where they differ, and deleted where they are needed no more."""

from __future__ import annotations

from sse_operator.api.objects import SseGateway
from sse_operator.api.sse_gateway import SseGatewaySpec
from sse_operator.cluster.apply import Applier, name_of
from sse_operator.cluster.errors import ApiServerError, ObjectRefusedError, told_refusal
from sse_operator.cluster.kinds import CHILDREN, CONFIG_MAPS, DEPLOYMENTS, DISPENSABLE, SECRETS, kind_of
from sse_operator.cluster.rollouts import Rollouts
from sse_operator.cluster.store import Store
from sse_operator.resources.names import Object
from sse_operator.resources.workload import Workload, workload

KINDS = [kind for kind in CHILDREN if kind not in (CONFIG_MAPS, SECRETS)]


class Workloads:
    """Of all gateways. `settings` are the operator's."""

    def __init__(self, applier: Applier, store: Store, settings: Workload) -> None:
        self._applier = applier
        self._store = store
        self._settings = settings
        self._rollouts = Rollouts(applier, store)
        self._in_order: dict[str, tuple[SseGateway, list[Object]]] = {}
        """Gateway → the objects that were found as they should be, and the gateway whose they were."""

    async def apply(self, gateway: SseGateway, spec: SseGatewaySpec) -> tuple[list[str], bool]:
        """What the API server refused, and whether the Deployment was left for later. Nothing is even rendered where
        spec and objects are those that were found in order. Raises OperatorError."""
        key = gateway.metadata.key
        found = self._live(key)
        if self._is_in_order(gateway, found):
            return [], False
        objects = workload(gateway, spec, self._settings)
        refusals: list[str] = []
        left = False
        for document in objects:
            try:
                if kind_of(document) is DEPLOYMENTS:
                    left = await self._rollouts.apply(gateway, document)
                else:
                    await self._applier.apply(gateway, document)
            except (ApiServerError, ObjectRefusedError) as error:
                refusals.append(told_refusal(error))
        if not refusals:
            await self._applier.prune(gateway, ((kind_of(each), name_of(each)) for each in objects), DISPENSABLE)
            if not left:
                self._in_order[key] = (gateway, found)
        return refusals, left

    def forget(self, gateway_key: str) -> None:
        """The gateway is gone."""
        self._in_order.pop(gateway_key, None)

    def _live(self, key: str) -> list[Object]:
        return [live for kind in KINDS for live in self._store.children[kind].of_gateway(key)]

    def _is_in_order(self, gateway: SseGateway, found: list[Object]) -> bool:
        """Whether they were as they should be. Where something had to be written to make them so, they were not."""
        known, in_order = self._in_order.get(gateway.metadata.key, (None, []))
        return (
            known is not None
            and known.spec is gateway.spec
            and known.metadata.uid == gateway.metadata.uid
            and len(in_order) == len(found)
            and all(one is other for one, other in zip(in_order, found, strict=True))
        )
