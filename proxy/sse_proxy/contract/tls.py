"""TLS between clients and the gateway."""

from __future__ import annotations

from sse_proxy.contract.model import ConfigModel


class Certificate(ConfigModel):
    """A certificate of the gateway's. Its chain and key (PEM) are in the slots `chain_slot` and `key_slot` of its place
    in the list; where they are not, a proxy goes on with what it had under this name."""

    name: str
    """Of the Secret that it comes from."""
    hostnames: tuple[str, ...] = ()
    """Lower-case host names that it is for, or `*.suffix`."""


class Tls(ConfigModel):
    """The certificates, of which the first is for clients that ask for no name, or for one that none is for."""

    certificates: tuple[Certificate, ...] = ()
    secrets: str | None = None
    """The digest of the `ApiSecrets` with the slots, named `gateway/<name>`, as no SseApi can be. None: none are
    there."""


def chain_slot(place: int) -> str:
    """Holds the certificate and those that lead to its root."""
    return f"tls.{place}.crt"


def key_slot(place: int) -> str:
    """Holds the key."""
    return f"tls.{place}.key"
