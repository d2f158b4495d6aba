"""A gateway's own certificates: from its Secrets into slots, with the host names that each is for."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sse_operator.api.gateway_tls import GatewayTlsSpec
from sse_operator.compiler.secrets import Referenced
from sse_proxy.config import Certificate, Tls, chain_slot, key_slot


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
        certificate = x509.load_pem_x509_certificates(chain.encode())[0]
        hostnames = _hostnames(certificate)
        public = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension):
        referenced.invalid(name, "has an entry tls.crt without a certificate in PEM that can be read")
        return ()
    try:
        # Only its public half is looked at, which needs no proof of primes: that takes 50 ms and more.
        private = load_pem_private_key(key.encode(), None, unsafe_skip_rsa_key_validation=True)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        referenced.invalid(name, "has an entry tls.key without a private key in PEM that is not encrypted")
        return ()
    if private.public_key() != public:
        referenced.invalid(name, "has a tls.key that does not belong to the first certificate of tls.crt")
        return ()
    referenced.fill(chain_slot(place), chain + "\n", name)
    referenced.fill(key_slot(place), key + "\n", name)
    return hostnames


def _hostnames(certificate: x509.Certificate) -> tuple[str, ...]:
    """Of the subject alternative names; a common name counts no more (RFC 9525, section 2)."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(dict.fromkeys(name.lower() for name in names.get_values_for_type(x509.DNSName)))
