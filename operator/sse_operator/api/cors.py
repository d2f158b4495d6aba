"""Which web pages of other origins may read an API: the CORS protocol of the Fetch standard, section 3.2."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from sse_operator.api.fields import CEL_RULES, Duration, Rule, cel_of, ruled, unique
from sse_operator.api.http import HEADER_NAME_RULES
from sse_operator.api.model import ApiModel

ORIGIN_RULES = (
    Rule(
        r"^(\*|[a-z][a-z0-9+.-]*://(\*\.)?([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?)$",
        "must be *, or a lower-case origin without path, such as https://app.example.com or https://*.example.com",
    ),
    Rule(
        r"^(http://.*:80|https://.*:443)$",
        "must leave out the scheme's own port: browsers do, so that it would never match",
        forbids=True,
    ),
)

AllowedOrigin = Annotated[
    str,
    Field(min_length=1, max_length=253, json_schema_extra=cel_of(ORIGIN_RULES, "origin")),
    AfterValidator(ruled(ORIGIN_RULES)),
]

CorsName = Annotated[
    str,
    Field(min_length=1, max_length=256, json_schema_extra=cel_of(HEADER_NAME_RULES[:1], "header name")),
    AfterValidator(ruled(HEADER_NAME_RULES[:1])),
]

CorsNames = Annotated[
    list[CorsName],
    Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"}),
    AfterValidator(unique("name")),
]

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "*"]

ANY = "*"

CREDENTIALS_MESSAGE = (
    "with allowCredentials no list may hold *: browsers take it for a name then, not for any; name what is allowed"
)

_LISTS = ("allowMethods", "allowHeaders", "exposeHeaders")

CREDENTIALS_RULE = (
    "!has(self.allowCredentials) || !self.allowCredentials || (!('*' in self.allowOrigins)"
    + "".join(f" && (!has(self.{name}) || !('*' in self.{name}))" for name in _LISTS)
    + ")"
)


class CorsSpec(ApiModel):
    """Which web pages of other origins may read the API."""

    model_config = ConfigDict(
        json_schema_extra={CEL_RULES: [{"rule": CREDENTIALS_RULE, "message": CREDENTIALS_MESSAGE}]}
    )

    allow_origins: Annotated[
        list[AllowedOrigin],
        Field(min_length=1, max_length=64, json_schema_extra={"x-kubernetes-list-type": "set"}),
        AfterValidator(unique("origin")),
    ]
    """Origins whose pages may read responses: exact, with *. for one or more labels before a domain, or * for all."""
    allow_methods: (
        Annotated[
            list[Method],
            Field(max_length=8, json_schema_extra={"x-kubernetes-list-type": "set"}),
            AfterValidator(unique("method")),
        ]
        | None
    ) = None
    """Methods that pages may use; * for any. Default GET, HEAD and POST, which the standard always allows."""
    allow_headers: CorsNames | None = None
    """Request header fields that pages may set; * for any but Authorization, which must be named. Default
    Cache-Control, Content-Type and Last-Event-ID, which clients of event streams set by themselves."""
    expose_headers: CorsNames | None = None
    """Response header fields that pages may read, besides those that the standard always lets them; * for any."""
    allow_credentials: bool | None = None
    """Whether pages may send cookies and other credentials of the browser. Default false."""
    max_age: Duration | None = None
    """How long a browser may keep a preflight's answer; 0s: not at all. Default: the browser's own, 5s."""
    allow_private_network: bool | None = None
    """Whether public pages may reach the API in a private network (Private Network Access). Default false."""
    preflight: Literal["Gateway", "Target"] | None = None
    """Who answers preflights: the gateway, before the plan, or the target, after it. Default Gateway."""

    @model_validator(mode="after")
    def _no_wildcards_with_credentials(self) -> CorsSpec:
        named = (self.allow_origins, self.allow_methods, self.allow_headers, self.expose_headers)
        if self.allow_credentials and any(ANY in (names or ()) for names in named):
            raise ValueError(CREDENTIALS_MESSAGE)
        return self
