"""Which certificate a client gets to see: by the name that it asks for (RFC 6066, section 3), from those of the current
config.

One `SSLContext` is there from the start and stays: a handshake begins with it, and goes on with that of the chosen
certificate. So certificates come, change and go while the port is open, and connections that exist keep theirs.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from sse_proxy.config import Certificate, Tls, chain_slot, key_slot
from sse_proxy.pem import load_pair

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Ready:
    """A certificate in use."""

    hostnames: tuple[str, ...]
    pair: tuple[str, str] = field(repr=False)
    context: ssl.SSLContext


class Certificates:
    """The certificates of a gateway. Without any, every handshake fails."""

    def __init__(self) -> None:
        self.context = _context()
        """For every handshake."""
        self.context.sni_callback = self._named
        self._ready: dict[str, _Ready] = {}
        self._by_hostname: dict[str, ssl.SSLContext] = {}
        self._first: ssl.SSLContext | None = None

    def use(self, tls: Tls | None, slots: Mapping[str, str]) -> None:
        """Those for handshakes from now on. One whose slots are not there, or cannot be used, stays as it was."""
        wanted = tls.certificates if tls is not None else ()
        ready: dict[str, _Ready] = {}
        for place, certificate in enumerate(wanted):
            pair = slots.get(chain_slot(place)), slots.get(key_slot(place))
            known = _made(certificate, *pair, self._ready.get(certificate.name))
            if known is not None:
                ready[certificate.name] = known
        self._ready = ready
        self._by_hostname = {}
        for each in ready.values():
            for hostname in each.hostnames:
                self._by_hostname.setdefault(hostname, each.context)
        self._first = next((each.context for each in ready.values()), None)

    def _named(self, connection: ssl.SSLObject, hostname: str | None, _: ssl.SSLContext) -> int | None:
        chosen = self._for(hostname.lower()) if hostname is not None else self._first
        if chosen is None:
            return int(ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
        connection.context = chosen
        return None

    def _for(self, hostname: str) -> ssl.SSLContext | None:
        """That of the name itself, else of the wildcard for its first label (RFC 9525, section 6.3), else the first."""
        wildcard = f"*.{hostname.partition('.')[2]}"
        return self._by_hostname.get(hostname) or self._by_hostname.get(wildcard) or self._first


def _made(certificate: Certificate, chain: str | None, key: str | None, before: _Ready | None) -> _Ready | None:
    if chain is None or key is None:
        return before
    if before is not None and before.pair == (chain, key):
        return before
    context = _context()
    try:
        load_pair(context, chain, key)
    except (ssl.SSLError, ValueError) as error:
        _log.error("the certificate of Secret %s cannot be used: %s", certificate.name, error)
        return before
    return _Ready(certificate.hostnames, (chain, key), context)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A renegotiation costs the client nothing and the gateway a handshake.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context
