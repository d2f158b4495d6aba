"""Plans: what a client must show stands in the config, digests of it in the entry's secrets."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator

from sse_operator.api.plan import ApiKeyPlan, BasicPlan, PlanSpec
from sse_operator.compiler.secrets import Referenced
from sse_proxy.config import KEYS_SLOT, USERS_SLOT, ApiKey, Basic, Keyless, KeySource

DEFAULT_HEADER = "X-API-Key"

_KEY = re.compile(r"[\x21-\x7e]+")
_USER = re.compile(r"[^\x00-\x1f\x7f:]+")
_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}")


def plan_of(spec: PlanSpec | None, context_path: str, referenced: Referenced) -> Keyless | ApiKey | Basic:
    """The plan; what its clients must show goes into the slots `plan.keys` and `plan.users`."""
    if spec is not None and spec.api_key is not None:
        return _api_key(spec.api_key, context_path, referenced)
    if spec is not None and spec.basic is not None:
        return _basic(spec.basic, context_path, referenced)
    return Keyless()


def _api_key(spec: ApiKeyPlan, context_path: str, referenced: Referenced) -> ApiKey:
    consumers: dict[str, str] = {}
    for name, consumer, key in _keys(spec, referenced):
        if not _KEY.fullmatch(key):
            referenced.ignored(name, f"its entry {consumer} is no key: printable ASCII without blanks")
            continue
        digest = base64.b64encode(hashlib.sha256(key.encode()).digest()).decode()
        holder = consumers.setdefault(digest, consumer)
        if holder != consumer:
            referenced.ignored(name, f"its entry {consumer} is the same key as {holder}'s, who counts")
    lines = "\n".join(f"{digest} {consumer}" for digest, consumer in consumers.items())
    referenced.fill(KEYS_SLOT, lines, spec.secret_refs[0].name)
    return ApiKey(
        sources=tuple(
            KeySource(
                header=source.header,
                scheme=source.scheme,
                query_parameter=source.query_parameter,
                cookie=source.cookie,
            )
            for source in spec.sources or ()
        )
        or (KeySource(header=DEFAULT_HEADER),),
        realm=context_path,
        forward_credential=bool(spec.forward_credential),
    )


def _keys(spec: ApiKeyPlan, referenced: Referenced) -> Iterator[tuple[str, str, str]]:
    """Secret, consumer and key, in the order of the references and then of the consumers' names."""
    for ref in spec.secret_refs:
        secret = referenced.secret(ref.name)
        for consumer in sorted(secret.data if secret is not None else ()):
            key = referenced.entry_text(ref.name, secret, consumer) if secret is not None else None
            if key is not None:
                yield ref.name, consumer, key


def _basic(spec: BasicPlan, context_path: str, referenced: Referenced) -> Basic:
    users: dict[str, str] = {}
    for ref in spec.secret_refs:
        secret = referenced.secret(ref.name)
        text = referenced.entry_text(ref.name, secret, ref.key or spec.DEFAULT_KEY) if secret is not None else None
        for number, line in enumerate((text or "").splitlines(), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            user, _, password_hash = line.strip().partition(":")
            if not _USER.fullmatch(user) or not _BCRYPT.fullmatch(password_hash):
                referenced.ignored(ref.name, f"its line {number} is no user and bcrypt of cost 4 to 14 (htpasswd -B)")
            elif users.setdefault(user, password_hash) != password_hash:
                referenced.ignored(ref.name, f"its line {number} has a user who was there before, and counts as then")
    lines = "\n".join(f"{user}:{password_hash}" for user, password_hash in users.items())
    referenced.fill(USERS_SLOT, lines, spec.secret_refs[0].name)
    return Basic(realm=spec.realm or context_path, forward_credential=bool(spec.forward_credential))
