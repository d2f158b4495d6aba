"""Who may connect. A plan's credentials are in the entry's secrets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sse_proxy.contract.model import ConfigModel

KEYS_SLOT = "plan.keys"
"""The slot with the keys of `ApiKey`: lines of a key's SHA-256 in base64, a blank and its consumer's name."""

USERS_SLOT = "plan.users"
"""The slot with the users of `Basic`: htpasswd lines with bcrypt."""


class Keyless(ConfigModel):
    """Lets everybody in and leaves the client's credentials to upstream."""

    type: Literal["Keyless"] = "Keyless"


class KeySource(ConfigModel):
    """A place where a key may stand: exactly one of the three."""

    header: str | None = None
    scheme: str | None = None
    """The word before the key in the header field; None: the field is the key."""
    query_parameter: str | None = None
    cookie: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> KeySource:
        if [self.header, self.query_parameter, self.cookie].count(None) != 2:
            raise ValueError("a key stands in a header, a query parameter or a cookie")
        return self


class ApiKey(ConfigModel):
    """Lets in who shows a key. Without the slot `plan.keys` that is nobody."""

    type: Literal["ApiKey"] = "ApiKey"
    sources: Annotated[tuple[KeySource, ...], Field(min_length=1)]
    """The first that has a key counts."""
    realm: str
    """As it stands in a quoted string."""
    forward_credential: bool = False


class Basic(ConfigModel):
    """Lets in who shows a user name and its password. Without the slot `plan.users` that is nobody."""

    type: Literal["Basic"] = "Basic"
    realm: str
    """As it stands in a quoted string."""
    forward_credential: bool = False


Plan = Annotated[Keyless | ApiKey | Basic, Field(discriminator="type")]
