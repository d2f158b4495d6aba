"""No field without its behaviour: in some golden case, an object without it becomes something else."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from unit.compiler.scenario import compile_apis, outcome
from unit.compiler.test_golden import GOLDEN as COMPILED
from unit.compiler.test_golden import Json
from unit.resources.test_golden import GOLDEN as RENDERED
from unit.resources.test_golden import rendered

CRDS = Path(__file__).parents[2] / "deploy" / "crds"

Document = dict[str, Any]
Place = tuple[str | int, ...]


def fields(schema: Document, above: str = "") -> Iterator[str]:
    """The paths of all fields of a schema; those of a list's items are the list's."""
    for name, field in schema.get("properties", {}).items():
        path = f"{above}.{name}".removeprefix(".")
        yield path
        while "items" in field:
            field = field["items"]
        yield from fields(field, path)


def fields_by_kind() -> dict[str, set[str]]:
    found = {}
    for file in CRDS.glob("*.yaml"):
        spec = yaml.safe_load(file.read_text())["spec"]
        schema = spec["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        found[spec["names"]["kind"]] = set(fields(schema))
    return found


def places(value: Any, above: Place = ()) -> Iterator[Place]:
    """Where in a spec something is said."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        if isinstance(key, str):
            yield (*above, key)
        yield from places(inner, (*above, key))


def path_of(place: Place) -> str:
    return ".".join(key for key in place if isinstance(key, str))


def without(spec: Document, place: Place) -> Document:
    changed = copy.deepcopy(spec)
    at: Any = changed
    for key in place[:-1]:
        at = at[key]
    del at[place[-1]]
    return changed


def compiled(documents: list[Document]) -> object:
    """All that becomes of the documents, the gateways' settings included."""
    gateways = [document for document in documents if document["kind"] == "SseGateway"]
    return outcome(documents), {key: each.settings for key, each in compile_apis(gateways, []).gateways.items()}


def objects(case: Document) -> object:
    try:
        return rendered(case)
    except ValidationError as error:
        return str(error)


def test_every_field_makes_a_difference() -> None:
    missing = fields_by_kind()
    for source in COMPILED.glob("*.in.yaml"):
        documents = [document for document in yaml.load_all(source.read_text(), Json) if document]
        before = compiled(documents)
        for number, document in enumerate(documents):
            untried = missing.get(document["kind"], set())
            for place in places(document.get("spec")):
                if path_of(place) in untried:
                    changed = {**document, "spec": without(document["spec"], place)}
                    if compiled([*documents[:number], changed, *documents[number + 1 :]]) != before:
                        untried.remove(path_of(place))
    for source in RENDERED.glob("*.in.yaml"):
        case = yaml.safe_load(source.read_text())
        gateway, untried = case["gateway"], missing["SseGateway"]
        for place in places(gateway["spec"]):
            if path_of(place) in untried:
                changed = {**gateway, "spec": without(gateway["spec"], place)}
                if objects({**case, "gateway": changed}) != objects(case):
                    untried.remove(path_of(place))
    assert missing == {"SseApi": set(), "SseGateway": set()}
