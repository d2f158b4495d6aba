"""How an entry's targets are reached: by which TLS settings, and through which proxy.

Everything is ready to use here: certificates are loaded when a config is, and a changed one gives another `Reach` with
another identity, so that connections made with the old one serve no new request. Those under way go on.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from sse_proxy.config import (
    CA_SLOT,
    CERTIFICATE_SLOT,
    KEY_SLOT,
    PROXY_CREDENTIALS_SLOT,
    ForwardProxy,
    Upstream,
    UpstreamTls,
)
from sse_proxy.errors import TlsSettingsError
from sse_proxy.pem import load_pair


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A proxy that connections go through, by CONNECT."""

    host: str
    port: int
    authorization: str
    """The Proxy-Authorization field's value; empty for none."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The way to a target."""

    identity: str = ""
    """Connections may be shared where it is the same."""
    context: ssl.SSLContext | None = None
    """None: what the system trusts, no certificate of ours."""
    server_name: str | None = None
    """For SNI and the certificate's name; None: the target's host."""
    tunnel: Tunnel | None = None

    @property
    def beyond(self) -> Reach:
        """The way to another origin than the entry's own: nothing that is shown to the target is shown there."""
        return Reach(identity=_identity(self.tunnel), tunnel=self.tunnel) if self.identity else self


DIRECT = Reach()


def reach_of(upstream: Upstream, slots: Mapping[str, str]) -> Reach:
    """The way that an entry asks for; `slots` are its secrets. Raises TlsSettingsError."""
    tunnel = _tunnel(upstream.proxy, slots) if upstream.proxy is not None else None
    tls = upstream.tls
    if tls is None:
        return Reach(identity=_identity(tunnel), tunnel=tunnel)
    material = [slots.get(slot, "") for slot in (CA_SLOT, CERTIFICATE_SLOT, KEY_SLOT)]
    identity = _identity(tunnel, tls.model_dump_json(), *material)
    return Reach(identity=identity, context=_context(tls, *material), server_name=tls.server_name, tunnel=tunnel)


def _tunnel(proxy: ForwardProxy, slots: Mapping[str, str]) -> Tunnel:
    return Tunnel(proxy.host, proxy.port, slots.get(PROXY_CREDENTIALS_SLOT, ""))


def _identity(tunnel: Tunnel | None, *parts: str) -> str:
    if tunnel is None and not parts:
        return ""
    digest = hashlib.sha256()
    for part in (repr(tunnel), *parts):
        digest.update(b"%d:" % len(part) + part.encode())
    return digest.hexdigest()


def _context(tls: UpstreamTls, ca: str, certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if ca:
            context.load_verify_locations(cadata=ca)
        elif tls.verify:
            context.load_default_certs()
        if certificate:
            load_pair(context, certificate, key)
    except (ssl.SSLError, ValueError) as error:
        raise TlsSettingsError(f"the TLS settings cannot be used: {error}") from None
    return context
