"""The field types of the resources, each with its rules told twice: to pydantic and, as CEL, to the API server.

A `Rule` is one thing that can be wrong with a value, with the sentence that tells how to mend it. Rules are regular
expressions in the common part of Python's and RE2's syntax, so that both sides judge alike; the tests hold them to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

DURATION = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"
"""Gateway API duration (GEP-2257)."""

MAX_DURATION_HOURS = 8760

UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@dataclass(frozen=True)
class Rule:
    """A pattern that a string must match, or must not (`forbids`), and what to tell who breaks it."""

    pattern: str
    message: str
    forbids: bool = False

    def broken_by(self, value: str) -> bool:
        """Whether `value` breaks the rule."""
        return bool(re.search(self.pattern, value)) is self.forbids

    @property
    def cel(self) -> str:
        """The rule as a CEL expression over `self`."""
        literal = "'" + self.pattern.replace("\\", "\\\\").replace("'", "\\'") + "'"
        return f"{'!' if self.forbids else ''}self.matches({literal})"


def ruled(rules: tuple[Rule, ...]) -> Callable[[str], str]:
    """A validator that tells the first broken rule of `rules`."""

    def check(value: str) -> str:
        for rule in rules:
            if rule.broken_by(value):
                raise ValueError(rule.message)
        return value

    return check


def cel_of(rules: tuple[Rule, ...]) -> dict[str, object]:
    """The rules for a field's JSON schema."""
    return {"x-kubernetes-validations": [{"rule": rule.cel, "message": rule.message} for rule in rules]}


CONTEXT_PATH_RULES = (
    Rule(r"^/", "must start with /"),
    Rule(r"[?#]", "is a path only: put query parameters into the target, without ? and #", forbids=True),
    Rule(r"//", "must not contain // (an empty segment)", forbids=True),
    Rule(r"/\.\.?(/|$)", "must not have a . or .. segment", forbids=True),
    Rule(
        r"^[A-Za-z0-9._~!$&'()*+,;=:@/-]*$",
        "may hold letters, digits and -._~!$&'()*+,;=:@/ only (no blanks, no percent-encoding)",
    ),
)

ContextPath = Annotated[
    str,
    Field(min_length=1, max_length=1024, json_schema_extra=cel_of(CONTEXT_PATH_RULES)),
    AfterValidator(ruled(CONTEXT_PATH_RULES)),
]

TARGET_RULES = (
    Rule(r"^https?://", "must be an absolute URL that starts with http:// or https://"),
    Rule(
        r"^[a-z]+://[^/?#]*@",
        "must not carry credentials: keep them in a Secret and name it in upstream.credentials",
        forbids=True,
    ),
    Rule(r"#", "must not have a fragment (#…): it never reaches a server", forbids=True),
    Rule(
        r"^https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)[.]?(:[0-9]+)?([/?]|$)",
        "must name a host after the scheme, and nothing but an optional :port before the path",
    ),
    Rule(
        r"^https?://(\[[^\]]*\]|[^:/?]*)"
        r"(:0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?([/?]|$)",
        "must have a port from 1 to 65535",
    ),
    Rule(
        r"^([A-Za-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f][0-9A-Fa-f])*$",
        "must be percent-encoded: no blanks, and only characters that a URL may hold",
    ),
)

Target = Annotated[
    str,
    Field(min_length=1, max_length=2048, json_schema_extra=cel_of(TARGET_RULES)),
    AfterValidator(ruled(TARGET_RULES)),
]

HOSTNAME_RULES = (
    Rule(
        r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "must be a lower-case host name without port, or a wildcard such as *.example.com",
    ),
)

Hostname = Annotated[
    str,
    Field(min_length=1, max_length=253, json_schema_extra=cel_of(HOSTNAME_RULES)),
    AfterValidator(ruled(HOSTNAME_RULES)),
]

_DURATION_MESSAGE = (
    f"must be a duration with units such as 70s, 1m30s or 500ms, at most {MAX_DURATION_HOURS}h; 0s means none"
)


def seconds_of(duration: str) -> float:
    """The seconds of a Gateway API duration; 0.0 for `0s`. ValueError where it is none, or over
    `MAX_DURATION_HOURS`."""
    if not re.fullmatch(DURATION[1:-1], duration):
        raise ValueError(_DURATION_MESSAGE)
    seconds = sum(int(number) * UNIT_SECONDS[unit] for number, unit in re.findall(r"([0-9]+)(ms|h|m|s)", duration))
    if seconds > MAX_DURATION_HOURS * 3600:
        raise ValueError(_DURATION_MESSAGE)
    return seconds


def _duration(value: str) -> str:
    seconds_of(value)
    return value


Duration = Annotated[
    str,
    Field(
        max_length=32,
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": f"self.matches('{DURATION}') && duration(self) <= duration('{MAX_DURATION_HOURS}h')",
                    "message": _DURATION_MESSAGE,
                }
            ]
        },
    ),
    AfterValidator(_duration),
]
"""A Gateway API duration (GEP-2257); `0s` means none."""
