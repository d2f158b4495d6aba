"""Tables of the documentation, from the resource models and from the compiler's reasons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sse_operator.api import API_VERSION, sse_api, sse_gateway
from sse_operator.api.fields import CEL_RULES, DURATION_TYPE, MAX_DURATION_HOURS, READS_AS
from sse_operator.api.model import ApiModel
from sse_operator.compiler.reasons import SSE_API_REASONS, SSE_GATEWAY_REASONS, Reason


@dataclass(frozen=True)
class FieldRow:
    """One field of a resource, as documentation tells it."""

    path: str
    type: str
    required: bool
    meaning: str
    limits: tuple[str, ...]


def field_rows(model: type[ApiModel], prefix: str = "") -> Iterator[FieldRow]:
    """The fields of a model and of the models within it, depth first, in the order of the model."""
    schema = model.model_json_schema(by_alias=True)
    yield from _rows(schema, schema.get("$defs", {}), prefix)


def _rows(schema: Mapping[str, Any], definitions: Mapping[str, Any], prefix: str) -> Iterator[FieldRow]:
    for name, declared in schema["properties"].items():
        field = _resolved(declared, definitions)
        items = _resolved(field["items"], definitions) if "items" in field else None
        path = f"{prefix}{name}"
        yield FieldRow(
            path=path,
            type=_type(field, items),
            required=name in schema.get("required", ()),
            meaning=" ".join(field.get("description", "").split()),
            limits=tuple(_limits(field, items)),
        )
        if "properties" in field:
            yield from _rows(field, definitions, f"{path}.")
        elif items and "properties" in items:
            yield from _rows(items, definitions, f"{path}[].")


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The node without reference or null branch; its own description wins over its type's."""
    if "anyOf" in node:
        (inner,) = [branch for branch in node["anyOf"] if branch != {"type": "null"}]
    elif "$ref" in node:
        inner = definitions[node["$ref"].removeprefix("#/$defs/")]
    else:
        return dict(node)
    return {**_resolved(inner, definitions), **{key: value for key, value in node.items() if key not in _UNIONS}}


_UNIONS = ("anyOf", "$ref", "title")


def _type(field: Mapping[str, Any], items: Mapping[str, Any] | None) -> str:
    if items is not None:
        return f"list of {_type(items, None)}s"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if isinstance(field.get("additionalProperties"), Mapping):
        return "map of strings"
    return str(field.get(READS_AS, field["type"]))


def _limits(field: Mapping[str, Any], items: Mapping[str, Any] | None) -> Iterator[str]:
    if field.get(READS_AS) == DURATION_TYPE:
        return  # the page's head tells them once
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None and high is not None:
        yield f"{low} to {high}"
    elif low is not None:
        yield f"{low} or more"
    if "minItems" in field or "maxItems" in field:
        yield f"{field.get('minItems', 0)} to {field['maxItems']} items"
    for limited, each in ((field, ""), (items or {}, "each ")):
        if "maxLength" in limited:
            yield f"{each}at most {limited['maxLength']} characters"
        for rule in limited.get(CEL_RULES, ()):
            yield f"{each}{rule['message']}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def fields_table(model: type[ApiModel]) -> str:
    """Every field as a row of a Markdown table."""
    return _table(
        ("field", "type", "meaning", "limits"),
        ((f"`{row.path}`", row.type, _with_required(row), "<br>".join(row.limits)) for row in field_rows(model)),
    )


def overview_table(model: type[ApiModel]) -> str:
    """The fields of the first level, as the README shows them."""
    rows = (row for row in field_rows(model) if "." not in row.path)
    return _table(("field", "type", "meaning"), ((f"`{row.path}`", row.type, _with_required(row)) for row in rows))


def _with_required(row: FieldRow) -> str:
    return f"{row.meaning} **Required.**" if row.required else row.meaning


def reasons_table(reasons: Mapping[str, Reason]) -> str:
    """Reason → every condition, as a Markdown table."""
    return _table(
        ("reason", "Accepted", "ResolvedRefs", "Programmed", "Ready", "Reconciling", "Stalled", "what it means"),
        (
            (
                f"`{row.name}`",
                row.accepted,
                row.resolved_refs,
                row.programmed,
                row.ready,
                "True" if row.progress == "Reconciling" else "",
                "True" if row.progress == "Stalled" else "",
                row.meaning,
            )
            for row in reasons.values()
        ),
    )


def reference_page() -> str:
    """docs/reference.md."""
    return f"""\
# Reference

Every field of the two kinds of `{API_VERSION}`, and every reason that their conditions give. This page is
generated from the models (`make generate`); the same rules are in the CRDs, so that the API server and
`sse-gateway validate` refuse the same objects.

A duration is one of the Gateway API (GEP-2257): up to four numbers with a unit (`h`, `m`, `s`, `ms`), such as `70s`,
`1m30s` or `500ms`, {MAX_DURATION_HOURS}h at most; `0s` means none.

## SseApi: spec

{fields_table(sse_api.SseApiSpec)}

In all: {_model_rules(sse_api.SseApiSpec)}.

## SseApi: status

{fields_table(sse_api.SseApiStatus)}

## SseGateway: spec

{fields_table(sse_gateway.SseGatewaySpec)}

## SseGateway: status

{fields_table(sse_gateway.SseGatewayStatus)}

## Conditions

One reason decides an object's state: the first that applies, in the order of the table. A condition that is not True
carries that reason, and `Ready` always does; `Reconciling` and `Stalled` are there only while they are True.

- `Reconciling`: it is not as its spec asks, but may come to be so without an edit of it: a gateway that does not exist
  yet, a context-path that another holds, a proxy that is starting.
- `Stalled`: only an edit of the object mends it. An API error that passes never makes an object `Stalled`.
- What the owner asked for is `Ready`: a suspended SseApi (`Suspended`) once every proxy answers 503 for it, and a
  gateway of no replicas (`ScaledToZero`). So `kubectl wait`, Flux and Argo CD do not wait for what nobody will change;
  the Reason column shows it.
- `Warning`, on an SseApi, is there while something works but will hurt; `status.warnings` has each.

### SseApi

{reasons_table(SSE_API_REASONS)}

### SseGateway

{reasons_table(SSE_GATEWAY_REASONS)}
"""


def _model_rules(model: type[ApiModel]) -> str:
    return "; ".join(rule["message"] for rule in model.model_json_schema(by_alias=True)[CEL_RULES])
