"""TLS between clients and a gateway."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sse_operator.api.model import ApiModel
from sse_operator.api.references import SecretRef


class GatewayTlsSpec(ApiModel):
    """TLS between clients and the gateway."""

    certificate_refs: Annotated[list[SecretRef], Field(min_length=1, max_length=16)]
    """Secrets of the type kubernetes.io/tls (`tls.crt`, `tls.key`). A client gets the one that is for the name it asks
    for, else the first."""
