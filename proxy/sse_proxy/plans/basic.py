"""Lets in who shows a user name and its password (RFC 7617)."""

from __future__ import annotations

import base64
import binascii
import functools
import re
import time
from collections.abc import Awaitable, Callable

from sse_proxy import config
from sse_proxy.plans.passwords import Passwords, PasswordsBusyError
from sse_proxy.plans.plan import Admission, Consumer, RawFields, Verdict, blinded, refusal
from sse_proxy.problem import Problem

REMEMBERED_SECONDS = 60.0
"""How long a password that was right is not checked again. It is forgotten at once when the users change."""

MOST_REMEMBERED = 1024

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_LEAST_COST = "04"


class Basic:
    """One entry's users. `users` is the content of the slot `plan.users`; `clock` is monotonic, in seconds."""

    def __init__(
        self, settings: config.Basic, users: str, passwords: Passwords, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._forwards = settings.forward_credential
        self._challenge = f'Basic realm="{settings.realm}", charset="UTF-8"'
        self._passwords = passwords
        self._clock = clock
        self._users: dict[bytes, tuple[Consumer, bytes]] = {}
        for line in users.splitlines():
            name, _, password_hash = line.partition(":")
            consumer = Consumer(name, blinded(line.encode()))
            self._users[name.encode()] = consumer, password_hash.encode()
        self._known = {consumer.credential for consumer, _ in self._users.values()}
        # Who asks for a user that is not there waits as long as others: names are not to be found out by the clock.
        cost = max((hashed[4:6].decode() for _, hashed in self._users.values()), default=_LEAST_COST)
        self._nobody = Consumer(), f"$2b${cost}${'.' * 53}".encode()
        self._remembered: dict[bytes, float] = {}

    def admit(self, fields: RawFields, query: str | None) -> Callable[[], Awaitable[Verdict]]:
        """See `Plan.admit`."""
        return functools.partial(self._admit, fields, query)

    async def _admit(self, fields: RawFields, query: str | None) -> Verdict:
        given = [value for name, value in fields if name.lower() == b"authorization" and _is_basic(value)]
        if not given:
            return refusal("CredentialMissing", self._challenge)
        decoded = _decoded(given[0])
        if decoded is None:
            return refusal("CredentialRefused", self._challenge)
        user, password = decoded
        consumer, password_hash = self._users.get(user, self._nobody)
        credential = blinded(password_hash, user, password)
        if not self._is_remembered(credential):
            try:
                matched = await self._passwords.match(credential, password, password_hash)
            except PasswordsBusyError:
                return Problem(503, "TooManyLogins", retry_after=1)
            if not matched or user not in self._users:
                return refusal("CredentialRefused", self._challenge)
            self._remember(credential)
        if not self._forwards:
            fields = [each for each in fields if each[0].lower() != b"authorization" or not _is_basic(each[1])]
        return Admission(consumer, fields, query)

    def knows(self, credential: bytes) -> bool:
        """See `Plan.knows`: not after the user's password changed."""
        return credential in self._known

    def _is_remembered(self, credential: bytes) -> bool:
        until = self._remembered.get(credential)
        return until is not None and self._clock() < until

    def _remember(self, credential: bytes) -> None:
        self._remembered.pop(credential, None)
        if len(self._remembered) >= MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[credential] = self._clock() + REMEMBERED_SECONDS


def _is_basic(value: bytes) -> bool:
    return value.strip(b" \t").partition(b" ")[0].lower() == b"basic"


def _decoded(value: bytes) -> tuple[bytes, bytes] | None:
    """User and password; None where it is none."""
    try:
        decoded = base64.b64decode(value.strip(b" \t").partition(b" ")[2].strip(b" \t"), validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, password = decoded.partition(b":")
    return (user, password) if colon and not _CONTROL.search(decoded) else None
