"""The field types of the resources, each with its rules told twice: to pydantic and, as CEL, to the API server.

A `Rule` is one thing that can be wrong with a value, with the sentence that tells how to mend it. Rules are regular
expressions in the common part of Python's and RE2's syntax. One thing differs there: `$` is the very end in RE2, and
may stand before a last newline in Python; `Rule` compiles it to the former. The tests hold both sides to one judgement.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from ipaddress import IPv6Address
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

CEL_RULES = "x-kubernetes-validations"

READS_AS = "x-reads-as"
"""In a field's JSON schema: what its string is, for people."""


def cel_string(text: str) -> str:
    """`text` as a CEL string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern as RE2 reads it: `$` outside of a bracket is the end of the text, and no other place."""
    return re.compile(
        re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]|\$", lambda match: r"\Z" if match[0] == "$" else match[0], pattern)
    )


@dataclass(frozen=True)
class Rule:
    """A pattern that a string must match, or must not (`forbids`), and what to tell who breaks it."""

    pattern: str
    message: str
    forbids: bool = False
    where: str = ""
    """The rule holds only for strings that match this pattern."""

    @cached_property
    def _search(self) -> Callable[[str], object]:
        return compiled(self.pattern).search

    @cached_property
    def _applies(self) -> Callable[[str], object]:
        return compiled(self.where).search

    def broken_by(self, value: str) -> bool:
        """Whether `value` breaks the rule."""
        return bool(self._search(value)) is self.forbids and bool(self._applies(value))

    @property
    def cel(self) -> str:
        """The rule as a CEL expression over `self`."""
        holds = f"{'!' if self.forbids else ''}self.matches({cel_string(self.pattern)})"
        return f"!self.matches({cel_string(self.where)}) || {holds}" if self.where else holds


@dataclass(frozen=True)
class IPv6Rule(Rule):
    """A rule that also wants an IPv6 address in the first brackets; for the API server CEL's own function judges."""

    def broken_by(self, value: str) -> bool:
        """Whether the brackets hold anything else. Zones and IPv4-mapped addresses are refused, as `isIP` does."""
        if not self._applies(value):
            return False
        if super().broken_by(value):
            return True
        text = value[value.index("[") + 1 : value.index("]")]
        try:
            return "%" in text or IPv6Address(text).ipv4_mapped is not None
        except ValueError:
            return True

    @property
    def cel(self) -> str:
        """The rule as a CEL expression over `self`."""
        is_ip = "isIP(self.substring(self.indexOf('[') + 1, self.indexOf(']')))"
        return f"!self.matches({cel_string(self.where)}) || (self.matches({cel_string(self.pattern)}) && {is_ip})"


def ruled(rules: tuple[Rule, ...]) -> Callable[[str], str]:
    """A validator that tells the first broken rule of `rules`."""

    def check(value: str) -> str:
        for rule in rules:
            if rule.broken_by(value):
                raise ValueError(rule.message)
        return value

    return check


def cel_of(rules: tuple[Rule, ...], reads_as: str) -> dict[str, Any]:
    """The rules for a field's JSON schema, and what its string is."""
    return {READS_AS: reads_as, CEL_RULES: [{"rule": rule.cel, "message": rule.message} for rule in rules]}


def unique(noun: str) -> Callable[[list[str]], list[str]]:
    """A validator that no string of a list is there twice, as the API server judges a list of type `set`."""

    def check(values: list[str]) -> list[str]:
        repeated = first_repeated(values)
        if repeated is not None:
            raise ValueError(f"must not have the {noun} {repeated!r} twice")
        return values

    return check


def first_repeated(values: list[str]) -> str | None:
    """The first value that is there a second time."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None


_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"

OBJECT_NAME_RULES = (
    Rule(
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "must be a Kubernetes name: lower-case letters, digits, - and . only, a letter or digit at both ends",
    ),
)

LABEL_NAME_RULES = (
    Rule(
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        "must be a name of lower-case letters, digits and - only, with a letter or digit at both ends",
    ),
)

ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253, json_schema_extra=cel_of(OBJECT_NAME_RULES, "name")),
    AfterValidator(ruled(OBJECT_NAME_RULES)),
]
"""A Kubernetes object name (RFC 1123 subdomain)."""

LabelName = Annotated[
    str,
    Field(min_length=1, max_length=63, json_schema_extra=cel_of(LABEL_NAME_RULES, "name")),
    AfterValidator(ruled(LABEL_NAME_RULES)),
]
"""A namespace's name, or another RFC 1123 label."""

VERSION_RULES = (
    Rule(
        r"^[A-Za-z0-9][A-Za-z0-9._+-]*$",
        "must be letters, digits, ., _, + and - only, and start with a letter or digit, such as 1.0.2 or v2",
    ),
)

Version = Annotated[
    str,
    Field(min_length=1, max_length=63, json_schema_extra=cel_of(VERSION_RULES, "string")),
    AfterValidator(ruled(VERSION_RULES)),
]
"""The version of an API, as its owner counts."""

CONTEXT_PATH_RULES = (
    Rule(r"^/", "must start with /"),
    Rule(r"[?#]", "is a path only, without ? and #: query parameters belong into the target", forbids=True),
    Rule(r"//", "must not contain // (an empty segment)", forbids=True),
    Rule(r"/\.\.?(/|$)", "must not have a . or .. segment", forbids=True),
    Rule(
        r"^[A-Za-z0-9._~!$&'()*+,;=:@/?#-]*$",
        "may hold letters, digits and -._~!$&'()*+,;=:@/ only: no blanks, no percent-encoding",
    ),
    Rule(r"^(/[^/]*){33}[^/]", "must have at most 32 segments", forbids=True),
)

ContextPath = Annotated[
    str,
    Field(min_length=1, max_length=1024, json_schema_extra=cel_of(CONTEXT_PATH_RULES, "path")),
    AfterValidator(ruled(CONTEXT_PATH_RULES)),
]

_HOST_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_PORT = r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"

HOST_PORT = rf"([A-Za-z0-9]([A-Za-z0-9.-]{{0,251}}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):{_PORT}"
"""A host and its port: a rough pattern, for what is looked up anyway."""

TARGET_RULES = (
    Rule(r"^https?://", "must be an absolute URL that starts with http:// or https://"),
    Rule(
        r"^[^/?#]*//[^/?#]*@",
        "must not carry credentials: keep them in a Secret that upstream.credentials names, not in a URL",
        forbids=True,
    ),
    Rule(r"#", "must not have a fragment (#…): it never reaches a server", forbids=True),
    Rule(
        rf"^https?://(\[[^\]/?#]*\]|{_HOST_LABEL}(\.{_HOST_LABEL})*\.?)(:[^/?#]*)?([/?#]|$)",
        "must name a host after the scheme, and nothing but an optional :port before the path",
    ),
    Rule(
        rf"^https?://{_OCTET}(\.{_OCTET}){{3}}(:[^/?#]*)?([/?#]|$)",
        "must have a host name, or an IPv4 address of four numbers from 0 to 255",
        where=r"^https?://([^:/?#]*\.)?[0-9]+\.?(:[^/?#]*)?([/?#]|$)",
    ),
    IPv6Rule(r"^https?://\[[^\]/?#]*:[^\]/?#]*\]", "must have an IPv6 address in the brackets", where=r"^https?://\["),
    Rule(r"^https?://[^:/?#\[]{254}", "must have a host name of at most 253 characters", forbids=True),
    Rule(
        rf"^https?://(\[[^\]]*\]|[^:/?#]*)(:{_PORT})?([/?#]|$)",
        "must have a port from 1 to 65535",
        where=r"^https?://(\[[^\]]*\]|[^:/?#\[]*):[^/?#@]*([/?#]|$)",
    ),
    Rule(
        r"^([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f][0-9A-Fa-f])*$",
        "must be percent-encoded: no blanks, and only characters that a URL may hold",
    ),
)

Target = Annotated[
    str,
    Field(min_length=1, max_length=2048, json_schema_extra=cel_of(TARGET_RULES, "URL")),
    AfterValidator(ruled(TARGET_RULES)),
]

HOSTNAME_RULES = (
    Rule(
        rf"^(\*\.)?{_LABEL}(\.{_LABEL})*$",
        "must be a lower-case host name without port, or a wildcard such as *.example.com",
    ),
)

Hostname = Annotated[
    str,
    Field(min_length=1, max_length=253, json_schema_extra=cel_of(HOSTNAME_RULES, "host name")),
    AfterValidator(ruled(HOSTNAME_RULES)),
]

DURATION_TYPE = "duration"

DURATION = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"
"""Gateway API duration (GEP-2257)."""

MAX_DURATION_HOURS = 8760

UNIT_MILLISECONDS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}

DURATION_MESSAGE = (
    f"must be a duration with units such as 70s, 1m30s or 500ms, at most {MAX_DURATION_HOURS}h; 0s means none"
)

_DURATION_CEL = f"self.matches({cel_string(DURATION)}) && duration(self) <= duration('{MAX_DURATION_HOURS}h')"
_DURATION_PATTERN = compiled(DURATION)
_DURATION_PART = re.compile(r"([0-9]+)(ms|h|m|s)")


@lru_cache(maxsize=1024)
def seconds_of(duration: str) -> float:
    """The seconds of a Gateway API duration; 0.0 for `0s`. ValueError where it is none, or over
    `MAX_DURATION_HOURS`."""
    if not _DURATION_PATTERN.match(duration):
        raise ValueError(DURATION_MESSAGE)
    milliseconds = sum(int(number) * UNIT_MILLISECONDS[unit] for number, unit in _DURATION_PART.findall(duration))
    if milliseconds > MAX_DURATION_HOURS * UNIT_MILLISECONDS["h"]:
        raise ValueError(DURATION_MESSAGE)
    return milliseconds / 1000


def _with_unit(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"must be a string with a unit such as {value:g}s")
    return value


def _duration(value: str) -> str:
    seconds_of(value)
    return value


Duration = Annotated[
    str,
    Field(
        max_length=32,
        json_schema_extra={
            READS_AS: DURATION_TYPE,
            CEL_RULES: [{"rule": _DURATION_CEL, "message": DURATION_MESSAGE}],
        },
    ),
    BeforeValidator(_with_unit),
    AfterValidator(_duration),
]
"""A Gateway API duration (GEP-2257); `0s` means none."""

PERIOD_MESSAGE = f"must be a duration with units such as 10s or 1m30s, above 0s and at most {MAX_DURATION_HOURS}h"


def _period(value: str) -> str:
    try:
        positive = seconds_of(value) > 0
    except ValueError:
        positive = False
    if not positive:
        raise ValueError(PERIOD_MESSAGE)
    return value


Period = Annotated[
    str,
    Field(
        max_length=32,
        json_schema_extra={
            READS_AS: DURATION_TYPE,
            CEL_RULES: [{"rule": f"{_DURATION_CEL} && duration(self) > duration('0s')", "message": PERIOD_MESSAGE}],
        },
    ),
    BeforeValidator(_with_unit),
    AfterValidator(_period),
]
"""A Gateway API duration (GEP-2257) that is above 0s."""
