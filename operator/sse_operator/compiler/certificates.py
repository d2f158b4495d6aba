"""A gateway's own certificates: from its Secrets into slots, with the host names that each is for."""

from __future__ import annotations

import ssl

from cryptography import x509

from sse_operator.api.gateway_tls import GatewayTlsSpec
from sse_operator.compiler.secrets import Referenced
from sse_proxy.config import Certificate, Tls, chain_slot, key_slot
from sse_proxy.pem import load_pair

_WANTED = "tls.key is to be the private key of the first certificate in tls.crt, in PEM and not encrypted"


def certificates_of(spec: GatewayTlsSpec | None, referenced: Referenced) -> Tls | None:
    """The contract's part for `tls`, but for the digest; what it names goes into the slots. A certificate that cannot
    be used is noted in `referenced`, and listed without slots: proxies go on with the one before."""
    if spec is None:
        return None
    certificates = []
    for place, ref in enumerate(spec.certificate_refs):
        hostnames = _fill(place, ref.name, referenced)
        certificates.append(Certificate(name=ref.name, hostnames=hostnames))
    return Tls(certificates=tuple(certificates))


def _fill(place: int, name: str, referenced: Referenced) -> tuple[str, ...]:
    secret = referenced.secret(name)
    if secret is None:
        return ()
    chain, key = [referenced.entry_text(name, secret, entry) for entry in ("tls.crt", "tls.key")]
    if chain is None or key is None:
        return ()
    try:
        hostnames = _hostnames(chain)
    except (ValueError, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        referenced.invalid(name, "has an entry tls.crt without a certificate in PEM that can be read")
        return ()
    try:
        # OpenSSL judges, as it will in the proxies.
        load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), chain, key)
    except ssl.SSLError as error:
        why = f" ({error.reason})" if error.reason else ""
        referenced.invalid(name, f"has a tls.crt and a tls.key that do not go together{why}: {_WANTED}")
        return ()
    except ValueError:
        referenced.invalid(name, f"has an entry tls.key that is encrypted: {_WANTED}")
        return ()
    referenced.fill(chain_slot(place), chain + "\n", name)
    referenced.fill(key_slot(place), key + "\n", name)
    return hostnames


def _hostnames(chain: str) -> tuple[str, ...]:
    """Of the first certificate's subject alternative names, in lower case; a common name counts no more (RFC 9525,
    section 2). Raises ValueError, or one of the library's own errors, where it cannot be read."""
    certificate = x509.load_pem_x509_certificates(chain.encode())[0]
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(dict.fromkeys(name.lower() for name in names.get_values_for_type(x509.DNSName)))
