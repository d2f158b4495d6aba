"""What the gateway shows upstream in the client's place. Pure."""

from __future__ import annotations

from sse_proxy.config import UpstreamCredentials
from sse_proxy.field_changes import UNCHANGED, FieldChanges
from sse_proxy.upstream.target import Target

_AUTHORIZATION = b"authorization"


def credential_changes(credentials: UpstreamCredentials | None, value: str) -> FieldChanges:
    """What credentials of this value change in a request's fields: the client's own Authorization stays behind."""
    if credentials is None:
        return UNCHANGED
    if credentials.header is None:
        return FieldChanges(dropped=frozenset((_AUTHORIZATION,)))
    name = credentials.header.encode()
    return FieldChanges(dropped=frozenset((_AUTHORIZATION, name.lower())), added=((name, value.encode()),))


def with_credentials(target: Target, credentials: UpstreamCredentials | None, value: str) -> Target:
    """The target that carries the credentials, where they are a query parameter."""
    if credentials is None or credentials.query_parameter is None:
        return target
    return target.with_parameter(credentials.query_parameter, value)
