"""TLS with clients: real handshakes, by name, and certificates that change under live streams."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import ssl

import pytest
import trustme

from proxy.harness import Call, Client, Gateway, Origin, api
from sse_proxy.certificates import Certificates
from sse_proxy.config import ApiSecrets, Certificate, GatewayConfig, Settings, Tls, chain_slot, key_slot
from sse_proxy.turns import Turns

Pair = tuple[str, str]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def issued(authority: trustme.CA, *names: str) -> Pair:
    """A certificate's chain and key."""
    certificate = authority.issue_cert(*names)
    chain = "".join(each.bytes().decode() for each in certificate.cert_chain_pems)
    return chain, certificate.private_key_pem.bytes().decode()


def load(gateway: Gateway, origin: Origin, *pairs: tuple[Pair | None, tuple[str, ...]], **members: object) -> None:
    """Serve the origin, with these certificates and the names that they are for. None: its Secret cannot be used."""
    slots = {}
    for place, (pair, _) in enumerate(pairs):
        if pair is not None:
            slots |= {chain_slot(place): pair[0], key_slot(place): pair[1]}
    needed = ApiSecrets(namespace="default", name="gateway/default", values=slots)
    certificates = tuple(
        Certificate(name=f"secret-{place}", hostnames=names if pair is not None else ())
        for place, (pair, names) in enumerate(pairs)
    )
    settings = Settings(
        namespace="default",
        name="default",
        tls=Tls(certificates=certificates, secrets=needed.digest if slots else None),
    )
    gateway.revision += 1
    gateway.proxy.load(
        GatewayConfig(
            settings=settings,
            revision=gateway.revision,
            apis=(api(origin.url(), **members),),  # type: ignore[arg-type]
            secrets={needed.digest: needed},
        )
    )


def shown(client: Client) -> str:
    """The certificate that the client was shown, as a digest."""
    certificate = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return hashlib.sha256(certificate).hexdigest()


def digest(pair: Pair) -> str:
    first = pair[0].split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----"
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).hexdigest()


async def ticking(call: Call) -> None:
    await call.stream_head()
    await call.event(b"data: 1\n\n")
    await call.gone()


async def test_a_request_over_tls(
    gateway: Gateway, origin: Origin, authority: trustme.CA, client_tls: ssl.SSLContext
) -> None:
    load(gateway, origin, (issued(authority, "a.example"), ("a.example",)))
    client = await gateway.connect_tls(client_tls, "a.example")
    tls = client.writer.get_extra_info("ssl_object")
    assert tls.selected_alpn_protocol() == "http/1.1"
    for _ in range(2):
        response = await client.get("/sse", host="a.example")
        assert response.status == 200
        await client.length_body(response)
    call = await origin.call()
    assert dict(call.fields)["X-Forwarded-Proto"] == "https"
    plain = await gateway.connect()
    assert (await plain.get("/sse")).status == 200, "the other port goes on without TLS"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_body_both_ways_and_a_stream(
    gateway: Gateway, origin: Origin, authority: trustme.CA, client_tls: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    sent = os.urandom(700_000)

    async def echo(call: Call) -> None:
        await call.stream_head()
        await call.event(await call.reader.readexactly(len(sent)))
        await call.event(b"data: 1\n\n")
        await call.gone()

    origin.answer = echo
    client_tls.minimum_version = client_tls.maximum_version = version
    load(gateway, origin, (issued(authority, "a.example"), ("a.example",)))
    client = await gateway.connect_tls(client_tls, "a.example")
    response = await client.request("POST", "/sse", f"Content-Length: {len(sent)}", body=sent)
    assert response.status == 200
    got = b""
    while len(got) < len(sent):
        got += await client.chunk()
    assert got == sent
    assert await client.chunk() == b"data: 1\n\n"
    await client.close()
    assert await gateway.closed() == "client"


async def test_the_certificate_is_that_of_the_name(
    gateway: Gateway, origin: Origin, authority: trustme.CA, client_tls: ssl.SSLContext
) -> None:
    first = issued(authority, "a.example")
    exact, wild = issued(authority, "x.b.example"), issued(authority, "*.b.example")
    load(gateway, origin, (first, ("a.example",)), (wild, ("*.b.example",)), (exact, ("x.b.example",)))
    for name, pair in (("a.example", first), ("x.b.example", exact), ("X.B.Example", exact), ("y.b.example", wild)):
        assert shown(await gateway.connect_tls(client_tls, name)) == digest(pair)
    anyhow = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyhow.check_hostname, anyhow.verify_mode = False, ssl.CERT_NONE
    for unknown in (None, "c.example", "z.y.b.example", "b.example"):
        assert shown(await gateway.connect_tls(anyhow, unknown)) == digest(first)


async def test_rotation_under_a_live_stream(
    gateway: Gateway, origin: Origin, authority: trustme.CA, client_tls: ssl.SSLContext
) -> None:
    more = asyncio.Event()

    async def two(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: 1\n\n")
        await more.wait()
        await call.event(b"data: 2\n\n")
        await call.gone()

    origin.answer = two
    old, new = issued(authority, "a.example"), issued(authority, "a.example")
    load(gateway, origin, (old, ("a.example",)))
    client = await gateway.connect_tls(client_tls, "a.example")
    assert (await client.get("/sse")).status == 200
    assert await client.chunk() == b"data: 1\n\n"
    load(gateway, origin, (new, ("a.example",)))
    assert shown(await gateway.connect_tls(client_tls, "a.example")) == digest(new)
    more.set()
    assert await client.chunk() == b"data: 2\n\n"
    assert shown(client) == digest(old)


@pytest.mark.parametrize("how", ["missing", "another key", "no PEM"])
async def test_a_certificate_that_cannot_be_used_leaves_the_one_before(
    gateway: Gateway, origin: Origin, authority: trustme.CA, client_tls: ssl.SSLContext, how: str
) -> None:
    good, other = issued(authority, "a.example"), issued(authority, "b.example")
    load(gateway, origin, (good, ("a.example",)), (other, ("b.example",)))
    broken = {"missing": None, "another key": (good[0], other[1]), "no PEM": ("x", "y")}[how]
    changed = issued(authority, "b.example")
    load(gateway, origin, (broken, ("a.example",)), (changed, ("b.example",)))
    assert shown(await gateway.connect_tls(client_tls, "a.example")) == digest(good)
    assert shown(await gateway.connect_tls(client_tls, "b.example")) == digest(changed)


async def test_without_certificates_no_handshake_succeeds(
    gateway: Gateway, origin: Origin, authority: trustme.CA, client_tls: ssl.SSLContext
) -> None:
    gateway.load(api(origin.url()))
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        await gateway.connect_tls(client_tls, "a.example")
    assert (await gateway.logged_line("request", status=400))["reason"] == "TlsHandshakeFailed"
    load(gateway, origin, (issued(authority, "a.example"), ("a.example",)))
    await gateway.connect_tls(client_tls, "a.example")
    gateway.load(api(origin.url()))
    with pytest.raises(ssl.SSLError):
        await gateway.connect_tls(client_tls, "a.example")


async def test_old_versions_and_other_protocols_are_refused(
    gateway: Gateway, origin: Origin, authority: trustme.CA
) -> None:
    load(gateway, origin, (issued(authority, "a.example"), ("a.example",)))
    assert gateway.proxy.tls_address is not None
    plain = Client(*await asyncio.open_connection(*gateway.proxy.tls_address))
    await plain.send(b"GET /sse HTTP/1.1\r\nHost: a\r\n\r\n")
    rest, _ = await plain.rest()
    assert b"HTTP" not in rest
    await plain.close()
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        await gateway.connect_tls(old, "a.example")
    assert origin.connections == 0


async def test_a_client_that_takes_nothing_ends_by_the_write_timeout(
    gateway: Gateway, origin: Origin, authority: trustme.CA, client_tls: ssl.SSLContext
) -> None:
    async def flood(call: Call) -> None:
        await call.stream_head()
        while not call.left.is_set():
            await call.event(b"data: " + b"x" * 60_000 + b"\n\n")

    origin.answer = flood
    load(gateway, origin, (issued(authority, "a.example"), ("a.example",)), timeouts={"write": 0.5})
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    assert gateway.proxy.tls_address is not None
    await asyncio.get_running_loop().sock_connect(sock, gateway.proxy.tls_address)
    client = Client(*await asyncio.open_connection(sock=sock, ssl=client_tls, server_hostname="a.example"))
    gateway.clients.append(client)
    assert (await client.get("/sse")).status == 200
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    assert await gateway.closed() == "write_timeout"


async def test_a_broken_stream_looks_broken(
    gateway: Gateway, origin: Origin, authority: trustme.CA, client_tls: ssl.SSLContext
) -> None:
    async def breaks(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: 1\n\n")
        call.writer.transport.abort()

    origin.answer = breaks
    load(gateway, origin, (issued(authority, "a.example"), ("a.example",)))
    client = await gateway.connect_tls(client_tls, "a.example")
    assert (await client.get("/sse")).status == 200
    assert await client.chunk() == b"data: 1\n\n"
    rest, _ = await client.rest()
    assert rest == b"", "no last chunk"


async def test_a_client_that_leaves_frees_upstream(
    gateway: Gateway, origin: Origin, authority: trustme.CA, client_tls: ssl.SSLContext
) -> None:
    origin.answer = ticking
    load(gateway, origin, (issued(authority, "a.example"), ("a.example",)))
    client = await gateway.connect_tls(client_tls, "a.example")
    assert (await client.get("/sse")).status == 200
    call = await origin.call()
    client.writer.transport.abort()
    async with asyncio.timeout(5):
        await call.left.wait()


def test_no_key_is_left_in_a_file(authority: trustme.CA) -> None:
    chain, key = issued(authority, "a.example")
    tls = Tls(certificates=(Certificate(name="a", hostnames=("a.example",)),))
    before = os.listdir("/proc/self/fd")
    Certificates().use(tls, {chain_slot(0): chain, key_slot(0): key})
    assert os.listdir("/proc/self/fd") == before


async def test_handshake_that_has_to_wait_for_its_turn(
    gateway: Gateway, origin: Origin, authority: trustme.CA, client_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(gateway, origin, (issued(authority, "gw.example"), ("gw.example",)))
    monkeypatch.setattr(Turns, "may_begin", lambda _: False)
    client = await gateway.connect_tls(client_tls, "gw.example")
    assert await client.length_body(await client.get("/sse")) == b"ok"
