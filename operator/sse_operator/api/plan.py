"""Who may connect to an SseApi."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from sse_operator.api.credentials import ParameterName, RequestHeaderName
from sse_operator.api.fields import CEL_RULES, Rule, cel_of, ruled
from sse_operator.api.model import ApiModel
from sse_operator.api.references import EntryName, SecretEntryRef, SecretRef

TOKEN_RULES = (Rule(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", "must be letters, digits and !#$%&'*+-.^_`|~ only"),)

Token = Annotated[
    str,
    Field(min_length=1, max_length=128, json_schema_extra=cel_of(TOKEN_RULES, "name")),
    AfterValidator(ruled(TOKEN_RULES)),
]
"""A token of HTTP (RFC 9110, section 5.6.2): the name of a cookie, or of an authentication scheme."""

REALM_RULES = (
    Rule(r'^[\x21\x23-\x5b\x5d-\x7e]([\x20\x21\x23-\x5b\x5d-\x7e]*[\x21\x23-\x5b\x5d-\x7e])?$',
         'must be printable ASCII without " and \\, and without blanks at its ends'),
)  # fmt: skip

Realm = Annotated[
    str,
    Field(min_length=1, max_length=128, json_schema_extra=cel_of(REALM_RULES, "string")),
    AfterValidator(ruled(REALM_RULES)),
]
"""What browsers show when they ask for a password (RFC 9110, section 11.5)."""

SOURCE_MESSAGE = "needs exactly one of header, queryParameter and cookie; scheme goes with header"


class KeySource(ApiModel):
    """A place where an API key may stand; exactly one of header, queryParameter and cookie."""

    model_config = ConfigDict(
        json_schema_extra={
            CEL_RULES: [
                {
                    "rule": "[has(self.header), has(self.queryParameter), has(self.cookie)]"
                    ".filter(given, given).size() == 1 && (has(self.header) || !has(self.scheme))",
                    "message": SOURCE_MESSAGE,
                }
            ]
        }
    )

    header: RequestHeaderName | None = None
    """Name of a header field."""
    scheme: Token | None = None
    """The word before the key in that field, such as Bearer in `Authorization: Bearer …`."""
    query_parameter: ParameterName | None = None
    """Name of a query parameter. URLs end up in logs: for clients that can do nothing else."""
    cookie: Token | None = None
    """Name of a cookie."""

    @model_validator(mode="after")
    def _one_place(self) -> KeySource:
        misplaced = self.scheme is not None and self.header is None
        if misplaced or [self.header, self.query_parameter, self.cookie].count(None) != 2:
            raise ValueError(SOURCE_MESSAGE)
        return self


class ApiKeyPlan(ApiModel):
    """Lets in who shows a key."""

    secret_refs: Annotated[list[SecretRef], Field(min_length=1, max_length=16)]
    """Secrets with the keys: each entry's name is a consumer's, its value the key."""
    sources: Annotated[list[KeySource], Field(min_length=1, max_length=8)] | None = None
    """Where the key may stand; the first place that has one counts. Default: the header X-API-Key."""
    forward_credential: bool | None = None
    """Whether the key goes on to upstream. Default false."""


class BasicPlan(ApiModel):
    """Lets in who shows a user name and its password (RFC 7617)."""

    DEFAULT_KEY: ClassVar[EntryName] = "auth"

    secret_refs: Annotated[list[SecretEntryRef], Field(min_length=1, max_length=16)]
    """Entries of Secrets that are htpasswd files with bcrypt (`htpasswd -B`); `auth` unless key says otherwise."""
    realm: Realm | None = None
    """What browsers show when they ask for the password. Default: the context-path."""
    forward_credential: bool | None = None
    """Whether the Authorization field goes on to upstream. Default false."""


PLAN_MESSAGE = "apiKey goes with type: ApiKey and basic with type: Basic, and these need them"


class PlanSpec(ApiModel):
    """Who may connect."""

    model_config = ConfigDict(
        json_schema_extra={
            CEL_RULES: [
                {
                    "rule": "(self.type == 'ApiKey') == has(self.apiKey) && (self.type == 'Basic') == has(self.basic)",
                    "message": PLAN_MESSAGE,
                }
            ]
        }
    )

    type: Literal["Keyless", "ApiKey", "Basic"]
    """Keyless lets everybody in, and the client's own credentials pass on to upstream. ApiKey and Basic let in whom a
    Secret names."""
    api_key: ApiKeyPlan | None = None
    """With type ApiKey: which keys, and where they stand."""
    basic: BasicPlan | None = None
    """With type Basic: which users."""

    @model_validator(mode="after")
    def _as_its_type_says(self) -> PlanSpec:
        if (self.type == "ApiKey") != (self.api_key is not None) or (self.type == "Basic") != (self.basic is not None):
            raise ValueError(PLAN_MESSAGE)
        return self
