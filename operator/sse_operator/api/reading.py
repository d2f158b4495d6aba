"""From a document, as YAML or JSON gave it, to an SseApi or an SseGateway. Nothing that a user writes raises.

What is wrong with a spec becomes a list of `Fault`s, each with its place and what to do about it. A status is read
leniently: one that another version wrote, or a hand, must never make its object unreadable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from sse_operator.api.fields import ContextPath, Hostname
from sse_operator.api.model import ApiModel, Metadata
from sse_operator.api.objects import Document, Fault, FieldPath, SseApi, SseGateway
from sse_operator.api.references import references
from sse_operator.api.sse_api import GatewayRef, SseApiSpec, SseApiStatus
from sse_operator.api.sse_gateway import SseGatewaySpec, SseGatewayStatus

M = TypeVar("M", bound=BaseModel)

ROOT_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")

_context_path: TypeAdapter[str] = TypeAdapter(ContextPath)
_hostname: TypeAdapter[str] = TypeAdapter(Hostname)


def read_sse_api(document: Document, before: SseApi | None = None) -> SseApi:
    """The SseApi that `document` holds, with whatever is wrong with it in `faults`. `before` is what was read of the
    same name before: see `_of_same_generation`.

    `spec` is None where there are faults. `context_path`, `hostnames` and `gateway_ref` are then read one by one, so
    that the object can hold its path; `context_path` is None also where it has host names and none of them is valid,
    since without them it would hold the path on every host."""
    metadata, faults = _metadata(document)
    status = _status(SseApiStatus, document.get("status"))
    if before is not None and not faults and _of_same_generation(before, metadata):
        return replace(before, metadata=metadata, status=status)
    spec, spec_faults = _spec(SseApiSpec, document.get("spec"))
    faults += spec_faults
    if spec is None:
        raw = document.get("spec")
        fields = raw if isinstance(raw, Mapping) else {}
        hostnames = _valid_hostnames(fields.get("hostnames"))
        return SseApi(
            metadata=metadata,
            spec=None,
            faults=tuple(faults),
            status=status,
            gateway_ref=_valid_gateway_ref(fields.get("gatewayRef")),
            context_path=None if hostnames is None else _valid_context_path(fields.get("contextPath")),
            hostnames=hostnames or (),
        )
    return SseApi(
        metadata=metadata,
        spec=None if faults else spec,
        faults=tuple(faults),
        status=status,
        gateway_ref=(spec.gateway_ref.namespace, spec.gateway_ref.name) if spec.gateway_ref else None,
        context_path=_without_trailing_slash(spec.context_path),
        hostnames=tuple(spec.hostnames or ()),
        references=references(spec),
    )


def read_sse_gateway(document: Document, before: SseGateway | None = None) -> SseGateway:
    """The SseGateway that `document` holds, with whatever is wrong with it in `faults`; `spec` is None where there
    are faults. All of its spec has defaults, so it may be absent. `before` is as in `read_sse_api`."""
    metadata, faults = _metadata(document)
    if before is not None and not faults and _of_same_generation(before, metadata):
        return replace(before, metadata=metadata, status=_status(SseGatewayStatus, document.get("status")))
    spec, spec_faults = _spec(SseGatewaySpec, {} if document.get("spec") is None else document["spec"])
    faults += spec_faults
    return SseGateway(
        metadata=metadata,
        spec=None if faults else spec,
        faults=tuple(faults),
        status=_status(SseGatewayStatus, document.get("status")),
    )


def _of_same_generation(before: SseApi | SseGateway, metadata: Metadata) -> bool:
    """Whether the spec that was read before, and had no faults, is still the spec: then it is not read again and stays
    the same Python object, by which the compiler knows what has not changed. The API server raises the generation with
    every change of a spec (Kubernetes API conventions, "Metadata")."""
    known = before.metadata
    return before.spec is not None and known.uid == metadata.uid and known.generation == metadata.generation > 0


def _without_trailing_slash(path: str) -> str:
    return path.rstrip("/") or "/"


def _valid_context_path(value: object) -> str | None:
    try:
        return _without_trailing_slash(_context_path.validate_python(value, strict=True))
    except ValidationError:
        return None


def _valid_hostnames(value: object) -> tuple[str, ...] | None:
    """The valid host names, without repetition; None where some are given and none is valid."""
    if value is None or value == []:
        return ()
    valid: dict[str, None] = {}
    for item in value if isinstance(value, list) else ():
        try:
            valid[_hostname.validate_python(item, strict=True)] = None
        except ValidationError:
            continue
    return tuple(valid) or None


def _valid_gateway_ref(value: object) -> tuple[str | None, str] | None:
    if not isinstance(value, dict):
        return None
    try:
        ref = GatewayRef.model_validate(value, by_alias=True, by_name=False)
    except ValidationError:
        return None
    return ref.namespace, ref.name


def _metadata(document: Document) -> tuple[Metadata, list[Fault]]:
    faults = [
        Fault((str(name),), _unknown_field(str(name), ROOT_FIELDS)) for name in document if name not in ROOT_FIELDS
    ]
    raw = document.get("metadata")
    if raw is None:
        return Metadata.model_construct(name=""), [*faults, Fault(("metadata", "name"), "is required")]
    if not isinstance(raw, Mapping):
        return Metadata.model_construct(name=""), [*faults, Fault(("metadata",), _OBJECT_MESSAGE)]
    try:
        return Metadata.model_validate(dict(raw), by_alias=True, by_name=False), faults
    except ValidationError as error:
        errors = error.errors(include_url=False)
        faults += _faults(Metadata, errors, ("metadata",))
        salvaged = {**dict(raw), **_salvaged_name(raw)}
        for details in errors:
            if details["loc"] and details["loc"][0] != "name":
                salvaged.pop(details["loc"][0], None)
        kept = {name: value for name, value in salvaged.items() if name != "name"}
        return (
            Metadata.model_validate({**kept, "name": "unnamed"}, by_alias=True, by_name=False).model_copy(
                update={"name": salvaged["name"]}
            ),
            faults,
        )


def _salvaged_name(raw: Mapping[Any, Any]) -> dict[str, str]:
    """The name to call an object by although it may be no valid one."""
    name = raw.get("name")
    return {"name": name if isinstance(name, str) else ""}


def _spec(model: type[M], value: object) -> tuple[M | None, list[Fault]]:
    if value is None:
        return None, [Fault(("spec",), "is required")]
    if not isinstance(value, Mapping):
        return None, [Fault(("spec",), _OBJECT_MESSAGE)]
    try:
        return model.model_validate(dict(value), by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, _faults(model, error.errors(include_url=False), ("spec",))


def _status(model: type[M], value: object) -> M:
    """The status as far as it can be read: unknown fields are passed over, what does not parse is dropped."""
    if not isinstance(value, Mapping) or not value:
        return model()
    fields: dict[Any, Any] = dict(value)
    try:
        return model.model_validate(fields, by_alias=True, by_name=False, extra="ignore")
    except ValidationError as error:
        spoilt: dict[Any, set[int]] = {}
        for details in error.errors(include_url=False):
            head, *rest = details["loc"]
            if rest and isinstance(rest[0], int):
                spoilt.setdefault(head, set()).add(rest[0])
            else:
                fields.pop(head, None)
        for head, items in spoilt.items():
            if head in fields:
                fields[head] = [item for number, item in enumerate(fields[head]) if number not in items]
    try:
        return model.model_validate(fields, by_alias=True, by_name=False, extra="ignore")
    except ValidationError:
        return model()


# --- from pydantic's errors to sentences -----------------------------------------------------------------------------

_OBJECT_MESSAGE = "must be an object with fields, not a single value or a list"


def _faults(model: type[BaseModel], errors: Sequence[ErrorDetails], place: FieldPath) -> list[Fault]:
    return [Fault(place + details["loc"], _sentence(model, details)) for details in errors]


def _sentence(model: type[BaseModel], error: ErrorDetails) -> str:
    """What is wrong, and how to mend it, to be read after the field's path."""
    context: Mapping[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return _unknown_field(str(error["loc"][-1]), _fields_at(model, error["loc"][:-1]))
        case "invalid_key":
            return "must have a string as its name: put it in quotes"
        case "string_type":
            return f"must be a string, not {_kind_of(error['input'])}{_quoted(error['input'])}"
        case "bool_type":
            return f"must be true or false, not {_kind_of(error['input'])}"
        case "int_type":
            fraction = isinstance(error["input"], float)
            return f"must be a whole number, not {'a fraction' if fraction else _kind_of(error['input'])}"
        case "list_type":
            return f"must be a list, not {_kind_of(error['input'])}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return _OBJECT_MESSAGE
        case "literal_error":
            return f"must be {str(context['expected']).replace(chr(39), '')}"
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"must have at most {context['max_length']} characters"
        case "too_short":
            return "must have at least one item"
        case "too_long":
            return f"must have at most {context['max_length']} items"
        case "greater_than_equal":
            return f"must be {context['ge']} or more"
        case "less_than_equal":
            return f"must be {context['le']} or less"
        case "value_error":
            return str(context["error"])
        case _:
            return error["msg"]


def _unknown_field(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    nearest = get_close_matches(name, known, n=1, cutoff=0.6) or get_close_matches(
        name.lower(), [field.lower() for field in known], n=1, cutoff=0.6
    )
    if not nearest:
        return f"unknown field {name!r}; known here: {', '.join(known)}"
    meant = next(field for field in known if field.lower() == nearest[0].lower())
    return f"unknown field {name!r}; did you mean {meant!r}?"


def _kind_of(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return "a date" if hasattr(value, "year") else f"a {type(value).__name__}"


def _quoted(value: object) -> str:
    """How to write a scalar that YAML took for something else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f': put it in quotes, "{value}"'
    return ": put it in quotes" if isinstance(value, bool) or hasattr(value, "year") else ""


def _fields_at(model: type[BaseModel], path: FieldPath) -> list[str]:
    """The names of the fields that an object at `path` below `model` may have."""
    annotation: Any = model
    for step in path:
        annotation = next(iter(_models_of(annotation)), None) if isinstance(step, int) else _field(annotation, step)
    return [field.alias or name for found in _models_of(annotation) for name, field in found.model_fields.items()]


def _field(annotation: Any, alias: str) -> Any:
    for model in _models_of(annotation):
        for name, field in model.model_fields.items():
            if alias in (field.alias, name):
                return field.annotation
    return None


def _models_of(annotation: Any) -> list[type[ApiModel]]:
    """The models within an annotation: of `list[X] | None`, X."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]  # type: ignore[list-item]
    if get_origin(annotation) in (Union, UnionType, list) or hasattr(annotation, "__metadata__"):
        return [model for argument in get_args(annotation) for model in _models_of(argument)]
    return []
