"""Which host names a certificate is for: its DNS names (RFC 5280, section 4.2.1.6), read from its DER (X.690).

No more is read than leads there. Whether the certificate is good is OpenSSL's to say, in the proxy and for the client.
"""

from __future__ import annotations

from collections.abc import Iterator

_EXTENSIONS = 0xA3
"""The tag of a certificate's extensions."""
_SUBJECT_ALTERNATIVE_NAME = b"\x55\x1d\x11"
"""The content of the object identifier 2.5.29.17."""
_DNS_NAME = 0x82


def dns_names(certificate: bytes) -> tuple[str, ...]:
    """The names, in lower case, each once; a common name counts no more (RFC 9525, section 2). Raises ValueError where
    this is not the DER of a certificate."""
    ((_, whole),) = _elements(certificate)
    (_, to_be_signed), *_ = _elements(whole)
    names: list[str] = []
    for tag, content in _elements(to_be_signed):
        if tag == _EXTENSIONS:
            ((_, extensions),) = _elements(content)
            for _, extension in _elements(extensions):
                names += _names_in(extension)
    return tuple(dict.fromkeys(names))


def _names_in(extension: bytes) -> list[str]:
    (_, identifier), *_, (_, value) = _elements(extension)
    if identifier != _SUBJECT_ALTERNATIVE_NAME:
        return []
    ((_, names),) = _elements(value)
    return [name.decode("ascii").lower() for tag, name in _elements(names) if tag == _DNS_NAME]


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tags and contents of what stands in `data`, one behind the other."""
    at = 0
    while at < len(data):
        tag, *length = data[at : at + 2]
        at += 2
        if not length:
            raise ValueError("DER that is cut off")
        (size,) = length
        if size >= 0x80:
            # A length of several bytes, of which the first says how many.
            count = size & 0x7F
            size = int.from_bytes(data[at : at + count])
            at += count
        if at + size > len(data):
            raise ValueError("DER that is cut off")
        yield tag, data[at : at + size]
        at += size
