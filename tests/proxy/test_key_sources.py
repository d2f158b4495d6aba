"""Where keys are found in a request, and the request without them."""

from __future__ import annotations

import pytest

from sse_proxy.config import KeySource
from sse_proxy.plans.sources import find, without

Fields = list[tuple[bytes, bytes]]

HEADER = KeySource(header="X-API-Key")
BEARER = KeySource(header="Authorization", scheme="Bearer")
PARAMETER = KeySource(query_parameter="api_key")
COOKIE = KeySource(cookie="key")


def cookie(*values: bytes) -> Fields:
    return [(b"Cookie", value) for value in values]


@pytest.mark.parametrize(
    ("source", "fields", "query", "found"),
    [
        (HEADER, [(b"x-api-KEY", b" k ")], None, b"k"),
        (HEADER, [(b"X-API-Key", b"one"), (b"X-API-Key", b"two")], None, b"one"),
        (HEADER, [(b"X-API-Key", b"")], None, None),
        (HEADER, [(b"X-API-Key-2", b"k")], "X-API-Key=k", None),
        (BEARER, [(b"authorization", b"bearer  k")], None, b"k"),
        (BEARER, [(b"Authorization", b"Basic k"), (b"Authorization", b"BEARER k")], None, b"k"),
        (BEARER, [(b"Authorization", b"Bearerk")], None, None),
        (BEARER, [(b"Authorization", b"Bearer")], None, None),
        (PARAMETER, [], "a=1&api_key=k&api_key=l", b"k"),
        (PARAMETER, [], "api%5Fkey=a%2Bb+c", b"a+b c"),
        (PARAMETER, [], "api_keys=k&xapi_key=k", None),
        (PARAMETER, [], "api_key", None),
        (PARAMETER, [], None, None),
        (COOKIE, cookie(b"a=1; key=k; b=2"), None, b"k"),
        (COOKIE, cookie(b"a=1", b'key="k"'), None, b"k"),
        (COOKIE, cookie(b"a=key=k; Key=k; keys=k"), None, None),
    ],
)
def test_find(source: KeySource, fields: Fields, query: str | None, found: bytes | None) -> None:
    assert find(source, fields, query) == found


@pytest.mark.parametrize(
    ("source", "fields", "kept"),
    [
        (HEADER, [(b"X-API-Key", b"k"), (b"x-api-key", b"l"), (b"A", b"k")], [(b"A", b"k")]),
        (BEARER, [(b"Authorization", b"Bearer k")], []),
        (BEARER, [(b"Authorization", b"Basic k")], [(b"Authorization", b"Basic k")]),
        (COOKIE, cookie(b"a=1; key=k; b=2"), cookie(b"a=1; b=2")),
        (COOKIE, cookie(b"key=k; b=2;  c=3"), cookie(b"b=2;  c=3")),
        (COOKIE, cookie(b"key=k", b"key=l; a=1"), cookie(b"a=1")),
        (COOKIE, cookie(b" a=1 ;b"), cookie(b" a=1 ;b")),
    ],
)
def test_fields_without_the_key(source: KeySource, fields: Fields, kept: Fields) -> None:
    assert without([source], fields, None) == (kept, None)


@pytest.mark.parametrize(
    ("query", "kept"),
    [("api_key=k", ""), ("a=1&api_key=k&b=%2f&api%5Fkey=l", "a=1&b=%2f"), ("a&&b", "a&&b"), ("", ""), (None, None)],
)
def test_queries_without_the_key(query: str | None, kept: str | None) -> None:
    assert without([PARAMETER], [], query) == ([], kept)


def test_every_place_is_emptied() -> None:
    fields = [(b"X-API-Key", b"k"), (b"Cookie", b"key=k")]
    assert without([HEADER, COOKIE, PARAMETER], fields, "api_key=k&a=1") == ([], "a=1")
