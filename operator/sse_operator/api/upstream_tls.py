"""TLS to an SseApi's target, and the proxy in front of it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from sse_operator.api.fields import CEL_RULES, HOST_PORT, ObjectName, Rule, cel_of, ruled
from sse_operator.api.model import ApiModel
from sse_operator.api.references import EntryName, ObjectRef, Reference, SecretRef

SERVER_NAME_RULES = (
    Rule(
        r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
        "must be a host name, such as prices.example.com",
    ),
)

ServerName = Annotated[
    str,
    Field(min_length=1, max_length=253, json_schema_extra=cel_of(SERVER_NAME_RULES, "host name")),
    AfterValidator(ruled(SERVER_NAME_RULES)),
]


class CaRef(ObjectRef):
    """A ConfigMap or Secret of the same namespace that carries the label sse-gateway.dev/use=true."""

    DEFAULT_KEY: ClassVar[EntryName] = "ca.crt"

    kind: Literal["ConfigMap", "Secret"] | None = None
    """Default ConfigMap."""
    name: ObjectName
    """Name of the object, which carries the label sse-gateway.dev/use=true."""
    key: EntryName | None = None
    """Key of the entry with the certificates (PEM). Default ca.crt."""

    @property
    def reference(self) -> Reference:
        """What it refers to."""
        return (self.kind or "ConfigMap", self.name)


VERIFY_MESSAGE = "insecureSkipVerify makes caRef of no account: keep one of them"


class UpstreamTlsSpec(ApiModel):
    """TLS to https targets; of no account for http targets."""

    model_config = ConfigDict(
        json_schema_extra={
            CEL_RULES: [
                {
                    "rule": "!has(self.caRef) || !has(self.insecureSkipVerify) || !self.insecureSkipVerify",
                    "message": VERIFY_MESSAGE,
                }
            ]
        }
    )

    ca_ref: CaRef | None = None
    """Certificates of who may sign the target's, instead of what the system trusts."""
    server_name: ServerName | None = None
    """Name that the target is asked for (SNI) and that its certificate must have. Default the target's host."""
    insecure_skip_verify: bool | None = None
    """True connects to whoever answers, whatever its certificate. For trying things out; the Warning
    InsecureSkipVerify stays while it is so. Default false."""
    client_certificate_ref: SecretRef | None = None
    """A Secret of the type kubernetes.io/tls (`tls.crt`, `tls.key`): the certificate that is shown to the target."""

    @model_validator(mode="after")
    def _verified_or_not(self) -> UpstreamTlsSpec:
        if self.ca_ref is not None and self.insecure_skip_verify:
            raise ValueError(VERIFY_MESSAGE)
        return self


PROXY_RULES = (
    Rule(r"^http://", "must be an absolute URL that starts with http://"),
    Rule(r"@", "must not carry credentials: name their Secret in credentialsRef", forbids=True),
    Rule(rf"^http://{HOST_PORT}/?$", "must be a host and a port from 1 to 65535, such as http://proxy.shop:3128"),
)

ProxyUrl = Annotated[
    str,
    Field(min_length=1, max_length=300, json_schema_extra=cel_of(PROXY_RULES, "URL")),
    AfterValidator(ruled(PROXY_RULES)),
]


class ProxySpec(ApiModel):
    """An HTTP proxy between the gateway and the target. All connections go through it by CONNECT, so that it sees
    neither what is said over TLS nor any header field of ours."""

    url: ProxyUrl
    """Where the proxy is: http://host:port."""
    credentials_ref: SecretRef | None = None
    """A Secret with the entries `username` and `password` for the proxy, as those of the type
    kubernetes.io/basic-auth."""
