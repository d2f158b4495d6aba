"""Redirects that the gateway follows itself (RFC 9110, section 15.4). Pure.

- Only requests that can be made again are followed: without a body, or with one that is kept. GET and HEAD are at 301,
  302, 303, 307 and 308. Another method becomes GET at 303, and goes on as it is at 307 and 308; at 301 and 302, where
  clients differ, the redirect is the client's to judge.
- What cannot be followed goes to the client as it came: no Location, or one that is no http(s) URL.
- From https to http is refused, and so are more than `MOST` hops.
- Beyond the endpoint's own origin (scheme, host, port), and for all hops after that, nothing that may be a credential
  goes along: only the fields that `SAFE` names, and nothing that the API adds. The target is of Location's making.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urldefrag, urljoin

from sse_proxy.errors import RedirectRefusedError, TargetError, TooManyRedirectsError
from sse_proxy.upstream.response import ResponseHead
from sse_proxy.upstream.target import Target, parse

MOST = 5

SAFE = frozenset(
    (
        b"accept",
        b"accept-language",
        b"cache-control",
        b"content-language",
        b"content-type",
        b"last-event-id",
        b"user-agent",
        b"via",
    )
)

_SEEN = frozenset((b"GET", b"HEAD"))
_URL = re.compile(rb"[\x21-\x7e]+")


@dataclass(slots=True)  # frozen, one would take three times as long to make
class Place:
    """Where a request is made, and what it is there."""

    target: Target
    asked: bytes
    """The request line's target."""
    method: bytes
    with_body: bool = True
    foreign: bool = False
    """Whether it is another origin than the endpoint's, or was reached through one."""
    hops: int = 0

    @property
    def url(self) -> str:
        """What is asked for, as an absolute URL."""
        return self.target.origin + self.asked.decode("latin-1")


def next_place(head: ResponseHead, here: Place, *, body_kept: bool) -> Place | None:
    """Where a response at `here` sends the request; None where the response is the client's.

    `body_kept`: the request has no body, or all of it can be sent again. Raises RedirectRefusedError,
    TooManyRedirectsError."""
    location = head.get(b"location")
    if location is None or not body_kept or not _URL.fullmatch(location):
        return None
    method, with_body = here.method, here.with_body
    if head.status == 303 and method not in _SEEN:
        method, with_body = b"GET", False
    elif head.status not in (307, 308) and not (head.status in (301, 302, 303) and method in _SEEN):
        return None
    try:
        target = parse(urldefrag(urljoin(here.url, location.decode())).url)
        asked = target.request_target("", None)
    except (TargetError, ValueError):
        return None
    if here.hops >= MOST:
        raise TooManyRedirectsError(f"more than {MOST} redirects")
    if (here.target.scheme, target.scheme) == ("https", "http"):
        raise RedirectRefusedError("a redirect from https to http")
    return Place(
        target,
        asked,
        method,
        with_body,
        foreign=here.foreign or _origin(target) != _origin(here.target),
        hops=here.hops + 1,
    )


def harmless(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The fields that may go to another origin."""
    return [(name, value) for name, value in fields if name.lower() in SAFE]


def _origin(target: Target) -> tuple[str, str, int]:
    return target.scheme, target.host, target.port
