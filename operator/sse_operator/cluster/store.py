"""What the operator knows of the cluster: the newest version of every object that concerns it, indexed by gateway.

Rules, on which everything else relies:

- An object is replaced only by a newer one: watch events, answers to our own writes and lists come in any order.
  Resource versions are compared as numbers (Kubernetes API concepts, "Resource versions").
- A list evicts what it does not hold, but nothing that was seen in a version newer than the list.
- What was deleted or evicted stays away: an event or list that is older than the deletion, or an event that is older
  than the last list, brings nothing back.
- Each change says which gateways it concerns. Nothing here does I/O.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from sse_operator.api.data_objects import DataObject, is_usable, read_data_object
from sse_operator.api.model import Metadata
from sse_operator.api.objects import SseApi, SseGateway
from sse_operator.api.reading import read_sse_api, read_sse_gateway
from sse_operator.api.references import Reference, ReferencedKind
from sse_operator.api.sharing import share_parts, shared_set
from sse_operator.cluster.kinds import (
    CHILDREN,
    CONFIG_MAPS,
    NAMESPACES,
    PODS,
    SECRETS,
    SSE_APIS,
    SSE_GATEWAYS,
    Kind,
)
from sse_operator.cluster.pods import ProxyPod, read_pod
from sse_operator.compiler.attach import gateway_key_of
from sse_operator.compiler.model import DefaultGateway
from sse_operator.resources.names import Object, gateway_key_of_child

ValueT = TypeVar("ValueT")

Name = tuple[str, str]
"""(namespace, name); the namespace of cluster-wide objects is empty."""


NEVER = sys.maxsize
"""The version of a list of a kind that the API server does not serve."""

UNATTACHED = ""
"""Key of the SseApis whose gatewayRef is faulty, so that no gateway has them."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """What we must know of a namespace."""

    labels: Mapping[str, str]
    terminating: bool


@dataclass(frozen=True, slots=True)
class _Known(Generic[ValueT]):
    uid: str
    version: int
    value: ValueT
    gateways: frozenset[str]
    references: frozenset[Reference]


class Shelf(Generic[ValueT]):
    """All objects of one kind, by name and by gateway."""

    def __init__(
        self,
        read: Callable[[Mapping[str, Any], ValueT | None], ValueT],
        gateways_of: Callable[[Mapping[str, Any], ValueT], set[str]],
        references_of: Callable[[ValueT], frozenset[Reference]] = lambda _: frozenset(),
    ) -> None:
        self._read = read
        self._gateways_of = gateways_of
        self._references_of = references_of
        self._referring: dict[tuple[str, Reference], set[Name]] = {}
        """(namespace, reference) → names of the objects that refer."""
        self._known: dict[Name, _Known[ValueT]] = {}
        self._by_gateway: dict[str, dict[Name, ValueT]] = {}
        self._deleted: dict[str, int] = {}
        """uid → the version at which it was deleted, for what was deleted after the last list."""
        self._listed: dict[str | None, int] = {}
        """Namespace, or None for all → the version of its last list."""

        self.newest = 0
        """The newest resource version of an object or a list that was seen."""

    def __len__(self) -> int:
        return len(self._known)

    def get(self, name: Name) -> ValueT | None:
        """The object of that name."""
        known = self._known.get(name)
        return known.value if known else None

    def version(self, name: Name) -> tuple[str, str] | None:
        """(uid, resource version) of the object of that name."""
        known = self._known.get(name)
        return (known.uid, str(known.version)) if known else None

    def all(self) -> Iterator[ValueT]:
        """All objects."""
        return (known.value for known in self._known.values())

    def uids(self) -> set[str]:
        """The uids of all objects."""
        return {known.uid for known in self._known.values()}

    def of_gateway(self, key: str) -> list[ValueT]:
        """The objects of one gateway, by namespace and name."""
        return [value for _, value in sorted(self._by_gateway.get(key, {}).items())]

    def attached(self, key: str) -> Mapping[Name, ValueT]:
        """The objects of one gateway, as they are at any time until the next change."""
        return self._by_gateway.get(key, {})

    def gateways(self) -> set[str]:
        """Keys of all gateways that have objects here."""
        return set(self._by_gateway)

    def referring(self, namespace: str, reference: Reference) -> set[str]:
        """Keys of the gateways whose objects refer to what is in that namespace."""
        names = self._referring.get((namespace, reference), ())
        return {key for name in names for key in self._known[name].gateways}

    def put(self, document: Mapping[str, Any]) -> set[str]:
        """Take over an object as it is now. The keys of the gateways that it concerned and concerns; none where it is
        not newer than what is known."""
        name, uid, version = _identity(document)
        known = self._known.get(name)
        if (known and known.version >= version) or self._deleted.get(uid, -1) >= version:
            return set()
        if known is None and version <= self._listed_at(name[0]):
            return set()
        return self._take(name, uid, version, document)

    def _listed_at(self, namespace: str) -> int:
        return max(self._listed.get(None, -1), self._listed.get(namespace, -1))

    def _take(self, name: Name, uid: str, version: int, document: Mapping[str, Any]) -> set[str]:
        self.newest = max(self.newest, version)
        known = self._known.get(name)
        value = self._read(document, known.value if known else None)
        gateways = shared_set(frozenset(self._gateways_of(document, value)))
        concerned = set(gateways)
        if known:
            concerned |= self._drop(name, known)
        references = self._references_of(value)
        self._known[name] = _Known(uid, version, value, gateways, references)
        for reference in references:
            self._referring.setdefault((name[0], reference), set()).add(name)
        for key in gateways:
            self._by_gateway.setdefault(key, {})[name] = value
        return concerned

    def delete(self, document: Mapping[str, Any]) -> set[str]:
        """The object is gone, as of the resource version that it carries. The keys of the gateways it concerned."""
        name, uid, version = _identity(document)
        self._deleted[uid] = max(version, self._deleted.get(uid, -1))
        known = self._known.get(name)
        if known is None or known.uid != uid:
            return set()
        return self._drop(name, known)

    def put_listed(self, documents: Iterable[Mapping[str, Any]]) -> set[Name]:
        """Take over a page of a list, as far as it is newer than what is known. The names of all that is on it."""
        listed: set[Name] = set()
        for document in documents:
            name, uid, at = _identity(document)
            listed.add(name)
            known = self._known.get(name)
            if (known is None or known.version < at) and self._deleted.get(uid, -1) < at:
                self._take(name, uid, at, document)
        return listed

    def evict(self, listed: Collection[Name], version: int, namespace: str | None) -> None:
        """Drop what a complete list as of `version`, of one namespace or of all, does not have."""
        for name, known in list(self._known.items()):
            if name not in listed and known.version <= version and namespace in (None, name[0]):
                self._drop(name, known)
        if version != NEVER:
            self.newest = max(self.newest, version)
        self._listed[namespace] = max(version, self._listed.get(namespace, -1))
        if namespace is None:
            self._deleted = {uid: at for uid, at in self._deleted.items() if at > version}

    def _drop(self, name: Name, known: _Known[ValueT]) -> set[str]:
        del self._known[name]
        for key in known.gateways:
            of_gateway = self._by_gateway[key]
            del of_gateway[name]
            if not of_gateway:
                del self._by_gateway[key]
        for reference in known.references:
            referring = self._referring[name[0], reference]
            referring.discard(name)
            if not referring:
                del self._referring[name[0], reference]
        return set(known.gateways)


_REFERENCED: dict[Kind, ReferencedKind] = {SECRETS: "Secret", CONFIG_MAPS: "ConfigMap"}
"""The kinds that SseApis and SseGateways refer to. Their shelves have the gateways' own objects and those that may be
used."""


class Store:
    """Everything known, one shelf per kind."""

    def __init__(self, default_gateway: DefaultGateway) -> None:
        def of_api(_: Mapping[str, Any], api: SseApi) -> set[str]:
            return {gateway_key_of(api, default_gateway) or UNATTACHED}

        def of_gateway(_: Mapping[str, Any], gateway: SseGateway) -> set[str]:
            return {gateway.metadata.key}

        def of_child(document: Mapping[str, Any], _: object) -> set[str]:
            key = gateway_key_of_child(document["metadata"])
            return {key} if key else set()

        self.apis = Shelf[SseApi](_read_api, of_api, lambda api: api.references)
        self.gateways = Shelf[SseGateway](read_sse_gateway, of_gateway, lambda gateway: gateway.references)
        self.namespaces = Shelf[Namespace](lambda document, _: _read_namespace(document), lambda *_: set())
        self.pods = Shelf[ProxyPod](lambda document, _: read_pod(document), of_child)
        self.children: dict[Kind, Shelf[Object]] = {
            kind: Shelf[Object](lambda document, _: _read_child(document), of_child) for kind in CHILDREN
        }
        self._shelves: dict[Kind, Shelf[Any]] = {
            SSE_APIS: self.apis,
            SSE_GATEWAYS: self.gateways,
            NAMESPACES: self.namespaces,
            PODS: self.pods,
            **self.children,
        }

    def put(self, kind: Kind, document: Mapping[str, Any]) -> set[str]:
        """See `Shelf.put`; a namespace concerns the gateways that are in it or have SseApis in it, a Secret or
        ConfigMap also those that refer to it or have SseApis that do."""
        name = _identity(document)[0]
        if kind is not NAMESPACES:
            shelf = self._shelves[kind]
            version = shelf.version(name)
            concerned = shelf.put(document)
            return concerned if shelf.version(name) == version else concerned | self._referring(kind, name)
        before = self.namespaces.get(name)
        self.namespaces.put(document)
        return set() if self.namespaces.get(name) == before else self._gateways_around(name[1])

    def delete(self, kind: Kind, document: Mapping[str, Any]) -> set[str]:
        """See `Shelf.delete` and `put`."""
        name = _identity(document)[0]
        return self._shelves[kind].delete(document) | self._referring(kind, name)

    def put_listed(self, kind: Kind, documents: Iterable[Mapping[str, Any]]) -> set[Name]:
        """See `Shelf.put_listed`."""
        return self._shelves[kind].put_listed(documents)

    def evict(self, kind: Kind, listed: Collection[Name], version: int, namespace: str | None) -> None:
        """See `Shelf.evict`."""
        self._shelves[kind].evict(listed, version, namespace)

    def gateway_keys(self) -> set[str]:
        """Keys of all gateways that exist, that an SseApi refers to, or that left something behind."""
        keys = self.apis.gateways() | self.gateways.gateways()
        for shelf in self.children.values():
            keys |= shelf.gateways()
        return keys

    def gateway(self, key: str) -> SseGateway | None:
        """The gateway of that key."""
        namespace, _, name = key.partition("/")
        return self.gateways.get((namespace, name))

    def namespace(self, name: str) -> Namespace | None:
        """What is known of a namespace; None also where the operator may not look at namespaces."""
        return self.namespaces.get(("", name))

    def usable(self, kind: Kind, referring: Iterable[SseApi | SseGateway]) -> dict[str, DataObject]:
        """By namespace/name, the Secrets or ConfigMaps that these refer to and may use."""
        shelf = self.children[kind]
        usable: dict[str, DataObject] = {}
        for each in referring:
            for referenced, name in each.references:
                namespace = each.metadata.namespace
                if referenced == _REFERENCED[kind] and (found := shelf.get((namespace, name))) and is_usable(found):
                    usable[f"{namespace}/{name}"] = read_data_object({**found, "kind": kind.name})
        return usable

    def _referring(self, kind: Kind, name: Name) -> set[str]:
        namespace, own = name
        if kind not in _REFERENCED:
            return set()
        reference = (_REFERENCED[kind], own)
        return self.apis.referring(namespace, reference) | self.gateways.referring(namespace, reference)

    def _gateways_around(self, namespace: str) -> set[str]:
        return {
            key
            for key in self.apis.gateways() | self.gateways.gateways()
            if key.startswith(f"{namespace}/")
            or any(api.metadata.namespace == namespace for api in self.apis.of_gateway(key))
        }


def _identity(document: Mapping[str, Any]) -> tuple[Name, str, int]:
    metadata = document["metadata"]
    name = (metadata.get("namespace", ""), metadata["name"])
    return name, metadata.get("uid", ""), int(metadata["resourceVersion"])


def _read_api(document: Mapping[str, Any], before: SseApi | None) -> SseApi:
    api = read_sse_api(document, before)
    if before is not None and (claim := before.status.claim) is not None and claim == api.status.claim:
        # What the compiler remembers of it is then in memory once.
        api = replace(api, status=api.status.model_copy(update={"claim": claim}))
    for part in (api.metadata, api.spec, api.status):
        share_parts(part)
    return api


def _read_namespace(document: Mapping[str, Any]) -> Namespace:
    metadata = Metadata.model_validate(document["metadata"])
    return Namespace(labels=metadata.labels, terminating=metadata.deletion_timestamp is not None)


def _read_child(document: Mapping[str, Any]) -> Object:
    metadata = {key: value for key, value in document["metadata"].items() if key != "managedFields"}
    return {**document, "metadata": metadata}
