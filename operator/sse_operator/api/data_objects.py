"""Secrets and ConfigMaps, as SseApis refer to them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sse_operator.api.objects import Document, Fault
from sse_operator.api.references import USABLE, USE


@dataclass(frozen=True, slots=True)
class DataObject:
    """A Secret or ConfigMap: its entries as bytes."""

    uid: str = field(repr=False)
    data: Mapping[str, bytes] = field(repr=False)
    faults: tuple[Fault, ...] = ()
    """Entries that cannot be read, and are left out."""


def is_usable(document: Document) -> bool:
    """Whether the object carries the label that lets SseApis use it."""
    metadata = document.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    return isinstance(labels, Mapping) and labels.get(USE) == USABLE


def read_data_object(document: Document) -> DataObject:
    """The entries of a Secret (`data`, `stringData`) or ConfigMap (`data`, `binaryData`). Never raises."""
    secret = document.get("kind") == "Secret"
    encoded, plain = ("data", "stringData") if secret else ("binaryData", "data")
    faults: list[Fault] = []
    data: dict[str, bytes] = {}
    for name, value in _entries(document, encoded, faults):
        try:
            data[name] = base64.b64decode("".join(value.split()), validate=True)
        except (binascii.Error, ValueError):
            faults.append(Fault((encoded, name), f"must be base64: write it plain in {plain} instead"))
    data |= {name: value.encode() for name, value in _entries(document, plain, faults)}
    metadata = document.get("metadata")
    uid = metadata.get("uid", "") if isinstance(metadata, Mapping) else ""
    return DataObject(uid=str(uid), data=data, faults=tuple(faults))


def _entries(document: Document, place: str, faults: list[Fault]) -> Iterator[tuple[str, str]]:
    entries = document.get(place)
    if entries is None:
        return
    if not isinstance(entries, Mapping):
        faults.append(Fault((place,), "must be an object whose fields are strings"))
        return
    for name, value in entries.items():
        if isinstance(name, str) and isinstance(value, str):
            yield name, value
        else:
            faults.append(Fault((place, str(name)), "must be a string: put it in quotes"))
