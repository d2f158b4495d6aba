"""Where an entry's requests go, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sse_proxy.contract.model import ConfigModel, Seconds

CREDENTIALS_SLOT = "upstream.credentials"
"""The slot of an entry's secrets that `UpstreamCredentials` speak of: the field's whole value, or the parameter's,
percent-encoded."""


class UpstreamCredentials(ConfigModel):
    """Where the gateway's own credentials go in requests to upstream: exactly one of the two. The client's
    Authorization stays behind then."""

    header: str | None = None
    """Name of the header field."""
    query_parameter: str | None = None
    """Name of the query parameter, as it stands in a URL."""

    @model_validator(mode="after")
    def _one_place(self) -> UpstreamCredentials:
        if (self.header is None) == (self.query_parameter is None):
            raise ValueError("credentials go into a header or into a query parameter")
        return self


CA_SLOT = "upstream.tls.ca"
"""The slot with the certificates (PEM) of who may sign the target's."""

CERTIFICATE_SLOT = "upstream.tls.certificate"
"""The slot with the certificate, and its chain (PEM), that is shown to the target."""

KEY_SLOT = "upstream.tls.key"
"""The slot with that certificate's private key (PEM)."""


class UpstreamTls(ConfigModel):
    """TLS to https targets, where it is not as the system has it. Certificates are in the slots; an empty slot for the
    CA means what the system trusts."""

    server_name: str | None = None
    """For SNI and the certificate's name; None: the target's host."""
    verify: bool = True
    """Whether the target's certificate is judged at all."""


PROXY_CREDENTIALS_SLOT = "upstream.proxy.credentials"
"""The slot with the Proxy-Authorization field's whole value."""


class ForwardProxy(ConfigModel):
    """The HTTP proxy that all connections go through, by CONNECT."""

    host: str
    port: Annotated[int, Field(ge=1, le=65535)]


class Upstream(ConfigModel):
    """How connections to upstream are made and kept, and what upstream is asked for."""

    keep_alive: bool = True
    keep_alive_timeout: Seconds | None = 4.0
    """How long a connection is kept without an exchange; None: until upstream closes it."""
    max_connections: Annotated[int, Field(ge=1)] | None = None
    """How many connections the API may use at the same time, in one proxy; None: no limit."""
    host_header: Literal["Target", "Client"] = "Target"
    """Whose Host upstream is told."""
    follow_redirects: bool = False
    """Whether the gateway follows redirects itself, where the request can be made again."""
    compression: bool = False
    """Whether the client's Accept-Encoding goes on; otherwise upstream is asked for identity."""
    credentials: UpstreamCredentials | None = None
    tls: UpstreamTls | None = None
    proxy: ForwardProxy | None = None
