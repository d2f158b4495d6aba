"""What an SseApi may say of its endpoints: whose turn it is, how their health is known, what follows a failure."""

from typing import Any

BALANCINGS_GOOD: list[Any] = [
    None,
    *({"type": name} for name in ("RoundRobin", "Random", "LeastStreams")),
    {"type": "RoundRobin", "consistentHash": None},
    {},
    {"type": None},
    {"sessionPersistence": None},
    {"sessionPersistence": {"header": "Mcp-Session-Id"}},
    {"type": "LeastStreams", "sessionPersistence": {"header": "a" * 256}},
    {"type": "ConsistentHash", "consistentHash": {"clientAddress": True}, "sessionPersistence": {"header": "X-S"}},
    *(
        {"type": "ConsistentHash", "consistentHash": hashed}
        for hashed in (
            {"header": "Mcp-Session-Id"},
            {"queryParameter": "session.id_1~-"},
            {"cookie": "__Host-sid"},
            {"clientAddress": True},
            {"header": "a" * 256, "cookie": None},
        )
    ),
]

BALANCINGS_BAD: list[Any] = [
    "RoundRobin",
    {"type": "roundRobin"},
    {"type": "Maglev"},
    {"type": "ConsistentHash"},
    {"type": "ConsistentHash", "consistentHash": None},
    {"type": "RoundRobin", "consistentHash": {"header": "a"}},
    {"consistentHash": {"header": "a"}},
    *(
        {"sessionPersistence": value}
        for value in (
            {},
            "Mcp-Session-Id",
            {"header": None},
            {"header": ""},
            {"header": "a b"},
            {"header": "a:"},
            {"header": "a" * 257},
            {"header": "Set-Cookie"},
            {"header": "connection"},
            {"header": "content-length"},
            {"cookie": "a"},
        )
    ),
    *(
        {"type": "ConsistentHash", "consistentHash": hashed}
        for hashed in (
            {},
            {"header": ""},
            {"header": "a b"},
            {"header": "a:"},
            {"header": "é"},
            {"header": "a\n"},
            {"header": "a" * 257},
            {"queryParameter": "a=b"},
            {"queryParameter": "a%20"},
            {"cookie": "a;b"},
            {"clientAddress": False},
            {"clientAddress": 1},
            {"clientAddress": "true"},
            {"header": "a", "cookie": "b"},
            {"header": "a", "clientAddress": True},
            {"path": "a"},
        )
    ),
]

CHECKS_GOOD: list[Any] = [
    None,
    {},
    {"active": {}, "passive": {}},
    {"active": None},
    {"active": {"type": "Stream", "path": "/sse?probe=1", "interval": "1m", "timeout": "500ms"}},
    {"active": {"type": "Http", "method": "HEAD", "path": "/healthz", "expectedStatuses": [200, 204, 599]}},
    {"active": {"method": "GET", "expectedStatuses": [200]}},
    {"active": {"healthyThreshold": 1, "unhealthyThreshold": 100}},
    {"active": {"path": "/a%20b;c=[d]?e=%2F"}},
    {"passive": {"consecutiveFailures": 1000, "ejectionTime": "8760h"}},
]

CHECKS_BAD: list[Any] = [
    [],
    {"interval": "10s"},
    {"active": {"type": "Tcp"}},
    {"active": {"type": "Stream", "method": "GET"}},
    {"active": {"type": "Stream", "expectedStatuses": [200]}},
    {"active": {"method": "POST"}},
    {"active": {"path": ""}},
    {"active": {"path": "healthz"}},
    {"active": {"path": "http://h/"}},
    {"active": {"path": "/a b"}},
    {"active": {"path": "/a#b"}},
    {"active": {"path": "/a%2"}},
    {"active": {"path": "/a\n"}},
    {"active": {"path": "/é"}},
    {"active": {"path": "/" + "a" * 1024}},
    {"active": {"expectedStatuses": []}},
    {"active": {"expectedStatuses": [100]}},
    {"active": {"expectedStatuses": [600]}},
    {"active": {"expectedStatuses": ["200"]}},
    {"active": {"expectedStatuses": [200, 200]}},
    {"active": {"expectedStatuses": list(range(200, 217))}},
    {"active": {"interval": "0s"}},
    {"active": {"interval": "0h0m"}},
    {"active": {"interval": "10"}},
    {"active": {"interval": 10}},
    {"active": {"interval": "8761h"}},
    {"active": {"timeout": "0ms"}},
    {"active": {"healthyThreshold": 0}},
    {"active": {"unhealthyThreshold": 101}},
    {"passive": {"consecutiveFailures": 0}},
    {"passive": {"consecutiveFailures": 1001}},
    {"passive": {"ejectionTime": "0s"}},
    {"passive": {"ejectionTime": None, "type": "Http"}},
]

FAILOVERS_GOOD: list[Any] = [None, {}, {"attempts": 1}, {"attempts": 31}, {"attempts": None}]

FAILOVERS_BAD: list[Any] = [True, {"attempts": 0}, {"attempts": 32}, {"attempts": "1"}, {"statuses": [503]}]
