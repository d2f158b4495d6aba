"""TLS to an entry's targets and the proxy in front of them: settings into the config, certificates and keys into slots.

Certificates and keys are looked at as far as text tells; whether a key fits its certificate the proxy finds out, which
answers 503 for the API alone then.
"""

from __future__ import annotations

import base64
import binascii
import re

from sse_operator.api.sse_api import Warned
from sse_operator.api.upstream import UpstreamSpec
from sse_operator.api.upstream_tls import CaRef, ProxySpec, UpstreamTlsSpec
from sse_operator.compiler.credentials import basic_authorization
from sse_operator.compiler.secrets import Referenced
from sse_proxy.config import CA_SLOT, CERTIFICATE_SLOT, KEY_SLOT, PROXY_CREDENTIALS_SLOT, ForwardProxy, UpstreamTls

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s*([^-]*)-----END \1-----")
_KEYS = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")


def tls_of(spec: UpstreamTlsSpec | None, referenced: Referenced) -> UpstreamTls | None:
    """The contract's part for `upstream.tls`; what it names goes into the slots."""
    if spec is None:
        return None
    if spec.ca_ref is not None:
        _fill_ca(spec.ca_ref, referenced)
    if spec.client_certificate_ref is not None:
        _fill_certificate(spec.client_certificate_ref.name, referenced)
    return UpstreamTls(server_name=spec.server_name, verify=not spec.insecure_skip_verify)


def proxy_of(spec: ProxySpec | None, referenced: Referenced) -> ForwardProxy | None:
    """The contract's part for `upstream.proxy`; its credentials go into their slot."""
    if spec is None:
        return None
    if spec.credentials_ref is not None:
        authorization = basic_authorization(spec.credentials_ref.name, referenced)
        if authorization is not None:
            referenced.fill(PROXY_CREDENTIALS_SLOT, authorization, spec.credentials_ref.name)
    host, _, port = spec.url.removeprefix("http://").removesuffix("/").rpartition(":")
    return ForwardProxy(host=host.strip("[]"), port=int(port))


def tls_warnings(spec: UpstreamSpec | None) -> tuple[Warned, ...]:
    """What works, but should not stay."""
    if spec is None or spec.tls is None or not spec.tls.insecure_skip_verify:
        return ()
    return (
        Warned(
            reason="InsecureSkipVerify",
            message="The target's certificate is not verified: whoever is between the gateway and it reads and changes "
            "everything, credentials too. Name who signs it in upstream.tls.caRef instead.",
        ),
    )


def _fill_ca(ref: CaRef, referenced: Referenced) -> None:
    kind, name = ref.reference
    key = ref.key or ref.DEFAULT_KEY
    found = referenced.config_map(name) if kind == "ConfigMap" else referenced.secret(name)
    text = referenced.entry_text(name, found, key, kind=kind) if found is not None else None
    if text is None:
        return
    if not _blocks(text, "CERTIFICATE"):
        referenced.invalid(name, f"has an entry {key} without a certificate in PEM", kind=kind)
        return
    referenced.fill(CA_SLOT, text + "\n", name)


def _fill_certificate(name: str, referenced: Referenced) -> None:
    secret = referenced.secret(name)
    if secret is None:
        return
    certificate, key = [referenced.entry_text(name, secret, entry) for entry in ("tls.crt", "tls.key")]
    if certificate is None or key is None:
        return
    if not _blocks(certificate, "CERTIFICATE"):
        referenced.invalid(name, "has an entry tls.crt without a certificate in PEM")
    elif not _blocks(key, *_KEYS):
        referenced.invalid(name, "has an entry tls.key without a private key in PEM that is not encrypted")
    else:
        referenced.fill(CERTIFICATE_SLOT, certificate + "\n", name)
        referenced.fill(KEY_SLOT, key + "\n", name)


def _blocks(text: str, *labels: str) -> bool:
    """Whether the text has PEM blocks (RFC 7468) of these labels, all of them well-formed."""
    contents = [content for label, content in _BLOCK.findall(text) if label in labels]
    try:
        return bool(contents) and all(base64.b64decode("".join(each.split()), validate=True) for each in contents)
    except (binascii.Error, ValueError):
        return False
