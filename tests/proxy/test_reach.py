"""TLS to targets, and proxies in front of them: real handshakes on loopback, certificates that change."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme

from proxy.harness import Call, Gateway, Origin, api
from sse_proxy.config import (
    CA_SLOT,
    CERTIFICATE_SLOT,
    KEY_SLOT,
    PROXY_CREDENTIALS_SLOT,
    Api,
    ApiSecrets,
    ForwardProxy,
    TargetGuard,
    Upstream,
    UpstreamTls,
)


class Authority:
    """Someone who signs certificates."""

    def __init__(self) -> None:
        self._ca = trustme.CA()
        self.certificate = self._ca.cert_pem.bytes().decode()

    def server(self, *names: str, clients_of: Authority | None = None) -> ssl.SSLContext:
        """TLS of a server with these names; it wants to see certificates signed by `clients_of`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*names).configure_cert(context)
        if clients_of is not None:
            clients_of._ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self, name: str) -> dict[str, str]:
        """A client's certificate and key, as slots."""
        issued = self._ca.issue_cert(f"{name}.example", common_name=name)
        chain = "".join(each.bytes().decode() for each in issued.cert_chain_pems)
        return {CERTIFICATE_SLOT: chain, KEY_SLOT: issued.private_key_pem.bytes().decode()}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def other() -> Authority:
    return Authority()


@pytest.fixture
async def secure(authority: Authority) -> AsyncIterator[Origin]:
    origin = Origin()
    await origin.start(ssl=authority.server("localhost"))
    yield origin
    await origin.stop()


def reached(
    origin: Origin,
    slots: dict[str, str] | None = None,
    *,
    scheme: str = "https",
    host: str = "localhost",
    **upstream: Any,
) -> tuple[Api, list[ApiSecrets]]:
    """A config entry for the origin, and its secrets."""
    entry = api(f"{scheme}://{host}:{origin.port}/sse").model_copy(update={"upstream": Upstream(**upstream)})
    if not slots:
        return entry, []
    needed = ApiSecrets(namespace="default", name="api", values=slots)
    return entry.model_copy(update={"secrets": needed.digest}), [needed]


async def outcome(gateway: Gateway, entry: tuple[Api, list[ApiSecrets]]) -> tuple[int, str]:
    """Status and problem of one request; the problem of a good one is its body."""
    gateway.load(entry[0], secrets=entry[1])
    client = await gateway.connect()
    response = await client.get("/sse")
    if response.status == 200:
        return 200, (await client.length_body(response)).decode()
    return response.status, (await client.problem(response))["reason"]


UNTRUSTED = (502, "UpstreamTlsFailed")


async def test_a_ca_of_its_own(gateway: Gateway, secure: Origin, authority: Authority, other: Authority) -> None:
    assert await outcome(gateway, reached(secure)) == UNTRUSTED
    assert await outcome(gateway, reached(secure, {CA_SLOT: other.certificate}, tls=UpstreamTls())) == UNTRUSTED
    trusting = reached(secure, {CA_SLOT: authority.certificate}, tls=UpstreamTls())
    assert await outcome(gateway, trusting) == (200, "ok")
    both = {CA_SLOT: other.certificate + authority.certificate}
    assert await outcome(gateway, reached(secure, both, tls=UpstreamTls())) == (200, "ok")


async def test_a_connection_of_another_trust_is_not_shared(
    gateway: Gateway, secure: Origin, authority: Authority, other: Authority
) -> None:
    """The idle connection that the first entry left is none that the second one has judged."""
    assert await outcome(gateway, reached(secure, {CA_SLOT: authority.certificate}, tls=UpstreamTls())) == (200, "ok")
    assert await outcome(gateway, reached(secure, {CA_SLOT: other.certificate}, tls=UpstreamTls())) == UNTRUSTED


async def test_a_certificate_must_have_the_name(gateway: Gateway, secure: Origin, authority: Authority) -> None:
    slots = {CA_SLOT: authority.certificate}
    assert await outcome(gateway, reached(secure, slots, host="127.0.0.1", tls=UpstreamTls())) == UNTRUSTED
    named = reached(secure, slots, host="127.0.0.1", tls=UpstreamTls(server_name="localhost"))
    assert await outcome(gateway, named) == (200, "ok")
    misnamed = reached(secure, slots, tls=UpstreamTls(server_name="prices.example"))
    assert await outcome(gateway, misnamed) == UNTRUSTED


async def test_skipping_it_all(gateway: Gateway, secure: Origin) -> None:
    assert await outcome(gateway, reached(secure, tls=UpstreamTls(verify=False))) == (200, "ok")


async def test_a_client_certificate_and_its_rotation(gateway: Gateway, authority: Authority, other: Authority) -> None:
    """The next request shows the new certificate; a stream that began with the old one goes on."""

    async def answer(call: Call) -> None:
        shown = call.writer.get_extra_info("peercert")
        name = dict(pair for part in shown["subject"] for pair in part)["commonName"].encode()
        await call.stream_head()
        await call.event(name)
        await asyncio.sleep(0.2)
        await call.event(b"on")
        await call.gone()

    origin = Origin()
    origin.answer = answer
    await origin.start(ssl=authority.server("localhost", clients_of=other))
    try:
        ca = {CA_SLOT: authority.certificate}
        without = await outcome(gateway, reached(origin, ca, tls=UpstreamTls()))
        assert without[0] == 502
        streams = []
        for name in ("first", "second"):
            entry, needed = reached(origin, {**ca, **other.client(name)}, tls=UpstreamTls())
            gateway.load(entry, secrets=needed)
            client = await gateway.connect()
            assert (await client.get("/sse")).status == 200
            assert await client.chunk() == name.encode()
            streams.append(client)
        assert [await client.chunk() for client in streams] == [b"on", b"on"]
    finally:
        await origin.stop()


@pytest.mark.parametrize("fault", ["another key", "encrypted", "nonsense", "no CA"])
async def test_what_cannot_be_used_closes_the_api_alone(
    gateway: Gateway, origin: Origin, secure: Origin, authority: Authority, other: Authority, fault: str
) -> None:
    slots = {CA_SLOT: authority.certificate, **other.client("a")}
    match fault:
        case "another key":
            slots[KEY_SLOT] = other.client("b")[KEY_SLOT]
        case "encrypted":
            slots[KEY_SLOT] = ENCRYPTED_KEY
        case "nonsense":
            slots[CERTIFICATE_SLOT] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        case "no CA":
            slots[CA_SLOT] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    entry, needed = reached(secure, slots, tls=UpstreamTls())
    gateway.load(entry, api(origin.url(), name="sound", path="/sound"), secrets=needed)
    client = await gateway.connect()
    response = await client.get("/sse")
    assert (response.status, (await client.problem(response))["reason"]) == (503, "InvalidTls")
    assert (await client.get("/sound")).status == 200


ENCRYPTED_KEY = """-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGjMF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBA0ZBqXk0Wk9b0cJg1K
Yx7tAgIIADAMBggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQ0c8r2m8m0qgV9mX7
-----END ENCRYPTED PRIVATE KEY-----
"""


# A proxy in front.


class Proxy:
    """An HTTP proxy that knows CONNECT, and who may use it."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.answer: bytes = b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n"
        self.authorization: str | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self.server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            if self.authorization is not None and f"Proxy-Authorization: {self.authorization}\r\n" not in head:
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            writer.write(self.answer)
            if not self.answer.startswith(b"HTTP/1.1 200"):
                return
            port = int(head.split(" ")[1].rpartition(":")[2])
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@pytest.fixture
async def tunnel() -> AsyncIterator[Proxy]:
    proxy = Proxy()
    await proxy.start()
    yield proxy
    await proxy.stop()


def through(proxy: Proxy) -> ForwardProxy:
    return ForwardProxy(host="127.0.0.1", port=proxy.port)


async def test_https_through_a_proxy(gateway: Gateway, secure: Origin, authority: Authority, tunnel: Proxy) -> None:
    credentials = "Basic " + base64.b64encode(b"me:secret").decode()
    tunnel.authorization = credentials
    slots = {CA_SLOT: authority.certificate, PROXY_CREDENTIALS_SLOT: credentials}
    entry = reached(secure, slots, tls=UpstreamTls(), proxy=through(tunnel))
    for _ in range(2):
        assert await outcome(gateway, entry) == (200, "ok")
    (head,) = tunnel.heads
    assert head.startswith(f"CONNECT localhost:{secure.port} HTTP/1.1\r\nHost: localhost:{secure.port}\r\n")
    assert (await secure.call()).get("Proxy-Authorization") is None


async def test_http_through_a_proxy(gateway: Gateway, origin: Origin, tunnel: Proxy) -> None:
    """The name is the proxy's to resolve."""
    entry = reached(origin, scheme="http", host="only.the.proxy.knows", proxy=through(tunnel))
    assert await outcome(gateway, entry) == (200, "ok")
    call = await origin.call()
    assert (call.line, call.get("Host")) == ("GET /sse HTTP/1.1", f"only.the.proxy.knows:{origin.port}")


async def test_without_credentials_the_proxy_refuses(gateway: Gateway, origin: Origin, tunnel: Proxy) -> None:
    tunnel.authorization = "Basic eA=="
    entry = reached(origin, scheme="http", proxy=through(tunnel))
    assert await outcome(gateway, entry) == (502, "ProxyRefused")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "ProxyRefused"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "UpstreamUnreachable"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000, "UpstreamUnreachable"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", "UpstreamUnreachable"),
    ],
)
async def test_answers_to_connect(gateway: Gateway, origin: Origin, tunnel: Proxy, answer: bytes, reason: str) -> None:
    tunnel.answer = answer
    entry = reached(origin, scheme="http", proxy=through(tunnel))
    assert await outcome(gateway, entry) == (502, reason)


async def test_a_proxy_that_is_not_there(gateway: Gateway, origin: Origin, tunnel: Proxy) -> None:
    await tunnel.stop()
    entry = reached(origin, scheme="http", proxy=through(tunnel))
    assert await outcome(gateway, entry) == (502, "UpstreamUnreachable")


async def test_a_silent_proxy_is_a_connect_timeout(gateway: Gateway, origin: Origin, tunnel: Proxy) -> None:
    tunnel.answer = b""
    entry, _ = reached(origin, scheme="http", proxy=through(tunnel))
    entry = entry.model_copy(update={"timeouts": entry.timeouts.model_copy(update={"connect": 0.2})})
    assert (await outcome(gateway, (entry, [])))[0] in (502, 504)


async def test_an_address_that_is_denied_is_denied_through_a_proxy_too(
    gateway: Gateway, origin: Origin, tunnel: Proxy
) -> None:
    entry, _ = reached(origin, scheme="http", host="127.0.0.9", proxy=through(tunnel))
    gateway.load(entry, targets=TargetGuard(deny=("127.0.0.9/32",)))
    client = await gateway.connect()
    response = await client.get("/sse")
    assert (response.status, (await client.problem(response))["reason"]) == (502, "TargetDenied")
    assert tunnel.heads == []
