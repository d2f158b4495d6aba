"""Requests to the API server: JSON in, JSON out, every failure an `ApiServerError` or `ApiServerUnreachableError`.

The kubernetes client finds and refreshes the credentials and keeps the connections; its generated models are not
used, since they cost ten times the memory and time of plain JSON at thousands of objects.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies

import aiohttp
import kopf
import yaml
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client import ApiClient, Configuration
from pydantic_core import from_json

from sse_operator.cluster.errors import ApiServerError, ApiServerUnreachableError
from sse_operator.cluster.kinds import Kind
from sse_operator.cluster.metrics import Metrics
from sse_operator.cluster.watch_requests import watch_requests
from sse_operator.resources.names import MANAGER, Object

ResultT = TypeVar("ResultT")

REQUEST_TIMEOUT = 20.0
PAGE = 500
"""Objects per page of a list."""

APPLY_PATCH = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"

VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class ApiServer:
    """The API server as the operator's ServiceAccount, or as the kubeconfig's user, sees it."""

    def __init__(self, configuration: Configuration, metrics: Metrics) -> None:
        self._configuration = configuration
        self._metrics = metrics
        self._client = ApiClient(configuration)
        self.fence: Callable[[], None] = lambda: None
        """Called before every write; raises where this process must not write (see `lease`)."""

    @classmethod
    async def connect(cls, metrics: Metrics) -> ApiServer:
        """With the pod's ServiceAccount in a cluster, else with the kubeconfig. Raises ApiServerUnreachableError."""
        configuration = Configuration()
        try:
            if os.environ.get("KUBERNETES_SERVICE_HOST"):
                kubernetes_config.load_incluster_config(client_configuration=configuration)
            else:
                await kubernetes_config.load_kube_config(client_configuration=configuration)
            # A client that trusts the environment looks for a .netrc, on another thread, with every request.
            configuration.client_session_kwargs = {"trust_env": bool(getproxies())}
            return cls(configuration, metrics)
        except (kubernetes_config.ConfigException, OSError, yaml.YAMLError) as error:
            raise ApiServerUnreachableError(f"no way to log in: {error}") from error
        except Exception as error:  # the client takes the shape of the file for granted, an empty one's too
            what = f"{type(error).__name__}: {error}"
            raise ApiServerUnreachableError(f"no way to log in: the kubeconfig cannot be used: {what}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    @property
    def host(self) -> str:
        """Host name or address of the API server."""
        return urlsplit(self._configuration.host).hostname or ""

    async def login(self) -> kopf.AiohttpSession:
        """What kopf needs to log in as we do; its requests are counted with ours."""
        configuration = self._configuration
        scheme, _, token = (await self._authorization()).partition(" ")
        info = kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            username=configuration.username or None,
            password=configuration.password or None,
            scheme=scheme.capitalize() or None,
            token=token or None,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
        )
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
            headers=info.as_http_headers(),
            trace_configs=[watch_requests(self._metrics)],
        )
        return kopf.AiohttpSession(server=info.server, aiohttp_session=session)

    async def _authorization(self) -> str:
        """The Authorization header's value, read anew where it has expired; empty with a client certificate."""
        return await self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization") or ""

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        """One object."""
        return await self._request("GET", kind.path(namespace, name))

    async def get_path(self, path: str) -> Object:
        """What the API server has at a path."""
        return await self._request("GET", path)

    async def pages(self, kind: Kind, namespace: str | None = None) -> AsyncIterator[tuple[list[Object], int]]:
        """Every object of the kind that concerns us as of one moment, page by page, each with the resource version of
        that moment."""
        query = {"limit": str(PAGE)}
        if kind.selector:
            query["labelSelector"] = kind.selector
        while True:
            page = await self._request("GET", kind.path(namespace), query=query, verb="list")
            for item in page["items"]:  # in a list, only the list says what they are
                item["apiVersion"], item["kind"] = kind.api_version, kind.name
            yield page["items"], int(page["metadata"]["resourceVersion"])
            following = page["metadata"].get("continue")
            if not following:
                return
            query["continue"] = following

    async def apply(self, kind: Kind, document: Object, manager: str = MANAGER) -> Object:
        """Server-side apply: the fields of `document` become ours, those that we no longer name go; what others own
        beside them stays. The object as it is now."""
        metadata = document["metadata"]
        query = {"fieldManager": manager, "force": "true"}
        path = kind.path(metadata.get("namespace"), metadata["name"])
        return await self._write("PATCH", path, document, APPLY_PATCH, query)

    async def create(self, kind: Kind, document: Object) -> Object:
        """Create an object; a conflict where it exists."""
        path = kind.path(document["metadata"].get("namespace"))
        return await self._write("POST", path, document, query={"fieldManager": MANAGER})

    async def merge(
        self, kind: Kind, namespace: str | None, name: str, patch: Object, subresource: str | None = None
    ) -> Object:
        """Merge patch (RFC 7396): `None` removes a field, a list replaces a list. The object as it is now."""
        query = {"fieldManager": MANAGER}
        return await self._write("PATCH", kind.path(namespace, name, subresource), patch, MERGE_PATCH, query)

    async def delete(self, kind: Kind, namespace: str | None, name: str, *, uid: str, version: str) -> None:
        """Delete the object if it is still the one, and as, that was seen; what it owns goes in the background."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid, "resourceVersion": version},
        }
        await self._write("DELETE", kind.path(namespace, name), body)

    async def lease(self, method: str, path: str, body: Object | None, timeout: float) -> Object:
        """A request about the lease, with a time limit of its own in seconds."""
        return await self._request(method, path, body, timeout=timeout)

    async def _write(
        self,
        method: str,
        path: str,
        body: Object,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Object:
        self.fence()
        return await self._request(method, path, body, content_type, query)

    async def _request(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        *,
        timeout: float = REQUEST_TIMEOUT,
        verb: str | None = None,
    ) -> Object:
        verb = verb or VERBS[method]
        what = f"{method} {path}"
        url = f"{self._configuration.host.rstrip('/')}{path}"
        if query:
            url += f"?{urlencode(query)}"
        headers = {"Accept": "application/json", "Content-Type": content_type, "User-Agent": "sse-gateway-operator"}
        if authorization := await self._authorization():
            headers["Authorization"] = authorization
        try:
            response = await self._client.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=aiohttp.ClientTimeout(total=timeout)
            )
            text = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._metrics.count_request(verb, None)
            detail = str(error) or type(error).__name__
            raise ApiServerUnreachableError(f"{what}: no answer from the API server: {detail}") from error
        self._metrics.count_request(verb, response.status)
        if response.status >= 400:
            raise _refusal(what, response.status, text, response.headers.get("Retry-After"))
        answer: Object = from_json(text, cache_strings="keys")  # in half the time that json takes
        return answer


def _refusal(what: str, status: int, text: bytes, retry_after: str | None) -> ApiServerError:
    try:
        answer: Any = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        answer = {"message": text[:200].decode(errors="replace")}
    pause = float(retry_after) if retry_after and retry_after.isdecimal() else None
    return ApiServerError(what, status, str(answer.get("reason", "")), str(answer.get("message", "")), pause)


async def settle(*awaitables: Awaitable[ResultT]) -> list[ResultT]:
    """What all give, once all have ended; or else the first failure: a write under way is never left behind."""
    results: list[ResultT] = []
    for result in await asyncio.gather(*awaitables, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
        results.append(result)
    return results
