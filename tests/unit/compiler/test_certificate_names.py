"""The names of a certificate, as another library wrote them into it."""

from __future__ import annotations

import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from sse_operator.compiler.certificate_names import dns_names

KEY = generate_private_key(SECP256R1())
NOW = datetime.datetime(2026, 1, 1)
COMMON_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "common.example")])


def certificate(*names: x509.GeneralName, others: int = 0) -> bytes:
    """The DER of one with these names, behind so many other extensions."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(COMMON_NAME)
        .issuer_name(COMMON_NAME)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + datetime.timedelta(days=1))
    )
    for number in range(others):
        oid = x509.ObjectIdentifier(f"1.3.6.1.4.1.99999.{number}")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, b"\x05\x00"), critical=number % 2 == 0)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, SHA256()).public_bytes(Encoding.DER)


MANY = [f"host-{number}.events.example" for number in range(2000)]


@pytest.mark.parametrize("others", [0, 3])
@pytest.mark.parametrize("names", [[], ["a.example"], ["*.B.Example", "xn--bcher-kva.example", "a"], MANY])
def test_names(names: list[str], others: int) -> None:
    der = certificate(*map(x509.DNSName, names), others=others)
    assert dns_names(der) == tuple(name.lower() for name in names)


def test_only_those_of_hosts_and_each_once() -> None:
    address = x509.IPAddress(ipaddress.ip_address("192.0.2.1"))
    mail = x509.RFC822Name("a@b.example")
    uri = x509.UniformResourceIdentifier("spiffe://b.example/a")
    found = dns_names(certificate(mail, x509.DNSName("a.example"), address, x509.DNSName("A.example"), uri))
    assert found == ("a.example",)


def test_what_is_cut_off_or_no_certificate_is_refused() -> None:
    whole = certificate(x509.DNSName("a.example"))
    for cut in (b"", whole[:1], whole[:40], whole[:-1], whole + b"\x05\x00", b"\x30\x03\x02\x01\x01", b"\x30\x80"):
        with pytest.raises(ValueError):
            dns_names(cut)


def test_any_byte_may_be_wrong() -> None:
    """Names or a refusal, and never another error."""
    whole = certificate(x509.DNSName("a.example"))
    for place in range(len(whole)):
        for wrong in (0x00, 0x7F, 0x80, 0xFF):
            try:
                dns_names(whole[:place] + bytes([wrong]) + whole[place + 1 :])
            except ValueError:
                continue
