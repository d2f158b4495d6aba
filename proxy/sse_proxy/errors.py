"""Every exception that crosses a module's border in the proxy."""

from __future__ import annotations


class ProxyError(Exception):
    """Base of all: its text is for people and says what they can do where there is something to do."""


class ListenError(ProxyError):
    """An address cannot be listened on."""


class ConfigError(ProxyError):
    """A config folder, or a file in it, cannot be used."""


class TargetError(ProxyError):
    """An endpoint's URL cannot be used."""


class TlsSettingsError(ProxyError):
    """An entry's certificates or key cannot be used."""


class BadTargetError(ProxyError):
    """A client's request target or Host is refused before routing; the text names the rule that it breaks."""


class FramingError(ProxyError):
    """A message whose head or body does not follow RFC 9112."""


class TargetDeniedError(OSError):
    """The resolved address of a target is one that the gateway does not connect to. An OSError, so that connecting
    goes on with the host's next address."""


class ProxyHeaderError(Exception):
    """A connection does not begin with the PROXY protocol header that it must begin with."""


class BodyTooLargeError(Exception):
    """The body of a client's request has more bytes than the API takes."""


class RequestBrokenError(Exception):
    """The body of a client's request is not well-formed, and has no end."""


class UpstreamError(ProxyError):
    """Upstream gave no response head. `reason` is the CamelCase word for logs and problem bodies."""

    reason = "UpstreamError"


class UpstreamUnreachableError(UpstreamError):
    """No connection: refused, no route, or closed while it was being made."""

    reason = "UpstreamUnreachable"


class UpstreamUnresolvableError(UpstreamError):
    """The target's host name has no address."""

    reason = "UpstreamUnresolvable"


class UpstreamTlsFailedError(UpstreamError):
    """The TLS handshake failed, or the certificate is not trusted."""

    reason = "UpstreamTlsFailed"


class ProxyRefusedError(UpstreamError):
    """The proxy in front of the target does not connect to it."""

    reason = "ProxyRefused"


class UpstreamDeniedError(UpstreamError):
    """The target resolves to an address that the gateway does not connect to."""

    reason = "TargetDenied"


class UpstreamConnectTimeoutError(UpstreamError):
    """No connection within `timeouts.connect`."""

    reason = "ConnectTimeout"


class UpstreamResponseTimeoutError(UpstreamError):
    """No response head within `timeouts.response`."""

    reason = "ResponseTimeout"


class MaxConnectionsReachedError(UpstreamError):
    """The API uses as many connections as `upstream.maxConnections` allows."""

    reason = "MaxConnectionsReached"


class NoEndpointError(UpstreamError):
    """The API has no endpoint to ask."""

    reason = "NoEndpoint"


class RedirectRefusedError(UpstreamError):
    """Upstream redirects to where the gateway does not follow."""

    reason = "RedirectRefused"


class TooManyRedirectsError(UpstreamError):
    """Upstream redirects again and again."""

    reason = "TooManyRedirects"


class NoEventStreamError(UpstreamError):
    """Upstream's answer is no event stream, and the client has been told that there is one."""

    reason = "NoEventStream"

    def __init__(self, status: int) -> None:
        """`status` is upstream's."""
        super().__init__(f"upstream answered with {status}")
        self.status = status


class UpstreamClosedError(UpstreamError):
    """The connection ended before the response head was complete."""

    reason = "UpstreamClosed"


class UpstreamGarbageError(UpstreamError):
    """What upstream sent is no HTTP response."""

    reason = "UpstreamGarbage"
