"""The gateway's own answers: small RFC 9457 problem bodies that never tell what is behind the gateway."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

TYPE_PREFIX = "urn:sse-gateway:problem:"

_TITLES = {
    "BadPath": "The request target is refused",
    "BadRequest": "The request is not well-formed HTTP",
    "BadProxyHeader": "The connection does not begin with a PROXY protocol header",
    "UntrustedProxy": "PROXY protocol connections come from trusted proxies only",
    "TlsHandshakeFailed": "No TLS handshake with the client",
    "BodyTooLarge": "The request's body is too large",
    "TooManyStreams": "As many streams are open as may be",
    "TooManyStreamsOfClient": "This client has as many streams open as it may",
    "TooManyStreamsOfConsumer": "This consumer has as many streams open as it may",
    "TooManyRequests": "More requests come than may",
    "TooManyRequestsOfClient": "This client sends more requests than it may",
    "OriginNotAllowed": "Pages of this origin may not read the API",
    "UnknownPath": "No API is served here",
    "MethodNotAllowed": "The gateway does not relay this method",
    "RequestTimeout": "The request head did not arrive in time",
    "UriTooLong": "The request line is too long",
    "HeaderTooLarge": "The request's headers are too large",
    "ExpectationFailed": "The expectation cannot be met",
    "UpgradeNotSupported": "The gateway does not upgrade connections",
    "MethodUnknown": "The gateway does not know this method",
    "VersionNotSupported": "The gateway does not speak this version of HTTP",
    "LoopDetected": "The target leads back to the gateway",
    "UpstreamUnreachable": "The target cannot be reached",
    "UpstreamUnresolvable": "The target's host name cannot be resolved",
    "UpstreamTlsFailed": "No secure connection to the target",
    "TargetDenied": "The target is at an address that the gateway does not connect to",
    "UpstreamClosed": "The target closed the connection before it answered",
    "UpstreamGarbage": "The target's answer is no valid HTTP",
    "ConnectTimeout": "The target did not accept the connection in time",
    "ResponseTimeout": "The target did not answer in time",
    "MaxConnectionsReached": "The API uses as many connections to its target as it may",
    "CredentialMissing": "This API asks for a credential",
    "CredentialRefused": "The credential is not accepted",
    "TooManyLogins": "Too many passwords wait to be checked",
    "NoEventStream": "The target's answer is no event stream",
    "UpstreamBroke": "The target broke its answer off",
    "IdleTimeout": "The target was silent for too long",
    "StreamTimeout": "The stream has lasted as long as it may",
    "EventTooLarge": "An event of the target's is too large",
    "ProxyRefused": "The proxy in front of the target does not connect to it",
    "RedirectRefused": "The target redirects to where the gateway does not follow",
    "TooManyRedirects": "The target redirects too often",
    "NoEndpoint": "The API has no endpoint to send requests to",
    "NotReady": "The gateway has not loaded its configuration yet",
    "InternalError": "The gateway failed on this request",
}


def _kebab(reason: str) -> str:
    return "".join(f"-{char.lower()}" if char.isupper() else char for char in reason).lstrip("-")


@dataclass(frozen=True, slots=True)
class Problem:
    """One answer of the gateway's own.

    `reason` is a CamelCase word for machines, `detail` a sentence for the client. `retry_after` is in seconds.
    """

    status: int
    reason: str
    detail: str = ""
    retry_after: int | None = None
    fields: tuple[tuple[bytes, bytes], ...] = ()

    def body(self) -> bytes:
        """The JSON body."""
        phrase = HTTPStatus(self.status).phrase
        members: dict[str, object] = {
            "type": TYPE_PREFIX + _kebab(self.reason),
            "title": _TITLES.get(self.reason, phrase),
            "status": self.status,
            "reason": self.reason,
        }
        if self.detail:
            members["detail"] = self.detail
        return json.dumps(members, ensure_ascii=False).encode() + b"\n"

    def message(self, *, close: bool, head_only: bool = False) -> bytes:
        """The whole HTTP/1.1 response. `head_only` leaves the body out, as an answer to HEAD must."""
        body = self.body()
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}".encode(),
            b"Content-Type: application/problem+json",
            b"Content-Length: %d" % len(body),
            b"Cache-Control: no-store",
            b"Date: " + formatdate(usegmt=True).encode(),
        ]
        if self.retry_after is not None:
            lines.append(b"Retry-After: %d" % self.retry_after)
        lines.extend(name + b": " + value for name, value in self.fields)
        if close:
            lines.append(b"Connection: close")
        return b"\r\n".join(lines) + b"\r\n\r\n" + (b"" if head_only else body)
