"""How new the SseApis were that a gateway's config was made from: an annotation of its index.

A process that has just started knows only what its first list told. Were that list older than the config that is there,
SseApis would seem to be gone that are not. So the index tells the newest resource version of an SseApi in it, and a
process that has seen nothing as new writes nothing to that gateway until it has.
"""

from __future__ import annotations

from collections.abc import Iterable

from sse_operator.api import GROUP
from sse_operator.api.objects import SseApi, SseGateway
from sse_operator.cluster.errors import OperatorError
from sse_operator.resources.names import Object

AS_OF = f"{GROUP}/as-of"


class StaleViewError(OperatorError):
    """What is known of the SseApis is older than the config that was made from them."""


def written_as_of(index: Object | None, gateway: SseGateway) -> int:
    """The resource version that the index tells of; 0 where it tells of none, or was another gateway's, as after a
    restore into another cluster, which counts anew."""
    if index is None:
        return 0
    metadata = index["metadata"]
    owners = {reference.get("uid") for reference in metadata.get("ownerReferences") or ()}
    told = str((metadata.get("annotations") or {}).get(AS_OF, ""))
    return int(told) if told.isdecimal() and gateway.metadata.uid in owners else 0


def with_as_of(document: Object, version: int) -> Object:
    """The index's ConfigMap with its annotation."""
    metadata = document["metadata"]
    return {**document, "metadata": {**metadata, "annotations": {**metadata["annotations"], AS_OF: str(version)}}}


def newest(apis: Iterable[SseApi]) -> int:
    """The newest resource version among them; 0 where there are none."""
    return max((int(api.metadata.resource_version or 0) for api in apis), default=0)
