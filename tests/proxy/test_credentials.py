"""Credentials of the gateway's own at upstream, seen by a real origin."""

from __future__ import annotations

from proxy.harness import Call, Gateway, Origin, api
from sse_proxy.config import Api, ApiSecrets, Header, HeaderChanges, Upstream, UpstreamCredentials


def with_credentials(origin: Origin, value: str, *, url: str | None = None, **place: str) -> tuple[Api, ApiSecrets]:
    """A config entry for the origin with credentials of this value, and the secrets that it needs."""
    needed = ApiSecrets(namespace="default", name="api", values={"upstream.credentials": value})
    upstream = Upstream(credentials=UpstreamCredentials(**place))
    entry = api(url or origin.url()).model_copy(update={"upstream": upstream, "secrets": needed.digest})
    return entry, needed


async def asked(gateway: Gateway, origin: Origin, *lines: str, path: str = "/sse") -> Call:
    client = await gateway.connect()
    assert (await client.get(path, *lines)).status == 200
    return await origin.call()


async def test_a_header_takes_the_place_of_the_client_s(gateway: Gateway, origin: Origin) -> None:
    entry, needed = with_credentials(origin, "Bearer canary-1", header="Authorization")
    gateway.load(entry, secrets=[needed])
    call = await asked(gateway, origin, "authorization: Basic bWU6bWU=", "AUTHORIZATION: Bearer mine", "X-Other: 1")
    assert (call.all("Authorization"), call.get("X-Other")) == (["Bearer canary-1"], "1")


async def test_the_client_s_authorization_stays_behind_also_with_another_field(
    gateway: Gateway, origin: Origin
) -> None:
    entry, needed = with_credentials(origin, "canary-1", header="X-Api-Key")
    gateway.load(entry, secrets=[needed])
    call = await asked(gateway, origin, "Authorization: Bearer mine", "x-api-key: mine", "Connection: X-Api-Key")
    assert (call.all("Authorization"), call.all("X-Api-Key")) == ([], ["canary-1"])


async def test_without_credentials_the_client_s_authorization_passes(gateway: Gateway, origin: Origin) -> None:
    gateway.load(api(origin.url()))
    assert (await asked(gateway, origin, "Authorization: Bearer mine")).all("Authorization") == ["Bearer mine"]


async def test_the_api_s_own_header_changes_cannot_undo_them(gateway: Gateway, origin: Origin) -> None:
    entry, needed = with_credentials(origin, "Bearer canary-1", header="Authorization")
    changes = HeaderChanges(set=(Header(name="authorization", value="Bearer wrong"),), remove=("Authorization",))
    gateway.load(entry.model_copy(update={"request_headers": changes}), secrets=[needed])
    assert (await asked(gateway, origin)).all("Authorization") == ["Bearer canary-1"]


async def test_a_query_parameter_that_no_client_replaces(gateway: Gateway, origin: Origin) -> None:
    url = origin.url("/sse?v=1&key=old")
    entry, needed = with_credentials(origin, "a%26b", url=url, query_parameter="key")
    gateway.load(entry, secrets=[needed])
    call = await asked(gateway, origin, "Authorization: Bearer mine", path="/sse?key=mine&k%65y=mine&a=1")
    assert call.line == "GET /sse?v=1&key=a%26b&a=1 HTTP/1.1"
    assert call.get("Authorization") is None


async def test_rotation_reaches_the_next_request_and_cuts_no_stream(gateway: Gateway, origin: Origin) -> None:
    async def answer(call: Call) -> None:
        await call.stream_head()
        await call.event(b"data: 1\n\n")
        await rotated_and(call)

    async def rotated_and(call: Call) -> None:
        await call.gone()

    origin.answer = answer
    entry, needed = with_credentials(origin, "Bearer canary-1", header="Authorization")
    gateway.load(entry, secrets=[needed])
    client = await gateway.connect()
    await client.get("/sse")
    assert await client.chunk() == b"data: 1\n\n"
    first = await origin.call()
    entry, needed = with_credentials(origin, "Bearer canary-2", header="Authorization")
    gateway.load(entry, secrets=[needed])
    await first.event(b"data: 2\n\n")
    assert await client.chunk() == b"data: 2\n\n"
    other = await gateway.connect()
    await other.get("/sse")
    assert (await origin.call()).all("Authorization") == ["Bearer canary-2"]


async def test_an_entry_without_its_secrets_answers_503(gateway: Gateway, origin: Origin) -> None:
    entry, _ = with_credentials(origin, "Bearer canary-1", header="Authorization")
    gateway.load(entry)
    client = await gateway.connect()
    response = await client.get("/sse")
    assert (response.status, (await client.problem(response))["reason"]) == (503, "SecretsNotLoaded")
