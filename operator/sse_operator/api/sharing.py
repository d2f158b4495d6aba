"""Parts that thousands of objects have alike are in memory once.

Pydantic keeps a set of the fields that were given with every model, and with every model in it: a tenth of all memory
at ten thousand SseApis. There are only a few ways to give fields, so equal sets are made one. Nothing changes them:
the models are frozen, and a copy of a model copies its set.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel

ItemT = TypeVar("ItemT")

_WAYS = 1024
"""Ways to give fields that are remembered; where there are more, the later ones are not shared."""

_given: dict[frozenset[str], set[str]] = {}


def share_parts(value: object) -> None:
    """Let a model, and all models in it, share what they have alike with others that went through here."""
    match value:
        case BaseModel():
            _share_fields_set(value)
            for part in value.__dict__.values():
                share_parts(part)
        case list() | tuple():
            for part in value:
                share_parts(part)
        case Mapping():
            for part in value.values():
                share_parts(part)


def _share_fields_set(model: BaseModel) -> None:
    own = model.model_fields_set
    way = frozenset(own)
    if way not in _given and len(_given) >= _WAYS:
        return
    shared = _given.setdefault(way, own)
    if shared is not own:
        object.__setattr__(model, "__pydantic_fields_set__", shared)


def shared_set(items: frozenset[ItemT]) -> frozenset[ItemT]:
    """The set, or one that is equal."""
    shared: frozenset[ItemT] = _shared(items)
    return shared


@lru_cache(maxsize=4096)
def _shared(items: frozenset[object]) -> Any:
    return items
