"""Credentials and plans that are good and that are not; see `corpus`."""

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

CA = {"name": "ca"}

TLS_GOOD: list[Any] = [
    {},
    {"caRef": CA},
    {"caRef": {**CA, "kind": "ConfigMap", "key": "bundle.pem"}},
    {"caRef": {**CA, "kind": "Secret"}},
    {"caRef": CA, "insecureSkipVerify": False},
    {"insecureSkipVerify": True},
    {"insecureSkipVerify": True, "caRef": None},
    {"serverName": "prices.example.com"},
    {"serverName": "localhost"},
    {"clientCertificateRef": {"name": "client"}, "caRef": CA},
]

TLS_BAD: list[Any] = [
    [],
    True,
    {"caRef": CA, "insecureSkipVerify": True},
    {"caRef": "ca"},
    {"caRef": {}},
    {"caRef": {**CA, "kind": "Namespace"}},
    {"caRef": {**CA, "namespace": "other"}},
    {"caRef": {**CA, "key": "a/b"}},
    {"insecureSkipVerify": "true"},
    {"serverName": ""},
    {"serverName": "*.example.com"},
    {"serverName": "a:443"},
    {"serverName": "a..b"},
    {"serverName": "a" * 64},
    {"serverName": "a\n"},
    {"clientCertificateRef": {"name": "c", "key": "tls.crt"}},
    {"minVersion": "1.3"},
]

PROXIES_GOOD: list[Any] = [
    {"url": "http://proxy:3128"},
    {"url": "http://proxy.shop.svc:3128/"},
    {"url": "http://10.0.0.1:65535"},
    {"url": "http://[2001:db8::1]:8080"},
    {"url": "http://proxy:3128", "credentialsRef": {"name": "p"}},
    {"url": "http://proxy:3128", "credentialsRef": None},
]

PROXIES_BAD: list[Any] = [
    {},
    "http://proxy:3128",
    {"url": ""},
    {"url": "proxy:3128"},
    {"url": "https://proxy:3128"},
    {"url": "socks5://proxy:1080"},
    {"url": "http://proxy"},
    {"url": "http://proxy:0"},
    {"url": "http://proxy:65536"},
    {"url": "http://proxy:3128/path"},
    {"url": "http://user:pass@proxy:3128"},
    {"url": "http://proxy:3128?x=1"},
    {"url": "http://proxy:3128\n"},
    {"url": "http://-proxy:3128"},
    {"url": "http://proxy:3128", "credentialsRef": {}},
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

KEYS = {"secretRefs": [{"name": "s"}]}


def by_key(**members: Any) -> dict[str, Any]:
    """A plan of keys."""
    return {"type": "ApiKey", "apiKey": {**KEYS, **members}}


def by_password(**members: Any) -> dict[str, Any]:
    """A plan of passwords."""
    return {"type": "Basic", "basic": {**KEYS, **members}}


PLANS_GOOD: list[Any] = [
    None,
    {"type": "Keyless"},
    {"type": "Keyless", "apiKey": None},
    by_key(),
    by_key(secretRefs=[{"name": f"s{number}"} for number in range(16)]),
    by_key(sources=[{"header": "X-Key"}]),
    by_key(sources=[{"header": "Authorization", "scheme": "Bearer"}, {"queryParameter": "k"}, {"cookie": "__Host-k"}]),
    by_key(sources=[{"cookie": f"c{number}"} for number in range(8)], forwardCredential=True),
    by_password(),
    by_password(secretRefs=[{"name": "s", "key": "htpasswd"}], forwardCredential=False),
    by_password(realm="the shop's (1)"),
    by_password(realm="~"),
]

PLANS_BAD: list[Any] = [
    {},
    "Keyless",
    {"type": "keyless"},
    {"type": "Jwt"},
    {"type": "ApiKey"},
    {"type": "Basic"},
    {"type": "Keyless", "apiKey": KEYS},
    {"type": "Keyless", "keys": []},
    {"type": "Basic", "apiKey": KEYS},
    {"type": "ApiKey", "apiKey": KEYS, "basic": KEYS},
    {"apiKey": KEYS},
    {"type": "ApiKey", "apiKey": {}},
    by_key(secretRefs=[]),
    by_key(secretRefs=["s"]),
    by_key(secretRefs=[{"name": "s", "key": "k"}]),
    by_key(secretRefs=[{"name": f"s{number}"} for number in range(17)]),
    by_key(sources=[]),
    by_key(sources=[{}]),
    by_key(sources=[{"header": "X-Key", "cookie": "k"}]),
    by_key(sources=[{"scheme": "Bearer"}]),
    by_key(sources=[{"cookie": "k", "scheme": "Bearer"}]),
    by_key(sources=[{"header": "Host"}]),
    by_key(sources=[{"header": "Authorization", "scheme": "Bearer "}]),
    by_key(sources=[{"cookie": "a=b"}]),
    by_key(sources=[{"cookie": "a;b"}]),
    by_key(sources=[{"queryParameter": "a&b"}]),
    by_key(sources=[{"cookie": f"c{number}"} for number in range(9)]),
    by_key(forwardCredential="yes"),
    by_key(realm="x"),
    by_password(realm=""),
    by_password(realm='"'),
    by_password(realm="a\\b"),
    by_password(realm=" a"),
    by_password(realm="a\n"),
    by_password(realm="é"),
    by_password(realm="r" * 129),
    by_password(secretRefs=[{"name": "s", "key": ""}]),
]
