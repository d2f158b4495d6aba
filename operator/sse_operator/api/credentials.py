"""What the gateway shows upstream in the client's place."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from sse_operator.api.fields import CEL_RULES, Rule, cel_of, ruled
from sse_operator.api.http import HEADER_NAME_RULES, REQUEST_RULE
from sse_operator.api.model import ApiModel
from sse_operator.api.references import EntryName, SecretEntryRef, SecretRef

PARAMETER_RULES = (
    Rule(r"^[A-Za-z0-9._~-]+$", "must be a query parameter's name of letters, digits and -._~ only: no encoding"),
)

ParameterName = Annotated[
    str,
    Field(min_length=1, max_length=128, json_schema_extra=cel_of(PARAMETER_RULES, "name")),
    AfterValidator(ruled(PARAMETER_RULES)),
]
"""The name of a query parameter."""

_HEADER_RULES = (*HEADER_NAME_RULES, REQUEST_RULE)

RequestHeaderName = Annotated[
    str,
    Field(min_length=1, max_length=256, json_schema_extra=cel_of(_HEADER_RULES, "header name")),
    AfterValidator(ruled(_HEADER_RULES)),
]
"""The name of a header field that a request carries and the gateway does not say itself."""


class BasicCredentials(ApiModel):
    """A user and a password (RFC 7617)."""

    secret_ref: SecretRef
    """The Secret, with the entries `username` and `password`, as those of the type kubernetes.io/basic-auth."""


class BearerCredentials(ApiModel):
    """A token (RFC 6750)."""

    DEFAULT_KEY: ClassVar[EntryName] = "token"

    secret_ref: SecretEntryRef
    """The entry of the Secret that is the token; its key is `token` unless said otherwise."""


class HeaderCredentials(ApiModel):
    """A header field."""

    DEFAULT_KEY: ClassVar[EntryName] = "value"

    name: RequestHeaderName
    """Name of the field."""
    secret_ref: SecretEntryRef
    """The entry of the Secret that is the field's value; its key is `value` unless said otherwise."""


class QueryParameterCredentials(ApiModel):
    """A query parameter."""

    DEFAULT_KEY: ClassVar[EntryName] = "value"

    name: ParameterName
    """Name of the parameter. A client's own parameter of that name is dropped."""
    secret_ref: SecretEntryRef
    """The entry of the Secret that is the parameter's value, not encoded; its key is `value` unless said otherwise."""


CREDENTIALS_MESSAGE = "needs exactly one of basic, bearer, header and queryParameter"


class CredentialsSpec(ApiModel):
    """Credentials of the gateway's own at upstream; exactly one of the four."""

    model_config = ConfigDict(
        json_schema_extra={
            CEL_RULES: [
                {
                    "rule": "[has(self.basic), has(self.bearer), has(self.header), has(self.queryParameter)]"
                    ".filter(given, given).size() == 1",
                    "message": CREDENTIALS_MESSAGE,
                }
            ]
        }
    )

    basic: BasicCredentials | None = None
    """User and password, in the Authorization field."""
    bearer: BearerCredentials | None = None
    """A token, in the Authorization field."""
    header: HeaderCredentials | None = None
    """A header field of any name, such as X-API-Key."""
    query_parameter: QueryParameterCredentials | None = None
    """A query parameter, for targets that know nothing else."""

    @model_validator(mode="after")
    def _exactly_one(self) -> CredentialsSpec:
        if [self.basic, self.bearer, self.header, self.query_parameter].count(None) != 3:
            raise ValueError(CREDENTIALS_MESSAGE)
        return self
