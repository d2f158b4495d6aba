"""Credentials that are good and that are not; see `corpus`."""

from typing import Any

SECRET = {"secretRef": {"name": "s"}}
ENTRY = {"secretRef": {"name": "s", "key": "k"}}

CREDENTIALS_GOOD: list[Any] = [
    {"basic": SECRET},
    {"basic": SECRET, "bearer": None},
    {"bearer": SECRET},
    {"bearer": ENTRY},
    {"bearer": {"secretRef": {"name": "a.b-c", "key": "tls.key_2-A"}}},
    {"header": {"name": "X-Api-Key", **SECRET}},
    {"header": {"name": "Authorization", **ENTRY}},
    {"queryParameter": {"name": "api_key", **ENTRY}},
    {"queryParameter": {"name": "a-b.c~d", **SECRET}},
]

CREDENTIALS_BAD: list[Any] = [
    {},
    [],
    "s",
    {"basic": SECRET, "bearer": SECRET},
    {"basic": {}},
    {"basic": {"secretRef": {}}},
    {"basic": {"secretRef": "s"}},
    {"basic": {"secretRef": {"name": ""}}},
    {"basic": {"secretRef": {"name": "S"}}},
    {"basic": {"secretRef": {"name": "s", "namespace": "other"}}},
    {"basic": {"username": "demo", "password": "demo"}},
    {"bearer": {"secretRef": {"name": "s", "key": ""}}},
    {"bearer": {"secretRef": {"name": "s", "key": "a b"}}},
    {"bearer": {"secretRef": {"name": "s", "key": "a/b"}}},
    {"bearer": {"secretRef": {"name": "s", "key": "a\n"}}},
    {"bearer": {"secretRef": {"name": "s", "key": "k" * 254}}},
    {"header": SECRET},
    {"header": {"name": "a b", **SECRET}},
    {"header": {"name": "Connection", **SECRET}},
    {"header": {"name": "HOST", **SECRET}},
    {"header": {"name": "x-forwarded-for", **SECRET}},
    {"header": {"name": "x" * 257, **SECRET}},
    {"queryParameter": SECRET},
    {"queryParameter": {"name": "", **SECRET}},
    {"queryParameter": {"name": "a=b", **SECRET}},
    {"queryParameter": {"name": "a&b", **SECRET}},
    {"queryParameter": {"name": "a%20b", **SECRET}},
    {"queryParameter": {"name": "a[]", **SECRET}},
    {"queryParameter": {"name": "k" * 129, **SECRET}},
]
