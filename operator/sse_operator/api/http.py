"""What an SseApi may say of requests and responses: header fields, as in Gateway API's HTTPHeaderFilter."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator

from sse_operator.api.fields import CEL_RULES, Rule, cel_of, cel_string, ruled
from sse_operator.api.model import ApiModel

HEADER_FIELDS = 16
"""How many fields one of set, add and remove may have, as in Gateway API."""

HEADER_NAME_RULES = (
    Rule(
        r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
        "must be a header field's name: letters, digits and !#$%&'*+-.^_`|~ only",
    ),
    Rule(
        r"^(?i:connection|keep-alive|proxy-authenticate|proxy-authorization|proxy-connection|te|trailer"
        r"|transfer-encoding|upgrade|content-length|expect)$",
        "must not be a field of the connection or of the message's framing: these are between two neighbours only",
        forbids=True,
    ),
)

HeaderName = Annotated[
    str,
    Field(min_length=1, max_length=256, json_schema_extra=cel_of(HEADER_NAME_RULES, "header name")),
    AfterValidator(ruled(HEADER_NAME_RULES)),
]

HEADER_VALUE_RULES = (
    Rule(
        r"^[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?$",
        "must be printable ASCII, without line breaks, and without blanks at its ends",
    ),
)

HeaderValue = Annotated[
    str,
    Field(min_length=1, max_length=4096, json_schema_extra=cel_of(HEADER_VALUE_RULES, "string")),
    AfterValidator(ruled(HEADER_VALUE_RULES)),
]

REPEATED_MESSAGE = "must not have the same name twice; upper and lower case are the same"

REQUEST_RULE = Rule(
    r"^(?i:host|via|accept-encoding|x-forwarded-(for|proto|host|port))$",
    "must not be Host, Via, Accept-Encoding or X-Forwarded-*: the gateway says these to the target itself",
    forbids=True,
)


class HeaderSpec(ApiModel):
    """One header field."""

    name: HeaderName
    """Name of the field; upper and lower case are the same."""
    value: HeaderValue
    """Its value."""


def _distinct(headers: list[HeaderSpec]) -> list[HeaderSpec]:
    _distinct_names([header.name for header in headers])
    return headers


def _distinct_names(names: list[str]) -> list[str]:
    if len({name.lower() for name in names}) != len(names):
        raise ValueError(REPEATED_MESSAGE)
    return names


def _once(name: str) -> list[dict[str, str]]:
    """The CEL rule that no name is there twice; `name` is what it is of an item."""
    lowered = f"{name}.lowerAscii()"
    rule = f"self.all(a, self.exists_one(b, {lowered.format('b')} == {lowered.format('a')}))"
    return [{"rule": rule, "message": REPEATED_MESSAGE}]


HeaderSpecs = Annotated[
    list[HeaderSpec],
    Field(
        max_length=HEADER_FIELDS,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            CEL_RULES: _once("{}.name"),
        },
    ),
    AfterValidator(_distinct),
]


class HeadersSpec(ApiModel):
    """Changes of header fields: first remove, then set, then add."""

    set: HeaderSpecs | None = None
    """Fields that replace those of the same name."""
    add: HeaderSpecs | None = None
    """Fields that come on top of those of the same name."""
    remove: (
        Annotated[
            list[HeaderName],
            Field(
                max_length=HEADER_FIELDS,
                json_schema_extra={"x-kubernetes-list-type": "set", CEL_RULES: _once("{}")},
            ),
            AfterValidator(_distinct_names),
        ]
        | None
    ) = None
    """Names of fields that go no further."""

    def names(self) -> list[str]:
        """Every name that it speaks of."""
        return [header.name for header in (*(self.set or ()), *(self.add or ()))] + list(self.remove or ())


def _every_name(rule: Rule) -> list[JsonValue]:
    """The rule for each name of `HeadersSpec`, in CEL."""
    holds = f"!{{}}.matches({cel_string(rule.pattern)})"
    parts = [f"(!has(self.{part}) || self.{part}.all(h, {holds.format('h.name')}))" for part in ("set", "add")]
    parts.append(f"(!has(self.remove) || self.remove.all(h, {holds.format('h')}))")
    return [{"rule": " && ".join(parts), "message": rule.message}]


class RequestHeadersSpec(HeadersSpec):
    """Changes of a request's header fields: first remove, then set, then add."""

    model_config = ConfigDict(json_schema_extra={CEL_RULES: _every_name(REQUEST_RULE)})

    @model_validator(mode="after")
    def _not_the_gateways_own(self) -> RequestHeadersSpec:
        if any(REQUEST_RULE.broken_by(name) for name in self.names()):
            raise ValueError(REQUEST_RULE.message)
        return self


class RequestSpec(ApiModel):
    """What changes in requests on their way to the target."""

    headers: RequestHeadersSpec | None = None
    """Changes of header fields. A client's Connection field cannot undo them."""


class ResponseSpec(ApiModel):
    """What changes in the target's responses on their way to the client; the gateway's own answers stay as they
    are."""

    headers: HeadersSpec | None = None
    """Changes of header fields. A Content-Type set here is what the gateway goes by, too."""
