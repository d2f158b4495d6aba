"""Specs that are good and specs that are not: the reader and the API server must say the same of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from unit.api import access_corpus, endpoints_corpus
from unit.api.access_corpus import CREDENTIALS_BAD, CREDENTIALS_GOOD, PLANS_BAD, PLANS_GOOD
from unit.api.proxies_corpus import (
    AUTOSCALING,
    POD_TEMPLATES_BAD,
    POD_TEMPLATES_GOOD,
    RESOURCES_BAD,
    RESOURCES_GOOD,
)


@dataclass(frozen=True)
class Case:
    """One spec, and whether it is to be accepted."""

    label: str
    kind: str
    spec: Any
    good: bool

    def document(self, namespace: str) -> dict[str, Any]:
        """The whole object; without `spec` where that is `ABSENT`."""
        return {
            "apiVersion": "sse-gateway.dev/v1alpha1",
            "kind": self.kind,
            "metadata": {"name": "case", "namespace": namespace},
            **({} if self.spec is ABSENT else {"spec": self.spec}),
        }


ABSENT = object()
GONE = object()

TARGET = "https://rest.ably.io/sse?channel=ssechannel&v=1.1"


def api_spec(**changes: Any) -> dict[str, Any]:
    """A good SseApi spec with some fields changed, or left out (`GONE`)."""
    spec = {"contextPath": "/sseconsumer", "target": TARGET, **changes}
    return {name: value for name, value in spec.items() if value is not GONE}


CONTEXT_PATHS_GOOD = [
    "/",
    "/a",
    "/a/",
    "/a/b/c",
    "/A-Z_0.9~!$&'()*+,;=:@",
    "/...",
    "/.well-known/x",
    "/a..b/c.",
    "/-",
    "/" + "a" * 1023,
    "/" + "/".join("abcdefghijklmnopqrstuvwxyz012345"),
    "/" + "/".join("abcdefghijklmnopqrstuvwxyz012345") + "/",
]

CONTEXT_PATHS_BAD: list[Any] = [
    "",
    "a",
    "sseconsumer/",
    "//",
    "/a//b",
    "/a//",
    "/..",
    "/a/../b",
    "/a/..",
    "/.",
    "/./a",
    "/a/.",
    "/a?b=c",
    "/a#b",
    "/a b",
    " /a",
    "/a ",
    "/a\t",
    "/a\n",
    "/\n",
    "\n/a",
    "/a\r\n",
    "/a\x00",
    "/é",
    "/日本",
    "/a\u2028",
    "/a%2Fb",
    "/%61",
    "/a\\b",
    '/a"',
    "/a<b>",
    "/{id}",
    "/a|b",
    "/" + "a" * 1024,
    "/" + "a" * 2999,
    "/é" * 300,
    "/" + "/".join("a" * 33),
    None,
    0,
    1.5,
    True,
    [],
    ["/a"],
    {},
]

TARGETS_GOOD = [
    TARGET,
    "http://h",
    "http://h/",
    "http://h?x=1",
    "http://h:1",
    "http://h:80/",
    "http://h:65535/a?b",
    "https://example.com./x",
    "http://a_b.svc/x",
    "http://_x/",
    "http://x-y/",
    "http://EXAMPLE.com/Path",
    "http://1.2.3.4",
    "http://255.255.255.255:8080/x",
    "http://0.0.0.0/",
    "http://1.2.3.4.example/",
    "http://4a/",
    "http://[::1]/",
    "http://[::1]:8080/x?y",
    "http://[2001:db8::a:B]/",
    "http://[1:2:3:4:5:6:7:8]",
    "http://[::1.2.3.4]/",
    "http://h/a%20b?c=%E2%82%AC",
    "http://h/a@b",
    "http://h/?user=a@b",
    "http://h/a:b//c/../d;e",
    "http://h/?a[]=1",
    "http://h/" + "a" * (2048 - 9),
    "http://" + ".".join(["a" * 63] * 3 + ["b" * 61]) + "/",
]

TARGETS_BAD: list[Any] = [
    "",
    "h",
    "//h/x",
    "/x",
    "ftp://h/",
    "ws://h/",
    "HTTP://h/",
    "file:///etc/passwd",
    "http:/h",
    "http://",
    "http:///x",
    "http://?x",
    "http://:80/",
    "http://user:pass@h/",
    "http://user@h/",
    "http://@h/",
    "http://a:b@c:d@h/",
    "http://h/#f",
    "http://h#",
    "http://h:/",
    "http://h:0/",
    "http://h:65536/",
    "http://h:99999/",
    "http://h:080/",
    "http://h:8a/",
    "http://h:-1/",
    "http://h:80:80/",
    "http://h /",
    "http://h/a b",
    " http://h/",
    "http://h/ ",
    "http://h/\n",
    "http://h\n",
    "http://h:80\n",
    "http://h\\x/",
    "http://h/a\\b",
    "http://h/%",
    "http://h/%2",
    "http://h/%zz",
    "http://h/é",
    "http://é/",
    "http://日本.jp/",
    "http://h/{x}",
    'http://h/"',
    "http://h/a|b",
    "http://a..b/",
    "http://.a/",
    "http://a../",
    "http://-a/",
    "http://a-/",
    "http://a.-b/",
    "http://*.a/",
    "http://h,i/",
    "http://" + "a" * 64 + "/",
    "http://" + ".".join(["a" * 63] * 4) + "/",
    "http://1.2.3/",
    "http://1.2.3.256/",
    "http://1.2.3.4.5/",
    "http://01.2.3.4/",
    "http://2130706433/",
    "http://1.2.3.999",
    "http://[::1",
    "http://[]/",
    "http://[::g]/",
    "http://[1:2]/",
    "http://[:::]/",
    "http://[::1]x/",
    "http://[::1]:0/",
    "http://[::1%25eth0]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[1.2.3.4]/",
    "http://[12345::]/",
    "http://[::1]\n",
    "http://h/" + "a" * (2048 - 8),
    None,
    5,
    False,
    ["http://h/"],
    {"url": "http://h/"},
]

DURATIONS_GOOD = [
    "0s",
    "0ms",
    "0h0m0s0ms",
    "70s",
    "1m30s",
    "500ms",
    "1h1m1s1ms",
    "1s1s",
    "1ms1h",
    "00070s",
    "8760h",
    "8759h60m",
    "99999s",
    "99999ms",
]

DURATIONS_BAD: list[Any] = [
    "",
    "70",
    "s",
    "70 s",
    " 70s",
    "70s ",
    "70s\n",
    "-5s",
    "+5s",
    "1.5s",
    "1,5s",
    "1d",
    "1w",
    "5us",
    "5ns",
    "5µs",
    "5S",
    "5M",
    "8761h",
    "8760h1ms",
    "99999h",
    "100000s",
    "1h1m1s1ms1s",
    "٣s",
    "infinity",
    "none",
    "1" * 33 + "s",
    70,
    0,
    70.5,
    True,
    [],
    ["70s"],
    {"seconds": 70},
]

HOSTNAMES_GOOD: list[Any] = [
    None,
    [],
    ["a"],
    ["example.com"],
    ["*.example.com"],
    ["*.com", "www.example.com"],
    ["1.2.3.4"],
    ["a-b.c--d.e"],
    [f"h{number}.example" for number in range(16)],
    ["a" * 63 + ".example"],
    [".".join(["a" * 63] * 3 + ["b" * 61])],
]

HOSTNAMES_BAD: list[Any] = [
    "a",
    {},
    [""],
    [None],
    [1],
    ["A.example"],
    ["*"],
    ["*.*.a"],
    ["a.*.b"],
    ["*a.b"],
    ["a_b"],
    ["a."],
    [".a"],
    ["a..b"],
    ["-a"],
    ["a-"],
    ["a:80"],
    ["http://a"],
    ["a/b"],
    ["[::1]"],
    ["é.example"],
    ["a\n"],
    ["a b"],
    ["a", "a"],
    ["a", "b", "a"],
    ["a" * 64],
    [".".join(["a" * 63] * 4)],
    [f"h{number}.example" for number in range(17)],
]

ENDPOINT = {"name": "a", "target": "http://h/"}

ENDPOINTS_GOOD: list[Any] = [
    [ENDPOINT],
    [{**ENDPOINT, "weight": 1}],
    [{**ENDPOINT, "weight": 1_000_000}],
    [{**ENDPOINT, "weight": None}],
    [{**ENDPOINT, "weight": 0}, {**ENDPOINT, "name": "b"}],
    [{**ENDPOINT, "name": "a" * 63}],
    [ENDPOINT, {**ENDPOINT, "name": "b", "secondary": True}],
    [{**ENDPOINT, "secondary": False}],
    [{**ENDPOINT, "secondary": None}],
    [{**ENDPOINT, "name": f"e{number}"} for number in range(32)],
]

ENDPOINTS_BAD: list[Any] = [
    [],
    {},
    "http://h/",
    ["http://h/"],
    [None],
    [{}],
    [{"name": "a"}],
    [{"target": "http://h/"}],
    [{**ENDPOINT, "name": ""}],
    [{**ENDPOINT, "name": "A"}],
    [{**ENDPOINT, "name": "a.b"}],
    [{**ENDPOINT, "name": "a\n"}],
    [{**ENDPOINT, "name": "a" * 64}],
    [{**ENDPOINT, "target": "ftp://h/"}],
    [{**ENDPOINT, "weight": -1}],
    [{**ENDPOINT, "weight": 1_000_001}],
    [{**ENDPOINT, "weight": 1.0}],
    [{**ENDPOINT, "weight": 1.5}],
    [{**ENDPOINT, "weight": "1"}],
    [{**ENDPOINT, "weight": True}],
    [{**ENDPOINT, "weight": 0}],
    [{**ENDPOINT, "weight": 0}, {**ENDPOINT, "name": "b", "weight": 0}],
    [{**ENDPOINT, "wieght": 1}],
    [{**ENDPOINT, "secondary": True}],
    [{**ENDPOINT, "secondary": "true"}],
    [{**ENDPOINT, "secondary": True}, {**ENDPOINT, "name": "b", "weight": 0}],
    [ENDPOINT, ENDPOINT],
    [{**ENDPOINT, "name": f"e{number}"} for number in range(33)],
]

SESSIONS = {"sessionPersistence": {"header": "Mcp-Session-Id"}}

OTHER_API_SPECS: list[tuple[str, Any, bool]] = [
    ("bare", api_spec(), True),
    ("absent spec", ABSENT, False),
    ("null spec", None, False),
    ("empty spec", {}, False),
    ("list for a spec", [], False),
    ("string for a spec", "x", False),
    ("no context-path", api_spec(contextPath=GONE), False),
    ("neither target nor endpoints", api_spec(target=GONE), False),
    ("both target and endpoints", api_spec(endpoints=[ENDPOINT]), False),
    ("null target beside endpoints", api_spec(target=None, endpoints=[ENDPOINT]), True),
    ("null endpoints beside target", api_spec(endpoints=None), True),
    ("empty endpoints beside target", api_spec(endpoints=[]), False),
    ("sessions of a relayed API", api_spec(loadBalancing=SESSIONS, stream={"mode": "Relay"}), True),
    ("sessions of a shared stream", api_spec(loadBalancing=SESSIONS, stream={"mode": "Shared"}), False),
    ("unknown field", api_spec(timeout="70s"), False),
    ("unknown field that is null", api_spec(timeout=None), False),
    ("snake case", api_spec(context_path="/a"), False),
    ("other case", api_spec(ContextPath="/a"), False),
    ("unknown timeout", api_spec(timeouts={"idel": "70s"}), False),
    ("empty timeouts", api_spec(timeouts={}), True),
    ("null timeouts", api_spec(timeouts=None), True),
    ("list of timeouts", api_spec(timeouts=[]), False),
    ("all timeouts", api_spec(timeouts=dict.fromkeys(("connect", "response", "idle", "stream", "write"), "1s")), True),
    ("null timeout", api_spec(timeouts={"idle": None}), True),
    ("version", api_spec(version="1.0.2-rc.1+b5"), True),
    ("version of 63", api_spec(version="v" * 63), True),
    ("version of 64", api_spec(version="v" * 64), False),
    ("empty version", api_spec(version=""), False),
    ("version with a blank", api_spec(version="1 0"), False),
    ("version with a newline", api_spec(version="1.0\n"), False),
    ("version that is a number", api_spec(version=1.0), False),
    ("version that is no text", api_spec(version="-1"), False),
    ("unicode version", api_spec(version="é"), False),
    ("null version", api_spec(version=None), True),
    ("empty gatewayRef", api_spec(gatewayRef={}), True),
    ("gatewayRef by name", api_spec(gatewayRef={"name": "a.b-c"}), True),
    ("gatewayRef by both", api_spec(gatewayRef={"name": "a", "namespace": "b"}), True),
    ("gatewayRef of 253", api_spec(gatewayRef={"name": "a" * 253}), True),
    ("gatewayRef of 254", api_spec(gatewayRef={"name": "a" * 254}), False),
    ("gatewayRef as a string", api_spec(gatewayRef="a"), False),
    ("gatewayRef with a kind", api_spec(gatewayRef={"kind": "SseGateway", "name": "a"}), False),
    ("gatewayRef in capitals", api_spec(gatewayRef={"name": "A"}), False),
    ("gatewayRef empty name", api_spec(gatewayRef={"name": ""}), False),
    ("gatewayRef name with a newline", api_spec(gatewayRef={"name": "a\n"}), False),
    ("gatewayRef dotted namespace", api_spec(gatewayRef={"namespace": "a.b"}), False),
    ("gatewayRef namespace of 64", api_spec(gatewayRef={"namespace": "a" * 64}), False),
    ("gatewayRef null name", api_spec(gatewayRef={"name": None}), True),
    ("keepAlive off", api_spec(upstream={"keepAlive": False}), True),
    ("empty upstream", api_spec(upstream={}), True),
    ("keepAlive as a string", api_spec(upstream={"keepAlive": "no"}), False),
    ("keepAlive as a number", api_spec(upstream={"keepAlive": 0}), False),
    ("keepAliveTimeout", api_spec(upstream={"keepAliveTimeout": "30s"}), True),
    ("keepAliveTimeout without unit", api_spec(upstream={"keepAliveTimeout": "30"}), False),
    ("maxConnections", api_spec(upstream={"maxConnections": 1}), True),
    ("most maxConnections", api_spec(upstream={"maxConnections": 1_000_000}), True),
    ("no connections", api_spec(upstream={"maxConnections": 0}), False),
    ("too many maxConnections", api_spec(upstream={"maxConnections": 1_000_001}), False),
    ("maxConnections as a string", api_spec(upstream={"maxConnections": "20"}), False),
    ("Host of the target", api_spec(upstream={"hostHeader": "Target"}), True),
    ("Host of the client", api_spec(upstream={"hostHeader": "Client"}), True),
    ("Host of its own", api_spec(upstream={"hostHeader": "example.com"}), False),
    ("null hostHeader", api_spec(upstream={"hostHeader": None}), True),
    ("followRedirects", api_spec(upstream={"followRedirects": True}), True),
    ("followRedirects as a number", api_spec(upstream={"followRedirects": 5}), False),
    ("compression", api_spec(upstream={"compression": True}), True),
    ("compression by name", api_spec(upstream={"compression": "gzip"}), False),
    ("null credentials", api_spec(upstream={"credentials": None}), True),
    ("suspended", api_spec(suspend=True), True),
    ("not suspended", api_spec(suspend=False), True),
    ("suspend null", api_spec(suspend=None), True),
    ("suspend as a string", api_spec(suspend="true"), False),
    ("suspend as a number", api_spec(suspend=1), False),
]


def named(*names: str) -> list[dict[str, str]]:
    """Header fields of these names."""
    return [{"name": name, "value": "x"} for name in names]


HEADERS_GOOD: list[Any] = [
    None,
    {},
    {"set": [], "add": [], "remove": []},
    {"set": named("X-A"), "add": named("X-A"), "remove": ["x-a"]},
    {"set": named("Authorization", "Cookie", "!#$%&'*+-.^_`|~", "x" * 256)},
    {"set": named(*(f"x-{number}" for number in range(16)))},
    {"set": [{"name": "a", "value": "!"}]},
    {"set": [{"name": "a", "value": "a \t~"}]},
    {"set": [{"name": "a", "value": "x" * 4096}]},
    {"remove": ["Cookie", "x-connection", "connections"]},
]

HEADERS_BAD: list[Any] = [
    [],
    "X-A: b",
    {"set": {}},
    {"set": ["a"]},
    {"set": [{"name": "a"}]},
    {"set": [{"value": "a"}]},
    {"set": named("")},
    {"set": named("a b")},
    {"set": named("a:")},
    {"set": named("a\n")},
    {"set": named("é")},
    {"set": named(":path")},
    {"set": named("x" * 257)},
    {"set": named("a", "a")},
    {"set": named("a", "b", "A")},
    {"set": named(*(f"x-{number}" for number in range(17)))},
    {"set": [{"name": "a", "value": ""}]},
    {"set": [{"name": "a", "value": "a\r\nb: c"}]},
    {"set": [{"name": "a", "value": "a\n"}]},
    {"set": [{"name": "a", "value": "a\x00"}]},
    {"set": [{"name": "a", "value": " a"}]},
    {"set": [{"name": "a", "value": "a "}]},
    {"set": [{"name": "a", "value": "é"}]},
    {"set": [{"name": "a", "value": 1}]},
    {"set": [{"name": "a", "value": "x" * 4097}]},
    {"remove": ["a", "A"]},
    {"remove": ["a", "a"]},
    {"remove": [f"x-{number}" for number in range(17)]},
    {"replace": []},
    *({"add": named(name)} for name in ("Connection", "keep-alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade")),
    *({"remove": [name]} for name in ("Content-Length", "Proxy-Connection", "Proxy-Authorization", "Expect")),
]

ORIGIN = "https://app.example"

CORS_GOOD: list[Any] = [
    None,
    *(
        {"allowOrigins": [origin]}
        for origin in (
            "*",
            ORIGIN,
            "http://localhost:3000",
            "https://*.example.com",
            "https://*.example.com:8443",
            "capacitor://localhost",
            "http://127.0.0.1:8080",
            "http://[::1]:3000",
            "https://a_b.example:80",
        )
    ),
    {"allowOrigins": ["*", ORIGIN], "allowMethods": ["*"], "allowHeaders": ["*"], "exposeHeaders": ["*"]},
    {"allowOrigins": [ORIGIN], "allowMethods": [], "allowHeaders": [], "exposeHeaders": []},
    {"allowOrigins": [ORIGIN], "allowCredentials": True, "allowMethods": ["DELETE"], "allowHeaders": ["X-A"]},
    {"allowOrigins": ["https://*.example"], "allowCredentials": True},
    {"allowOrigins": ["*"], "allowCredentials": False},
    {"allowOrigins": [ORIGIN], "maxAge": "0s", "preflight": "Target", "allowPrivateNetwork": True},
]

CORS_BAD: list[Any] = [
    {},
    [],
    {"allowOrigins": []},
    {"allowOrigins": ORIGIN},
    *(
        {"allowOrigins": [origin]}
        for origin in (
            "",
            "null",
            "app.example",
            "https://app.example/",
            "https://app.example/a",
            "https://App.example",
            "https://app.example:443",
            "http://app.example:80",
            "https://app.example:",
            "https://*",
            "https://*.*.example",
            "https://a.*.example",
            "https://*example",
            "https://u@app.example",
            "https://app.example\n",
            "*.example",
            "**",
        )
    ),
    {"allowOrigins": [ORIGIN, ORIGIN]},
    {"allowOrigins": ["*"], "allowCredentials": True},
    {"allowOrigins": [ORIGIN], "allowCredentials": True, "allowMethods": ["*"]},
    {"allowOrigins": [ORIGIN], "allowCredentials": True, "allowHeaders": ["X-A", "*"]},
    {"allowOrigins": [ORIGIN], "allowCredentials": True, "exposeHeaders": ["*"]},
    {"allowOrigins": [ORIGIN], "allowMethods": ["get"]},
    {"allowOrigins": [ORIGIN], "allowMethods": ["TRACE"]},
    {"allowOrigins": [ORIGIN], "allowMethods": ["GET", "GET"]},
    {"allowOrigins": [ORIGIN], "allowHeaders": ["a b"]},
    {"allowOrigins": [ORIGIN], "maxAge": 60},
    {"allowOrigins": [ORIGIN], "preflight": "gateway"},
    {"allowOrigins": [ORIGIN], "allowOrigin": "*"},
]

SIZES = ("requestBodySize", "eventSize")

LIMITS_GOOD: list[Any] = [
    None,
    {},
    {"streams": 0, "streamsPerClientAddress": 1_000_000, "requestBodySize": "10Mi"},
    {"streamsPerConsumer": 3},
    {"requestRate": {"requests": 0}},
    {"requestRate": {"requests": 5, "per": "1m", "burst": 1}},
    {"requestRate": {"requests": 5, "per": "1h"}, "requestRatePerClientAddress": {"requests": 1, "per": "1ms"}},
    *({field: size} for field in SIZES for size in ("0", "1", "65536", "64Ki", "9999999Gi")),
]

LIMITS_BAD: list[Any] = [
    [],
    {"streams": -1},
    {"streams": 1_000_001},
    {"streams": "5"},
    {"streams": True},
    {"stream": 5},
    {"requestRate": 5},
    {"requestRate": {}},
    {"requestRate": {"requests": -1}},
    {"requestRate": {"requests": 5, "per": "0s"}},
    {"requestRate": {"requests": 5, "per": "1h1ms"}},
    {"requestRate": {"requests": 5, "per": 60}},
    {"requestRate": {"requests": 5, "burst": 0}},
    *(
        {field: size}
        for field in SIZES
        for size in ("", "1k", "1KB", "01", "-1", "1.5Mi", "1Mi\n", " 1", "10000000", 1, 1.5)
    ),
]

STREAMS_GOOD: list[Any] = [
    None,
    {},
    *({"heartbeat": value} for value in ("0s", "0m0s", "1s", "15s", "1h", "60m")),
    {"closeOnRemoval": False, "closeOnChange": True},
    *({"onDrain": value} for value in ("Close", "Reconnect", "Finish")),
]

ONE_APIS_STREAM_GOOD: list[Any] = [
    *({"onUpstreamFailure": value} for value in ("Abort", "Event")),
    *({"heartbeatBeforeResponse": value} for value in ("1s", "10s", "1h")),
    {"onClientDisconnect": {"policy": "Cancel"}},
    {"onClientDisconnect": {"policy": "Finish"}},
    *({"onClientDisconnect": {"policy": "Finish", "maxDuration": value}} for value in ("1s", "5m", "24h")),
]

ONE_APIS_STREAM_BAD: list[Any] = [
    {"onUpstreamFailure": "Close"},
    {"onUpstreamFailure": True},
    *({"heartbeatBeforeResponse": value} for value in ("0s", "999ms", "61m", True)),
    {"mode": "Shared", "heartbeatBeforeResponse": "10s"},
    {"onClientDisconnect": "Finish"},
    {"onClientDisconnect": {}},
    {"onClientDisconnect": {"policy": "Finish", "for": "5m"}},
    {"onClientDisconnect": {"policy": "Cancel", "maxDuration": "5m"}},
    *({"onClientDisconnect": {"policy": "Finish", "maxDuration": value}} for value in ("0s", "999ms", "25h", 300)),
]

SHARED_GOOD: list[Any] = [
    {"mode": "Relay"},
    {"mode": "Shared", "heartbeat": "15s"},
    {"mode": "Shared", "shared": {"gracePeriod": "0s", "maxAge": "0s", "reconnectFor": "0s"}},
    {"mode": "Shared", "shared": {"ignoredHeaders": ["X-Request-ID", "baggage"]}},
    {"mode": "Shared", "slowConsumer": {"policy": "DropOldest", "buffer": "64Ki"}},
    {"mode": "Shared", "replay": {}},
    {"mode": "Shared", "replay": {"events": 1, "maxAge": "0s", "bytes": "1"}},
    {"mode": "Shared", "replay": {"queryParameter": "lastEventId", "onMiss": "Resync", "ids": "Generate"}},
]

SHARED_BAD: list[Any] = [
    {"mode": "Share"},
    {"shared": {}},
    {"mode": "Relay", "slowConsumer": {}},
    {"mode": "Shared", "heartbeat": "1ms"},
    {"mode": "Shared", "shared": {"gracePeriod": 5}},
    *(
        {"mode": "Shared", "shared": {"ignoredHeaders": [name]}}
        for name in ("authorization", "Cookie", "ORIGIN", "a b")
    ),
    *({"mode": "Shared", "slowConsumer": value} for value in ({"policy": "Drop"}, {"buffer": "0"}, {"buffer": "x"})),
    {"replay": {}},
    {"mode": "Relay", "replay": {"events": 10}},
    *(
        {"mode": "Shared", "replay": value}
        for value in (
            {"events": 0},
            {"events": 100_001},
            {"events": "10"},
            {"maxAge": 60},
            {"bytes": "0"},
            {"bytes": 1024},
            {"queryParameter": ""},
            {"queryParameter": "a b"},
            {"onMiss": "live"},
            {"ids": "Number"},
        )
    ),
]

STREAMS_BAD: list[Any] = [
    [],
    "15s",
    {"heartbeats": "15s"},
    {"closeOnRemoval": "false"},
    {"closeOnChange": 1},
    {"onDrain": "Break"},
    *({"heartbeat": value} for value in ("", "15", "999ms", "1ms", "1h1ms", "2h", "-1s", 15)),
]

GATEWAYS_OWN = ["Host", "hOST", "Via", "Accept-Encoding", "X-Forwarded-For", "x-forwarded-proto", "X-Forwarded-Port"]
"""Request fields that the gateway sets itself."""

EXISTS = {"key": "a", "operator": "Exists"}


def selecting(**selector: Any) -> dict[str, Any]:
    """A gateway spec that allows namespaces by this selector."""
    return {"allowedNamespaces": {"from": "Selector", "selector": selector}}


TLS = {"certificateRefs": [{"name": "shop"}]}

GATEWAY_SPECS: list[tuple[str, Any, bool]] = [
    ("absent spec", ABSENT, True),
    ("null spec", None, True),
    ("empty spec", {}, True),
    ("list for a spec", [], False),
    ("string for a spec", "x", False),
    ("unknown field", {"replica": 1}, False),
    *((label, {"autoscaling": value}, good) for label, value, good in AUTOSCALING),
    ("autoscaling and replicas", {"replicas": 2, "autoscaling": {"maxReplicas": 3}}, False),
    *((f"resources {value!r}", {"resources": value}, True) for value in RESOURCES_GOOD),
    *((f"resources {value!r}", {"resources": value}, False) for value in RESOURCES_BAD),
    *((f"podTemplate {value!r}", {"podTemplate": value}, True) for value in POD_TEMPLATES_GOOD),
    *((f"podTemplate {value!r}", {"podTemplate": value}, False) for value in POD_TEMPLATES_BAD),
    ("no replicas", {"replicas": 0}, True),
    ("1000 replicas", {"replicas": 1000}, True),
    ("1001 replicas", {"replicas": 1001}, False),
    ("negative replicas", {"replicas": -1}, False),
    ("fractional replicas", {"replicas": 1.5}, False),
    ("replicas as a string", {"replicas": "1"}, False),
    ("replicas true", {"replicas": True}, False),
    ("huge replicas", {"replicas": 2**63}, False),
    ("nested allowed", {"allowNestedContextPaths": True}, True),
    ("nested as a string", {"allowNestedContextPaths": "yes"}, False),
    ("defaults", {"defaults": {"timeouts": {"idle": "70s", "stream": "0s"}}}, True),
    ("empty defaults", {"defaults": {}}, True),
    ("bad default", {"defaults": {"timeouts": {"idle": "70"}}}, False),
    ("unknown default", {"defaults": {"timeout": {}}}, False),
    ("gateway limits", {"limits": {"streams": 5, "streamsPerClientAddress": 0}}, True),
    ("head limits", {"limits": {"requestTargetSize": 1024, "requestHeaders": 16, "requestHeadSize": 1048576}}, True),
    ("head too small", {"limits": {"requestHeadSize": 1023}}, False),
    ("too few headers", {"limits": {"requestHeaders": 15}}, False),
    ("an API's limit for a gateway", {"limits": {"requestRate": {"requests": 1}}}, False),
    *(
        (f"trusted {network!r}", {"trustedProxies": [network]}, good)
        for network, good in (
            ("10.0.0.0/8", True),
            ("10.1.2.3/8", True),
            ("192.0.2.7/32", True),
            ("0.0.0.0/0", True),
            ("2001:db8::/32", True),
            ("::1/128", True),
            ("", False),
            ("10.0.0.0", False),
            ("10.0.0.0/33", False),
            ("10.0.0.0/08", False),
            ("10.0.0.0/255.0.0.0", False),
            ("10.0.0/8", False),
            ("010.0.0.0/8", False),
            ("2001:db8::/129", False),
            ("::ffff:10.0.0.0/104", False),
            ("fe80::1%eth0/64", False),
            ("10.0.0.0/8\n", False),
            ("example.com/8", False),
            (8, False),
        )
    ),
    ("a network twice", {"trustedProxies": ["10.0.0.0/8", "10.0.0.0/8"]}, False),
    ("64 networks", {"trustedProxies": [f"10.0.0.{number}/32" for number in range(64)]}, True),
    ("65 networks", {"trustedProxies": [f"10.0.0.{number}/32" for number in range(65)]}, False),
    ("PROXY protocol", {"proxyProtocol": True}, True),
    ("PROXY protocol as a version", {"proxyProtocol": 2}, False),
    ("TLS", {"tls": {"certificateRefs": [{"name": "shop"}, {"name": "shop-2"}]}}, True),
    ("TLS without a certificate", {"tls": {"certificateRefs": []}}, False),
    ("TLS without a list", {"tls": {}}, False),
    ("17 certificates", {"tls": {"certificateRefs": [{"name": f"c{number}"} for number in range(17)]}}, False),
    ("a certificate of another namespace", {"tls": {"certificateRefs": [{"name": "a", "namespace": "b"}]}}, False),
    ("a Secret's name that is none", {"tls": {"certificateRefs": [{"name": "Shop"}]}}, False),
    ("TLS behind the PROXY protocol", {"tls": TLS, "proxyProtocol": True}, False),
    ("TLS without the PROXY protocol", {"tls": TLS, "proxyProtocol": False}, True),
    ("TLS on a port that is taken", {"tls": TLS, "service": {"port": 443}}, False),
    ("TLS beside another port", {"tls": TLS, "service": {"port": 8080}}, True),
    ("drain", {"drain": {"period": "30s"}}, True),
    ("bad drain", {"drain": {"period": "-1s"}}, False),
    ("empty allowedNamespaces", {"allowedNamespaces": {}}, True),
    ("same", {"allowedNamespaces": {"from": "Same"}}, True),
    ("all", {"allowedNamespaces": {"from": "All"}}, True),
    ("unknown from", {"allowedNamespaces": {"from": "None"}}, False),
    ("from in another case", {"allowedNamespaces": {"from": "all"}}, False),
    ("from_", {"allowedNamespaces": {"from_": "All"}}, False),
    ("selector without one", {"allowedNamespaces": {"from": "Selector"}}, False),
    ("selector that is null", {"allowedNamespaces": {"from": "Selector", "selector": None}}, False),
    ("selector with All", {"allowedNamespaces": {"from": "All", "selector": {}}}, False),
    ("selector with the default", {"allowedNamespaces": {"selector": {}}}, False),
    ("empty selector", selecting(), True),
    ("labels", selecting(matchLabels={"a": "b", "x.y/z": ""}), True),
    ("label that is a number", selecting(matchLabels={"a": 1}), False),
    ("label that is too long", selecting(matchLabels={"a": "b" * 64}), False),
    ("64 labels", selecting(matchLabels={f"l{number}": "x" for number in range(64)}), True),
    ("65 labels", selecting(matchLabels={f"l{number}": "x" for number in range(65)}), False),
    ("labels as a list", selecting(matchLabels=["a"]), False),
    ("exists", selecting(matchExpressions=[EXISTS]), True),
    ("exists, empty values", selecting(matchExpressions=[{**EXISTS, "values": []}]), True),
    ("exists with values", selecting(matchExpressions=[{**EXISTS, "values": ["b"]}]), False),
    ("in", selecting(matchExpressions=[{**EXISTS, "operator": "In", "values": ["b"]}]), True),
    ("not in", selecting(matchExpressions=[{**EXISTS, "operator": "NotIn", "values": ["b", "b"]}]), True),
    ("in without values", selecting(matchExpressions=[{**EXISTS, "operator": "In"}]), False),
    ("in with empty values", selecting(matchExpressions=[{**EXISTS, "operator": "In", "values": []}]), False),
    ("unknown operator", selecting(matchExpressions=[{**EXISTS, "operator": "Gt"}]), False),
    ("no key", selecting(matchExpressions=[{"operator": "Exists"}]), False),
    ("empty key", selecting(matchExpressions=[{"key": "", "operator": "Exists"}]), False),
]


def cases() -> Iterator[Case]:
    """Every case, each with a label of its own."""
    for field, good, bad in (
        ("contextPath", CONTEXT_PATHS_GOOD, CONTEXT_PATHS_BAD),
        ("target", TARGETS_GOOD, TARGETS_BAD),
        ("hostnames", HOSTNAMES_GOOD, HOSTNAMES_BAD),
    ):
        for value in (*good, *bad):
            is_good = any(value is each for each in good)
            yield Case(f"{field}={value!r:.60}", "SseApi", api_spec(**{field: value}), is_good)
    for value in (*DURATIONS_GOOD, *DURATIONS_BAD):
        spec = api_spec(timeouts={"idle": value})
        yield Case(f"idle={value!r:.60}", "SseApi", spec, any(value is each for each in DURATIONS_GOOD))
    for value in (*ENDPOINTS_GOOD, *ENDPOINTS_BAD):
        spec = api_spec(target=GONE, endpoints=value)
        yield Case(f"endpoints={value!r:.60}", "SseApi", spec, any(value is each for each in ENDPOINTS_GOOD))
    for value in (*LIMITS_GOOD, *LIMITS_BAD):
        is_good = any(value is each for each in LIMITS_GOOD)
        yield Case(f"limits={value!r:.90}", "SseApi", api_spec(limits=value), is_good)
        yield Case(f"gateway: defaults.limits={value!r:.90}", "SseGateway", {"defaults": {"limits": value}}, is_good)
    for value in (*STREAMS_GOOD, *STREAMS_BAD):
        is_good = any(value is each for each in STREAMS_GOOD)
        yield Case(f"stream={value!r:.90}", "SseApi", api_spec(stream=value), is_good)
        yield Case(f"gateway: defaults.stream={value!r:.90}", "SseGateway", {"defaults": {"stream": value}}, is_good)
    for value in (*ONE_APIS_STREAM_GOOD, *ONE_APIS_STREAM_BAD, *SHARED_GOOD, *SHARED_BAD):
        is_good = any(value is each for each in (*ONE_APIS_STREAM_GOOD, *SHARED_GOOD))
        yield Case(f"stream={value!r:.90}", "SseApi", api_spec(stream=value), is_good)
    for value in (*CORS_GOOD, *CORS_BAD):
        is_good = any(value is each for each in CORS_GOOD)
        yield Case(f"cors={value!r:.90}", "SseApi", api_spec(cors=value), is_good)
    for part in ("request", "response"):
        for value in (*HEADERS_GOOD, *HEADERS_BAD):
            is_good = any(value is each for each in HEADERS_GOOD)
            yield Case(f"{part}.headers={value!r:.60}", "SseApi", api_spec(**{part: {"headers": value}}), is_good)
        for name in GATEWAYS_OWN:
            for change in ({"set": named(name)}, {"remove": [name]}):
                spec = api_spec(**{part: {"headers": change}})
                yield Case(f"{part}.headers={change!r}", "SseApi", spec, part == "response")
    for value in (*CREDENTIALS_GOOD, *CREDENTIALS_BAD):
        is_good = any(value is each for each in CREDENTIALS_GOOD)
        yield Case(f"credentials={value!r:.80}", "SseApi", api_spec(upstream={"credentials": value}), is_good)
    for value in (*PLANS_GOOD, *PLANS_BAD):
        is_good = any(value is each for each in PLANS_GOOD)
        yield Case(f"plan={value!r:.110}", "SseApi", api_spec(plan=value), is_good)
    for field, good, bad in (
        ("tls", access_corpus.TLS_GOOD, access_corpus.TLS_BAD),
        ("proxy", access_corpus.PROXIES_GOOD, access_corpus.PROXIES_BAD),
    ):
        for number, value in enumerate((*good, *bad)):
            spec = api_spec(upstream={field: value})
            yield Case(f"upstream.{field} {number}={value!r:.60}", "SseApi", spec, number < len(good))
    for field, good, bad in (
        ("loadBalancing", endpoints_corpus.BALANCINGS_GOOD, endpoints_corpus.BALANCINGS_BAD),
        ("healthCheck", endpoints_corpus.CHECKS_GOOD, endpoints_corpus.CHECKS_BAD),
        ("failover", endpoints_corpus.FAILOVERS_GOOD, endpoints_corpus.FAILOVERS_BAD),
    ):
        for number, value in enumerate((*good, *bad)):
            yield Case(f"{field} {number}={value!r:.60}", "SseApi", api_spec(**{field: value}), number < len(good))
    for label, spec, is_good in OTHER_API_SPECS:
        yield Case(label, "SseApi", spec, is_good)
    for label, spec, is_good in GATEWAY_SPECS:
        yield Case(f"gateway: {label}", "SseGateway", spec, is_good)
