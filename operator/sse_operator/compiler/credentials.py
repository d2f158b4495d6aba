"""Credentials for upstream: where they go stands in the config, what they are in the entry's secrets."""

from __future__ import annotations

import base64
import re
from urllib.parse import quote

from sse_operator.api.credentials import CredentialsSpec
from sse_operator.api.references import SecretEntryRef
from sse_operator.compiler.secrets import Referenced
from sse_proxy.config import CREDENTIALS_SLOT, UpstreamCredentials

_FIELD_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_TOKEN = re.compile(r"[\x21-\x7e]+")
_LINE = re.compile(r"[^\x00-\x1f\x7f]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def credentials_of(spec: CredentialsSpec | None, referenced: Referenced) -> UpstreamCredentials | None:
    """Where the credentials go; what they are goes into the slot `upstream.credentials`."""
    if spec is None:
        return None
    place = UpstreamCredentials(header="Authorization")
    value: str | None = None
    if spec.basic is not None:
        value = basic_authorization(spec.basic.secret_ref.name, referenced)
    elif spec.bearer is not None:
        token = _text(spec.bearer.secret_ref, spec.bearer.DEFAULT_KEY, referenced, _TOKEN, "a token: ASCII, no blanks")
        value = f"Bearer {token}" if token else None
    elif spec.header is not None:
        place = UpstreamCredentials(header=spec.header.name)
        expected = "one line of printable ASCII, as header fields must be"
        value = _text(spec.header.secret_ref, spec.header.DEFAULT_KEY, referenced, _FIELD_VALUE, expected)
    elif spec.query_parameter is not None:
        place = UpstreamCredentials(query_parameter=spec.query_parameter.name)
        key = spec.query_parameter.DEFAULT_KEY
        text = _text(spec.query_parameter.secret_ref, key, referenced, _LINE, "one line of text")
        value = quote(text, safe="") if text else None
    if value is not None:
        referenced.slots[CREDENTIALS_SLOT] = value
    return place


def basic_authorization(name: str, referenced: Referenced) -> str | None:
    """What an Authorization field says for the user and password in a Secret (RFC 7617); None where they cannot be
    used."""
    secret = referenced.secret(name)
    if secret is None:
        return None
    user, password = [referenced.entry_text(name, secret, entry) for entry in ("username", "password")]
    if user is None or password is None:
        return None
    if ":" in user or _CONTROL.search(user + password):
        referenced.invalid(name, "has a colon in its username, or a control character, which Basic cannot carry")
        return None
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _text(
    ref: SecretEntryRef, default_key: str, referenced: Referenced, form: re.Pattern[str], expected: str
) -> str | None:
    key = ref.key or default_key
    secret = referenced.secret(ref.name)
    text = referenced.entry_text(ref.name, secret, key) if secret is not None else None
    if text is not None and not form.fullmatch(text):
        referenced.invalid(ref.name, f"has an entry {key} that is not {expected}")
        return None
    return text
