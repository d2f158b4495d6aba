"""What every plan does."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sse_proxy.problem import Problem

RawFields = Sequence[tuple[bytes, bytes]]

_OWN_KEY = secrets.token_bytes(32)


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who connects, as logs and metrics name them; `""` is anybody."""

    name: str = ""
    credential: bytes = field(default=b"", repr=False)
    """A digest of what was shown, for `Plan.knows`; empty where nothing had to be."""


ANYBODY = Consumer()


@dataclass(slots=True)  # frozen, one would take three times as long to make
class Admission:
    """A request that may go on: whose it is, and what of it goes on."""

    consumer: Consumer
    fields: RawFields = field(repr=False)
    query: str | None = field(repr=False)


Verdict = Admission | Problem
"""The request without the plan's own credential (unless that is to be forwarded), or what the client gets instead."""


class Plan(Protocol):
    """One entry's plan, ready to judge requests."""

    def admit(self, fields: RawFields, query: str | None) -> Verdict | Callable[[], Awaitable[Verdict]]:
        """What becomes of a request, or how to wait for that."""

    def knows(self, credential: bytes) -> bool:
        """Whether a `Consumer.credential`, of this plan or of one before it, still lets in."""


class Keyless:
    """Lets everybody in and leaves the client's credentials to upstream."""

    def admit(self, fields: RawFields, query: str | None) -> Verdict:
        """Anybody, and all of the request."""
        return Admission(ANYBODY, fields, query)

    def knows(self, credential: bytes) -> bool:
        """Everything."""
        return True


def blinded(*parts: bytes) -> bytes:
    """A digest under a key of this process. Tables that are looked up by it tell nothing by the time that they take:
    nobody outside can know which digests are alike."""
    digest = hashlib.blake2b(key=_OWN_KEY, digest_size=32)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def refusal(reason: str, *challenges: str) -> Problem:
    """The answer to who does not show what they must (RFC 9110, section 15.5.2). Each challenge becomes a field."""
    fields = tuple((b"WWW-Authenticate", challenge.encode()) for challenge in challenges)
    return Problem(401, reason, fields=fields)
