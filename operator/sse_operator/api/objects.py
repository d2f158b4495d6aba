"""The two kinds as whole objects, read leniently: one with faults still has a name, and a path to hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sse_operator.api.model import Metadata
from sse_operator.api.references import Reference, references
from sse_operator.api.sse_api import SseApiSpec, SseApiStatus
from sse_operator.api.sse_gateway import SseGatewaySpec, SseGatewayStatus

FieldPath = tuple[str | int, ...]
"""Where in a document something is: `("spec", "timeouts", "idle")`."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an object: where, and what to do about it."""

    path: FieldPath
    message: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.message}"


def dotted(path: FieldPath) -> str:
    """`spec.endpoints[0].target`, as kubectl writes it."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


@dataclass(frozen=True, slots=True)
class SseApi:
    """An SseApi. `spec` is None where it has faults; what it says of its routes is kept as far as it is valid."""

    metadata: Metadata
    spec: SseApiSpec | None
    faults: tuple[Fault, ...] = ()
    status: SseApiStatus = field(default_factory=SseApiStatus)
    gateway_ref: tuple[str | None, str] | None = None
    """(namespace or None for its own, name) of the gateway that it names validly, also where `spec` is None."""
    context_path: str | None = None
    """The context-path without trailing `/`, also where `spec` is None; None where it is itself not valid,
    or where host names are given and none of them is."""
    hostnames: tuple[str, ...] = ()
    """The host names, also where `spec` is None; a faulty one is left out."""
    references: frozenset[Reference] = frozenset()
    """The Secrets and ConfigMaps that its spec names."""


@dataclass(frozen=True, slots=True)
class SseGateway:
    """An SseGateway. `spec` is None where it has faults."""

    metadata: Metadata
    spec: SseGatewaySpec | None
    faults: tuple[Fault, ...] = ()
    status: SseGatewayStatus = field(default_factory=SseGatewayStatus)

    @property
    def references(self) -> frozenset[Reference]:
        """The Secrets that its spec names."""
        return references(self.spec) if self.spec is not None else frozenset()


Document = Mapping[str, object]
"""An object as YAML or JSON gave it."""
