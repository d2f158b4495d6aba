"""A gateway's own certificates: what of its Secrets the proxies get, and what is told where one cannot be used."""

from __future__ import annotations

import base64
import ssl

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from sse_operator.api.data_objects import read_data_object
from sse_operator.api.reading import read_sse_gateway
from sse_operator.compiler.model import CompiledGateway, Programmed
from sse_operator.compiler.verdicts import gateway_verdicts
from unit.compiler.scenario import compile_apis

NAMES = ("events.example", "*.Events.example")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def issued(authority: trustme.CA, *names: str) -> dict[str, str]:
    certificate = authority.issue_cert(*(names or NAMES))
    chain = "".join(each.bytes().decode() for each in certificate.cert_chain_pems)
    return {"tls.crt": chain, "tls.key": certificate.private_key_pem.bytes().decode()}


def gateway_document(*names: str) -> dict[str, object]:
    refs = [{"name": name} for name in names]
    return {"metadata": {"name": "edge", "namespace": "shop"}, "spec": {"tls": {"certificateRefs": refs}}}


def compiled(*names: str, **secrets: dict[str, str]) -> CompiledGateway:
    read = {
        f"shop/{name}": read_data_object(
            {
                "kind": "Secret",
                "metadata": {"name": name, "namespace": "shop", "uid": name},
                "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
            }
        )
        for name, data in secrets.items()
    }
    return compile_apis([gateway_document(*names)], [], secrets=read).gateways["shop/edge"]


def test_each_comes_with_its_names_and_is_in_slots(authority: trustme.CA) -> None:
    a, b = issued(authority), issued(authority, "other.example")
    made = compiled("b", "a", a=a, b=b)
    tls = made.settings.tls
    assert tls
    assert [(each.name, each.hostnames) for each in tls.certificates] == [
        ("b", ("other.example",)),
        ("a", ("events.example", "*.events.example")),
    ]
    (needed,) = made.secrets
    assert (needed.namespace, needed.name) == ("shop", "gateway/edge")
    assert tls.secrets == needed.digest
    assert {slot: value.strip() for slot, value in needed.values.items()} == {
        "tls.0.crt": b["tls.crt"].strip(), "tls.0.key": b["tls.key"].strip(),
        "tls.1.crt": a["tls.crt"].strip(), "tls.1.key": a["tls.key"].strip(),
    }  # fmt: skip
    assert "PRIVATE KEY" not in made.settings.model_dump_json()


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_any_byte_of_a_certificate_may_be_wrong(authority: trustme.CA) -> None:
    """Used or told, and never an error of the compiler's."""
    good = issued(authority)
    der = ssl.PEM_cert_to_DER_cert(good["tls.crt"].split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----")
    for place in range(0, len(der), 5):
        wrong = der[:place] + bytes([der[place] ^ 0x81]) + der[place + 1 :]
        made = compiled("a", a={**good, "tls.crt": ssl.DER_cert_to_PEM_cert(wrong)})
        assert made.resolved_refs.reason in ("ResolvedRefs", "SecretInvalid")


def test_one_that_cannot_be_used_is_told_and_the_others_go_on(authority: trustme.CA) -> None:
    good = issued(authority)
    made = compiled("missing", "good", good=good)
    assert made.settings.tls
    assert [each.hostnames for each in made.settings.tls.certificates] == [(), ("events.example", "*.events.example")]
    assert list(made.secrets[0].values) == ["tls.1.crt", "tls.1.key"]
    gateway = read_sse_gateway(gateway_document("missing", "good"))
    loaded = Programmed(1, {"p": {"": 9}})
    verdicts = {each.type: each for each in gateway_verdicts(gateway, made, loaded, 1)}
    assert (verdicts["Accepted"].status, verdicts["ResolvedRefs"].status) == ("True", "False")
    assert verdicts["Ready"].reason == "SecretNotFound"
    assert "kubectl label secret -n shop missing sse-gateway.dev/use=true" in verdicts["ResolvedRefs"].message


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"tls.key": None}, "has no entry tls.key"),
        ({"tls.crt": None}, "has no entry tls.crt"),
        ({"tls.crt": ""}, "without a certificate in PEM"),
        ({"tls.crt": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, "without a certificate in PEM"),
        ({"tls.key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}, "do not go together"),
        ({"tls.key": ""}, "do not go together"),
        ({"tls.key": "other"}, "KEY_VALUES_MISMATCH"),
        ({"tls.key": "encrypted"}, "tls.key that is encrypted"),
    ],
)
def test_what_is_wrong_with_one_is_told_without_its_content(
    authority: trustme.CA, change: dict[str, str | None], told: str
) -> None:
    data: dict[str, str | None] = {**issued(authority), **change}
    if data["tls.key"] == "other":
        data["tls.key"] = issued(authority)["tls.key"]
    if data["tls.key"] == "encrypted":
        key = load_pem_private_key(issued(authority)["tls.key"].encode(), None)
        encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
        data["tls.key"] = encrypted.decode()
    made = compiled("a", a={name: value for name, value in data.items() if value is not None})
    assert made.resolved_refs.reason == "SecretInvalid"
    assert told in made.resolved_refs.message
    assert "AAAA" not in made.resolved_refs.message
    assert made.settings.tls
    assert made.settings.tls.secrets is None
    assert made.secrets == ()
