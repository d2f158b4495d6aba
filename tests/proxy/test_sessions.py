"""Sessions that an endpoint makes stay there, whichever proxy is asked, and it never sees how."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from proxy import harness
from proxy.harness import Call, Gateway, Origin
from sse_proxy.config import Api, Endpoint, Failover, Header, HeaderChanges, HealthCheck, LoadBalancing, PassiveCheck
from sse_proxy.upstream.session import marking, unmarked

SESSION = "Mcp-Session-Id"


@dataclass
class Server:
    """An endpoint that makes sessions, and knows those that it made."""

    name: str
    origin: Origin
    sessions: set[str] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)
    """The sessions that requests named."""

    async def answer(self, call: Call) -> None:
        """200 with the server's name; 404 for a session that is not known."""
        session = call.get(SESSION)
        if session is None:
            session = f"{self.name}~0.{len(self.sessions)}"
            self.sessions.add(session)
        else:
            self.seen.append(session)
        known = session in self.sessions
        if call.line.startswith("DELETE"):
            self.sessions.discard(session)
        status = b"200 OK" if known else b"404 Not Found"
        lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(self.name), f"{SESSION}: {session}".encode()]
        await call.send(b"\r\n".join(lines) + b"\r\n\r\n" + self.name.encode())


@pytest.fixture
async def servers(origin: Origin) -> AsyncIterator[list[Server]]:
    other = Origin()
    await other.start()
    servers = [Server("a", origin), Server("b", other)]
    for server in servers:
        server.origin.answer = server.answer
    yield servers
    await other.stop()


def entry(
    servers: list[Server], *, weights: tuple[int, ...] = (1, 1), header: str | None = SESSION, **more: object
) -> Api:
    endpoints = tuple(
        Endpoint(name=server.name, url=server.origin.url(""), weight=weight)
        for server, weight in zip(servers, weights, strict=True)
    )
    balancing = LoadBalancing(session_header=header.lower() if header is not None else None)
    return harness.api("", endpoints=endpoints, load_balancing=balancing, **more)  # type: ignore[arg-type]


async def begun(gateway: Gateway) -> tuple[str, str]:
    """A new session: its name as the client gets it, and the server that has it."""
    client = await gateway.connect()
    response = await client.request("POST", "/sse", "Content-Length: 0")
    assert response.status == 200
    server = (await client.length_body(response)).decode()
    return response.get(SESSION) or "", server


async def asked(gateway: Gateway, session: str, method: str = "GET") -> tuple[int, str, str | None]:
    """The status, who answered, and the session's name in the answer."""
    client = await gateway.connect()
    response = await client.request(method, "/sse", f"{SESSION}: {session}")
    return response.status, (await client.length_body(response)).decode(), response.get(SESSION)


async def test_a_session_stays_with_who_made_it(gateway: Gateway, servers: list[Server]) -> None:
    gateway.load(entry(servers))
    sessions = [await begun(gateway) for _ in range(4)]
    assert [server for _, server in sessions] == ["a", "b", "a", "b"]
    for session, server in sessions:
        for method in ("POST", "GET", "GET", "DELETE"):
            assert await asked(gateway, session, method) == (200, server, session)
        assert await asked(gateway, session) == (404, server, session), "it was deleted"
    for server in servers:
        assert set(server.seen) == {f"{server.name}~0.0", f"{server.name}~0.1"}, "servers see the names that they gave"


async def test_every_replica_knows_where_a_session_is(gateway: Gateway, servers: list[Server]) -> None:
    gateway.load(entry(servers))
    session, server = await begun(gateway)
    replica = await harness.start()
    try:
        replica.load(entry(servers[::-1]))
        for _ in range(3):
            assert await asked(replica, session) == (200, server, session)
    finally:
        for client in replica.clients:
            await client.close()
        await replica.proxy.stop()


async def test_weight_0_keeps_sessions_and_gets_no_new_ones(gateway: Gateway, servers: list[Server]) -> None:
    gateway.load(entry(servers))
    session, server = await begun(gateway)
    assert server == "a"
    gateway.load(entry(servers, weights=(0, 1)))
    assert [(await begun(gateway))[1] for _ in range(3)] == ["b", "b", "b"]
    assert await asked(gateway, session) == (200, "a", session)


async def test_without_its_endpoint_another_says_that_it_knows_nothing(gateway: Gateway, servers: list[Server]) -> None:
    """And so the client begins anew."""
    gateway.load(entry(servers))
    session, server = await begun(gateway)
    assert server == "a"
    gateway.load(entry(servers[1:], weights=(1,)))
    status, who, _ = await asked(gateway, session)
    assert (status, who) == (404, "b")
    assert servers[1].seen == ["a~0.0"]


async def test_an_endpoint_that_is_out_is_not_asked(gateway: Gateway, servers: list[Server]) -> None:
    passive = HealthCheck(passive=PassiveCheck(consecutive_failures=1, ejection_time=600.0))
    gateway.load(entry(servers, health_check=passive, failover=Failover()))
    session, server = await begun(gateway)
    assert server == "a"
    await servers[0].origin.stop()
    for _ in range(3):
        status, who, _ = await asked(gateway, session)
        assert (status, who) == (404, "b")
    out = await gateway.metric("sse_gateway_endpoint_healthy", api="default/api", endpoint="a")
    assert out == 0


async def test_where_none_is_healthy_it_is_asked_anyway(gateway: Gateway, servers: list[Server]) -> None:
    passive = HealthCheck(passive=PassiveCheck(consecutive_failures=1, ejection_time=600.0))
    gateway.load(entry(servers, health_check=passive))
    sessions = [await begun(gateway) for _ in servers]
    for server in servers:
        server.origin.answer = b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n"
    for session, _ in sessions:
        assert (await asked(gateway, session))[0] == 503
    for server in servers:
        server.origin.answer = server.answer
    assert [(await asked(gateway, session))[:2] for session, _ in sessions * 2] == [(200, "a"), (200, "b")] * 2


async def test_names_without_a_mark_pass_as_they_are(gateway: Gateway, servers: list[Server]) -> None:
    gateway.load(entry(servers))
    servers[0].sessions.add("of-before")
    assert await asked(gateway, "of-before") == (200, "a", "of-before" + marking("a").decode())
    gateway.load(entry(servers, header=None))
    assert (await asked(gateway, "of-before" + marking("a").decode()))[0] == 404
    assert servers[0].seen == ["of-before", "of-before" + marking("a").decode()]


async def test_what_the_api_says_of_the_field_comes_after(gateway: Gateway, servers: list[Server]) -> None:
    changes = HeaderChanges(set=(Header(name=SESSION, value="mine"),))
    gateway.load(entry(servers, response_headers=changes))
    assert (await begun(gateway))[0] == "mine"


def test_marks() -> None:
    fields = [(b"Mcp-Session-ID", b"1868~a" + marking("a")), (b"X", b"y" + marking("b"))]
    mark, left = unmarked(b"mcp-session-id", fields)
    assert left == [(b"Mcp-Session-ID", b"1868~a"), fields[1]]
    assert mark is not None
    assert marking("a").endswith(mark)
    for value in (b"", b"1868", b"~" + mark, b"1868~" + mark.upper().replace(b"1", b"A") + b"g", b"1868" + mark):
        assert unmarked(b"mcp-session-id", [(b"mcp-session-id", value)]) == (None, [(b"mcp-session-id", value)])
