"""The Secret with the token of the admin port: written once, never changed by the operator."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from sse_operator.api.objects import SseGateway
from sse_operator.resources.names import Object, child_metadata

TOKEN_SUFFIX = "admin-token"  # noqa: S105
TOKEN_FILE = "token"  # noqa: S105


def admin_token_secret(gateway: SseGateway, token: str) -> Object:
    """The Secret that holds `token`."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": child_metadata(gateway, TOKEN_SUFFIX),
        "type": "Opaque",
        "data": {TOKEN_FILE: base64.b64encode(token.encode()).decode()},
    }


def token_of(secret: Mapping[str, Any]) -> str | None:
    """The token in the Secret; None where somebody took it out or broke it."""
    try:
        return base64.b64decode(secret["data"][TOKEN_FILE], validate=True).decode("ascii") or None
    except (KeyError, TypeError, binascii.Error, UnicodeDecodeError):
        return None
