"""The CustomResourceDefinitions, from the models.

The API server takes structural schemas only (Kubernetes, "Specifying a structural schema"): no references, no unions,
no `additionalProperties: false`. So what pydantic gives is rewritten: references are inlined, `X | None` becomes an
optional X, defaults are dropped (they are the compiler's: one that the API server writes into an object could not give
way to the gateway's).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sse_operator.api import GROUP, VERSION, sse_api, sse_gateway
from sse_operator.api.fields import READS_AS
from sse_operator.api.model import ApiModel

Schema = dict[str, Any]

CATEGORY = "sse-gateway"

_DROPPED = ("title", "default", "$defs", READS_AS)


def sse_api_crd() -> Schema:
    """The CustomResourceDefinition of SseApi."""
    return _crd(
        kind=sse_api.KIND,
        plural=sse_api.PLURAL,
        short_names=["ssea"],
        description=sse_api.__doc__,
        spec=schema_of(sse_api.SseApiSpec),
        status=schema_of(sse_api.SseApiStatus),
        spec_required=True,
        columns=[
            *_condition_columns(),
            _column("Context-Path", ".spec.contextPath", "Where clients reach the API on the gateway."),
            _column("Target", ".spec.target", "URL of the endpoint."),
            _column("URL", ".status.urls[0]", "What to curl."),
            _column("Gateway", ".status.gateway", "namespace/name of the gateway.", priority=1),
            _column("Version", ".status.version", "The API's own version that is being served.", priority=1),
            _AGE,
        ],
    )


def sse_gateway_crd() -> Schema:
    """The CustomResourceDefinition of SseGateway. It has no scale subresource: `spec.replicas` is optional, and would
    read as 0 there."""
    return _crd(
        kind=sse_gateway.KIND,
        plural=sse_gateway.PLURAL,
        short_names=["ssegw"],
        description=sse_gateway.__doc__,
        spec=schema_of(sse_gateway.SseGatewaySpec),
        status=schema_of(sse_gateway.SseGatewayStatus),
        spec_required=False,
        columns=[
            *_condition_columns(),
            _column("Proxies", ".status.readyReplicas", "Ready proxy pods.", type_="integer"),
            _column("Attached", ".status.attached", "Accepted SseApis.", type_="integer"),
            _column("Address", ".status.address", "Where the gateway is reached."),
            _column("Revision", ".status.revision", "The newest revision of its config.", type_="integer", priority=1),
            _AGE,
        ],
    )


def schema_of(model: type[ApiModel]) -> Schema:
    """The structural schema of a model, with its descriptions, limits and CEL rules."""
    schema = model.model_json_schema(by_alias=True)
    return _structural(schema, schema.get("$defs", {}))


def _structural(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    if "$ref" in node:
        referred = definitions[node["$ref"].removeprefix("#/$defs/")]
        return _structural({**referred, **{key: value for key, value in node.items() if key != "$ref"}}, definitions)
    if "anyOf" in node:
        (only,) = [branch for branch in node["anyOf"] if branch != {"type": "null"}]
        rest = {key: value for key, value in node.items() if key != "anyOf"}
        # The inner schema first, so that the field's own description wins over its type's.
        return _structural({**_structural(only, definitions), **rest}, definitions)
    schema = {key: value for key, value in node.items() if key not in _DROPPED}
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if isinstance(schema.get("additionalProperties"), bool):
        del schema["additionalProperties"]
    if "description" in schema:
        schema["description"] = " ".join(schema["description"].split())
    if schema.get("type") == "integer":
        schema.setdefault("format", "int64")
    for name in ("items", "additionalProperties"):
        if name in schema:
            schema[name] = _structural(schema[name], definitions)
    if "properties" in schema:
        schema["properties"] = {name: _structural(child, definitions) for name, child in schema["properties"].items()}
    return {key: schema[key] for key in sorted(schema, key=_place)}


_ORDER = (
    "description",
    "type",
    "format",
    "enum",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "required",
    "properties",
    "items",
)


def _place(key: str) -> tuple[int, str]:
    return (_ORDER.index(key) if key in _ORDER else len(_ORDER), key)


def _column(name: str, path: str, description: str, *, type_: str = "string", priority: int = 0) -> Schema:
    column: Schema = {"name": name, "type": type_, "jsonPath": path, "description": description}
    return {**column, "priority": priority} if priority else column


_AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


def _condition_columns() -> list[Schema]:
    ready = '.status.conditions[?(@.type=="Ready")]'
    return [
        _column("Ready", f"{ready}.status", "Whether it is as its spec asks."),
        _column("Reason", f"{ready}.reason", "Why, or why not."),
    ]


def _crd(
    *,
    kind: str,
    plural: str,
    short_names: Sequence[str],
    description: str | None,
    spec: Schema,
    status: Schema,
    spec_required: bool,
    columns: Sequence[Schema],
) -> Schema:
    # Until the operator has looked, an object must not pass for healthy (kstatus).
    status = {**status, "default": {"observedGeneration": -1}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": list(short_names),
                "categories": [CATEGORY],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": list(columns),
                    "schema": {
                        "openAPIV3Schema": {
                            "description": " ".join((description or "").split()),
                            "type": "object",
                            **({"required": ["spec"]} if spec_required else {}),
                            "properties": {
                                "apiVersion": {"type": "string"},
                                "kind": {"type": "string"},
                                "metadata": {"type": "object"},
                                "spec": spec,
                                "status": status,
                            },
                        }
                    },
                }
            ],
        },
    }
