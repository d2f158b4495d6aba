"""Plans between a real client and a real origin: who gets in, what goes on, and what ends who is shut out later."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import bcrypt
import pytest

from proxy.harness import Call, Client, Gateway, Origin, api, eventually
from sse_proxy import config
from sse_proxy.config import Api, ApiSecrets, KeySource, Unavailable
from sse_proxy.plans import passwords

HEADER = KeySource(header="X-API-Key")
BEARER = KeySource(header="Authorization", scheme="Bearer")
PARAMETER = KeySource(query_parameter="api_key")
COOKIE = KeySource(cookie="key")

CANARY = "canary-9f3b"

Entry = tuple[Api, ApiSecrets]


def entry(origin: Origin, plan: config.Plan, **values: str) -> Entry:
    """A config entry with this plan, and its secrets; `plan_keys` is the slot `plan.keys`."""
    slots = {name.replace("_", "."): value for name, value in values.items()}
    needed = ApiSecrets(namespace="default", name="api", values=slots)
    return api(origin.url(), plan=plan, secrets=needed.digest), needed


def keyed(origin: Origin, *sources: KeySource, forward: bool = False, **keys: str) -> Entry:
    """An entry of `ApiKey` with a key per consumer."""
    lines = [f"{base64.b64encode(hashlib.sha256(key.encode()).digest()).decode()} {name}" for name, key in keys.items()]
    plan = config.ApiKey(sources=sources or (HEADER,), realm="/sse", forward_credential=forward)
    return entry(origin, plan, plan_keys="\n".join(lines))


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def with_users(origin: Origin, forward: bool = False, **hashes: str) -> Entry:
    """An entry of `Basic` with a user per hash."""
    plan = config.Basic(realm="the shop", forward_credential=forward)
    return entry(origin, plan, plan_users="\n".join(f"{user}:{each}" for user, each in hashes.items()))


def load(gateway: Gateway, *entries: Entry) -> None:
    gateway.load(*(each for each, _ in entries), secrets=[needed for _, needed in entries])


def basic(user: str, password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def refused(gateway: Gateway, *lines: str, path: str = "/sse") -> tuple[str, list[str]]:
    """Reason and challenges of a 401."""
    client = await gateway.connect()
    response = await client.get(path, *lines)
    assert response.status == 401
    return (await client.problem(response))["reason"], response.all("WWW-Authenticate")


async def admitted(gateway: Gateway, origin: Origin, *lines: str, path: str = "/sse") -> Call:
    client = await gateway.connect()
    assert (await client.get(path, *lines)).status == 200
    return await origin.call()


async def test_a_key_lets_in_and_goes_no_further(gateway: Gateway, origin: Origin) -> None:
    load(gateway, keyed(origin, alice=CANARY, bob="other"))
    call = await admitted(gateway, origin, f"x-api-key: {CANARY}", "Authorization: Bearer mine")
    assert (call.get("X-API-Key"), call.get("Authorization")) == (None, "Bearer mine")
    assert (await gateway.logged_line("request"))["consumer"] == "alice"
    labels = {"api": "default/api", "consumer": "alice"}
    assert await gateway.metric("sse_gateway_consumer_requests_total", **labels) == 1


@pytest.mark.parametrize(
    ("sources", "lines", "path"),
    [
        ([BEARER], [f"Authorization: Bearer {CANARY}"], "/sse?a=1"),
        ([PARAMETER], [], f"/sse?api_key={CANARY}&a=1"),
        ([COOKIE], [f"Cookie: session=1; key={CANARY}"], "/sse?a=1"),
        ([HEADER, PARAMETER, COOKIE], [f"Cookie: key={CANARY}; session=1"], "/sse?a=1&api_key="),
    ],
)
async def test_keys_stand_where_the_plan_says(
    gateway: Gateway, origin: Origin, sources: list[KeySource], lines: list[str], path: str
) -> None:
    load(gateway, keyed(origin, *sources, alice=CANARY))
    call = await admitted(gateway, origin, *lines, path=path)
    assert call.line == "GET /sse?a=1 HTTP/1.1"
    assert call.get("Authorization") is None
    assert call.get("Cookie") in (None, "session=1")
    load(gateway, keyed(origin, *sources, forward=True, alice=CANARY))
    call = await admitted(gateway, origin, *lines, path=path)
    assert CANARY in call.line + str(call.fields)


async def test_no_100_before_the_plan_has_passed(gateway: Gateway, origin: Origin) -> None:
    load(gateway, keyed(origin, alice=CANARY))
    waits = ("Content-Length: 5", "Expect: 100-continue")
    response = await (await gateway.connect()).request("POST", "/sse", *waits)
    assert (response.status, response.get("Connection")) == (401, "close")
    response = await (await gateway.connect()).request("POST", "/sse", f"X-API-Key: {CANARY}", *waits)
    assert response.status == 100


async def test_no_key_and_a_wrong_one(gateway: Gateway, origin: Origin) -> None:
    load(gateway, keyed(origin, HEADER, PARAMETER, BEARER, alice=CANARY))
    challenges = ['ApiKey realm="/sse"', 'Bearer realm="/sse"']
    assert await refused(gateway) == ("CredentialMissing", challenges)
    assert await refused(gateway, "X-API-Key: wrong") == ("CredentialRefused", challenges)
    # The first place that has a key counts.
    path = f"/sse?api_key={CANARY}"
    assert await refused(gateway, "X-API-Key: wrong", path=path) == ("CredentialRefused", challenges)
    assert origin.calls.empty()


async def test_without_its_secrets_a_plan_lets_nobody_in(gateway: Gateway, origin: Origin) -> None:
    for plan in (config.ApiKey(sources=(HEADER,), realm="/sse"), config.Basic(realm="/sse")):
        gateway.load(api(origin.url(), plan=plan))
        assert (await refused(gateway, f"X-API-Key: {CANARY}", basic("a", "b")))[0] == "CredentialRefused"
        gateway.load(api(origin.url(), plan=plan, secrets="0" * 64))
        client = await gateway.connect()
        assert (await client.get("/sse", f"X-API-Key: {CANARY}", basic("a", "b"))).status == 503


async def test_a_password_lets_in_and_goes_no_further(gateway: Gateway, origin: Origin) -> None:
    load(gateway, with_users(origin, jürgen=hashed("pässword")))
    call = await admitted(gateway, origin, basic("jürgen", "pässword"))
    assert call.get("Authorization") is None
    assert (await gateway.logged_line("request"))["consumer"] == "jürgen"
    load(gateway, with_users(origin, forward=True, jürgen=hashed("pässword")))
    assert (await admitted(gateway, origin, basic("jürgen", "pässword"))).get("Authorization") is not None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (None, "CredentialMissing"),
        ("Authorization: Bearer x", "CredentialMissing"),
        (basic("alice", "wrong"), "CredentialRefused"),
        (basic("alice", ""), "CredentialRefused"),
        (basic("nobody", "right"), "CredentialRefused"),
        (basic("", "right"), "CredentialRefused"),
        (basic("alice", "right\n"), "CredentialRefused"),
        ("Authorization: Basic", "CredentialRefused"),
        ("Authorization: Basic %%%", "CredentialRefused"),
        ("Authorization: Basic " + base64.b64encode(b"alice").decode(), "CredentialRefused"),
    ],
)
async def test_passwords_that_are_not_right(gateway: Gateway, origin: Origin, line: str | None, reason: str) -> None:
    load(gateway, with_users(origin, alice=hashed("right")))
    told = await refused(gateway, *([line] if line else []))
    assert told == (reason, ['Basic realm="the shop", charset="UTF-8"'])


async def test_a_password_of_more_than_72_bytes(gateway: Gateway, origin: Origin) -> None:
    load(gateway, with_users(origin, alice=hashed("x" * 72)))
    await admitted(gateway, origin, basic("alice", "x" * 100))


class Checks:
    """Counts what bcrypt is asked, and holds it up until it may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = asyncio.get_running_loop()
        self.count = 0
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self._real: Callable[..., bool] = bcrypt.checkpw
        monkeypatch.setattr(bcrypt, "checkpw", self._checkpw)

    def _checkpw(self, password: bytes, password_hash: bytes) -> bool:
        self.count += 1
        asyncio.run_coroutine_threadsafe(self.may_go_on.wait(), self.loop).result(10)
        return self._real(password, password_hash)


async def test_a_right_password_is_checked_once_and_a_wrong_one_each_time(
    gateway: Gateway, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(gateway, with_users(origin, alice=hashed("right")))
    checks = Checks(monkeypatch)
    for _ in range(3):
        await admitted(gateway, origin, basic("alice", "right"))
    assert checks.count == 1
    for _ in range(2):
        await refused(gateway, basic("alice", "wrong"))
    assert checks.count == 3
    load(gateway, with_users(origin, alice=hashed("new")))
    await refused(gateway, basic("alice", "right"))


async def test_the_loop_goes_on_while_passwords_are_checked_and_few_may_wait(
    gateway: Gateway, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "MOST_WAITING", 3)
    load(gateway, with_users(origin, alice=hashed("right")))
    checks = Checks(monkeypatch)
    checks.may_go_on.clear()
    clients = [await gateway.connect() for _ in range(6)]
    asked: list[asyncio.Task[Any]] = []
    for client, password in zip(clients, ["right", "right", "right", "wrong-1", "wrong-2", "wrong-3"], strict=True):
        asked.append(asyncio.create_task(client.get("/sse", basic("alice", password))))
        await asyncio.sleep(0.01)
    # All the same ones wait together; what is too much is told at once.
    busy = await asyncio.wait_for(asked[5], 5)
    assert (busy.status, busy.get("Retry-After")) == (503, "1")
    assert not any(task.done() for task in asked[:5])
    await clients[0].close()
    checks.may_go_on.set()
    assert [(await task).status for task in asked[1:5]] == [200, 200, 401, 401]
    assert checks.count == 3
    with pytest.raises(asyncio.IncompleteReadError):
        await asked[0]


async def open_stream(gateway: Gateway, *lines: str) -> Client:
    client = await gateway.connect()
    assert (await client.get("/sse", *lines)).status == 200
    assert await client.chunk() == b"data: 1\n\n"
    return client


async def streaming(call: Call) -> None:
    await call.stream_head()
    await call.event(b"data: 1\n\n")
    await call.gone()


@pytest.mark.parametrize("how", ["removed", "key changed", "secret gone"])
async def test_a_removed_key_s_streams_end_and_the_others_go_on(gateway: Gateway, origin: Origin, how: str) -> None:
    origin.answer = streaming
    load(gateway, keyed(origin, alice=CANARY, bob="bob's"))
    alice, bob = await open_stream(gateway, f"X-API-Key: {CANARY}"), await open_stream(gateway, "X-API-Key: bob's")
    calls = [await origin.call(), await origin.call()]
    labels = {"api": "default/api", "consumer": "alice"}
    assert await gateway.metric("sse_gateway_consumer_streams_active", **labels) == 1
    if how == "secret gone":
        entry, _ = keyed(origin)
        unavailable = Unavailable(reason="SecretNotFound", message="x")
        gateway.load(entry.model_copy(update={"secrets": None, "unavailable": unavailable}))
    else:
        load(gateway, keyed(origin, bob="bob's") if how == "removed" else keyed(origin, alice="new", bob="bob's"))
    rest, _ = await alice.rest()
    assert not rest.endswith(b"0\r\n\r\n")
    assert (await gateway.logged_line("stream_close", consumer="alice"))["reason"] == "revoked"
    assert await gateway.metric("sse_gateway_streams_closed_total", api="default/api", reason="revoked") >= 1
    if how == "secret gone":
        await bob.rest()
        return
    await calls[1].event(b"data: 2\n\n")
    assert await bob.chunk() == b"data: 2\n\n"
    assert await gateway.metric("sse_gateway_consumer_streams_active", **labels) == 0


async def test_a_revoked_stream_ends_behind_the_event_that_is_under_way(gateway: Gateway, origin: Origin) -> None:
    origin.answer = streaming
    load(gateway, keyed(origin, alice=CANARY))
    alice = await open_stream(gateway, f"X-API-Key: {CANARY}")
    call = await origin.call()
    await call.event(b"data: half ")
    assert await alice.chunk() == b"data: half "
    load(gateway, keyed(origin))
    await call.event(b"and half\n\ndata: more")
    assert await alice.chunk() == b"and half\n\n"
    assert await alice.rest() == (b"", "fin")


async def test_what_changes_around_a_key_revokes_nothing(gateway: Gateway, origin: Origin) -> None:
    origin.answer = streaming
    load(gateway, keyed(origin, alice=CANARY))
    alice = await open_stream(gateway, f"X-API-Key: {CANARY}")
    call = await origin.call()
    load(gateway, keyed(origin, PARAMETER, alice=CANARY, carol="c"))
    gateway.load(api(origin.url()))
    await call.event(b"data: 2\n\n")
    assert await alice.chunk() == b"data: 2\n\n"


async def test_a_key_that_goes_while_upstream_is_asked(gateway: Gateway, origin: Origin) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def late(call: Call) -> None:
        asked.set()
        await answer.wait()
        await streaming(call)

    origin.answer = late
    load(gateway, keyed(origin, alice=CANARY))
    client = await gateway.connect()
    request = asyncio.create_task(client.get("/sse", f"X-API-Key: {CANARY}"))
    await asked.wait()
    load(gateway, keyed(origin))
    answer.set()
    await request
    await client.rest()
    assert await gateway.closed() == "revoked"


async def test_a_changed_password_ends_its_user_s_streams(gateway: Gateway, origin: Origin) -> None:
    origin.answer = streaming
    first, other = hashed("right"), hashed("bob's")
    load(gateway, with_users(origin, alice=first, bob=other))
    alice = await open_stream(gateway, basic("alice", "right"))
    bob = await open_stream(gateway, basic("bob", "bob's"))
    calls = [await origin.call(), await origin.call()]
    load(gateway, with_users(origin, alice=hashed("new"), bob=other))
    await alice.rest()
    assert (await gateway.logged_line("stream_close"))["consumer"] == "alice"
    await calls[1].event(b"data: 2\n\n")
    assert await bob.chunk() == b"data: 2\n\n"


async def test_streams_of_one_consumer(gateway: Gateway, origin: Origin) -> None:
    origin.answer = streaming
    each, needed = keyed(origin, alice="a-key", bob="b-key")
    load(gateway, (each.model_copy(update={"limits": config.Limits(streams_per_consumer=1)}), needed))
    await admitted(gateway, origin, "X-API-Key: a-key")
    client = await gateway.connect()
    response = await client.get("/sse", "X-API-Key: a-key")
    assert (response.status, response.get("Retry-After")) == (429, "5")
    assert (await client.problem(response))["reason"] == "TooManyStreamsOfConsumer"
    await admitted(gateway, origin, "X-API-Key: b-key")
    assert origin.connections == 2, "who is refused never reaches the target"
    await gateway.clients[0].close()

    async def has_room() -> bool:
        return (await (await gateway.connect()).get("/sse", "X-API-Key: a-key")).status == 200

    await eventually(has_room)


async def test_consumers_beyond_the_first_share_a_series(gateway: Gateway, origin: Origin) -> None:
    keys = {f"c{number}": f"key-{number}" for number in range(102)}
    load(gateway, keyed(origin, **keys))
    client = await gateway.connect()
    for key in keys.values():
        response = await client.get("/sse", f"X-API-Key: {key}")
        await client.length_body(response)
    assert await gateway.metric("sse_gateway_consumer_requests_total", api="default/api", consumer="(others)") == 2


@pytest.mark.parametrize("kind", ["key", "password"])
async def test_a_credential_is_in_nothing_that_the_proxy_tells(gateway: Gateway, origin: Origin, kind: str) -> None:
    """The canary: looked for in the log, the metrics, the admin port's views and the problem bodies."""
    origin.answer = streaming
    if kind == "key":
        load(gateway, keyed(origin, HEADER, PARAMETER, COOKIE, alice=CANARY))
        shown = [[f"X-API-Key: {CANARY}"], [f"Cookie: key={CANARY}"]]
    else:
        load(gateway, with_users(origin, alice=hashed(CANARY)))
        shown = [[basic("alice", CANARY)]]
    told: list[str] = []
    for lines in shown:
        await open_stream(gateway, *lines)
    if kind == "key":
        client = await gateway.connect()
        assert (await client.get(f"/sse?api_key={CANARY}")).status == 200
    wrong = (
        [f"X-API-Key: {CANARY}-not", f"Cookie: key={CANARY}-not"] if kind == "key" else [basic("alice", CANARY + "x")]
    )
    for line in wrong:
        client = await gateway.connect()
        response = await client.get("/sse", line)
        told.append(response.head.decode() + json.dumps(await client.problem(response)))
    told.extend([(await gateway.admin(path))[1] for path in ("/metrics", "/config", "/streams")])
    assert "alice" in told[-1]
    load(gateway, keyed(origin))

    async def revoked() -> bool:
        return any(line.get("reason") == "revoked" for line in gateway.log)

    await eventually(revoked)
    told.append(json.dumps(gateway.log))
    digests = [hashlib.sha256(CANARY.encode()).hexdigest(), base64.b64encode(CANARY.encode()).decode()]
    for secret in (CANARY, *digests, basic("alice", CANARY).split(" ")[-1]):
        assert not [text for text in told if secret in text]
