"""Networks in CIDR notation."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Interface, ip_interface
from typing import Annotated

from pydantic import AfterValidator, Field

from sse_operator.api.fields import Rule, cel_of, ruled


@dataclass(frozen=True)
class NetworkRule(Rule):
    """A rule that also wants a network; for the API server CEL's own function judges."""

    def broken_by(self, value: str) -> bool:
        """Whether it is none. IPv4-mapped networks are refused, as `isCIDR` does."""
        if super().broken_by(value):
            return True
        try:
            interface = ip_interface(value)
        except ValueError:
            return True
        return isinstance(interface, IPv6Interface) and interface.ip.ipv4_mapped is not None

    @property
    def cel(self) -> str:
        """The rule as a CEL expression over `self`."""
        return f"{super().cel} && isCIDR(self)"


NETWORK_RULES = (
    NetworkRule(
        r"^[0-9A-Fa-f.:]+/(0|[1-9][0-9]{0,2})$",
        "must be a network in CIDR notation, such as 10.0.0.0/8, 192.0.2.7/32 or 2001:db8::/32",
    ),
)

Network = Annotated[
    str,
    Field(min_length=1, max_length=49, json_schema_extra=cel_of(NETWORK_RULES, "network")),
    AfterValidator(ruled(NETWORK_RULES)),
]
