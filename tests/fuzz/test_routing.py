"""Any request target and any Host: refused, or routed and passed on in one reading."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote

from hypothesis import strategies as st

from fuzz.target import fuzz
from sse_proxy.errors import BadTargetError, TargetError
from sse_proxy.path import parse_host, parse_target, rest_of_path
from sse_proxy.router import Router
from sse_proxy.upstream.target import parse

PIECES = (
    "/",
    "//",
    ".",
    "..",
    "%2e",
    "%2F",
    "%5c",
    "%25",
    "%252e",
    "\\",
    ";",
    "?",
    "#",
    "a",
    "b",
    "%61",
    "%",
    "\0",
    "é",
)
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=12).map("".join)
targets = st.one_of(texts.map("/{}".format), texts, texts.map("http://h/{}".format))
hosts = st.one_of(st.sampled_from(("h", "H:80", "x.h.", "[::1]:8080", "", "h:99999", "a@h")), st.text(max_size=6))


class Entry:
    """As much of an entry as the router needs."""

    def __init__(self, context_path: str) -> None:
        self.hostnames: tuple[str, ...] = ()
        self.context_path = context_path


ENTRIES = [Entry(path) for path in ("/a", "/a/b", "/b", "/a/b/a")]
ROUTER = Router(ENTRIES)


@fuzz(targets, st.one_of(st.none(), hosts))
def test_targets_are_refused_or_have_one_reading(text: str, host: str | None) -> None:
    try:
        target = parse_target(text, host)
    except BadTargetError:
        return
    assert re.fullmatch(r"/[\x21-\x7e]*", target.path)
    decoded = unquote(target.path.replace("%25", "%2525"), errors="surrogateescape")
    assert "\\" not in decoded
    assert not {".", ".."} & {segment.partition(";")[0] for segment in decoded.split("/")}
    found = ROUTER.find(target.host, target.segments)
    fitting = [entry for entry in ENTRIES if (decoded + "/").startswith(entry.context_path + "/")]
    longest = max(fitting, key=lambda entry: len(entry.context_path), default=None)
    assert (found and found[0]) == longest
    if found is not None:
        rest = rest_of_path(target.path, found[1])
        assert target.path.endswith(rest)
        assert rest == "" or rest.startswith("/")
        assert unquote(target.path.removesuffix(rest)) == found[0].context_path


@fuzz(hosts)
def test_hosts_are_refused_or_plain(text: str) -> None:
    try:
        host = parse_host(text)
    except BadTargetError:
        return
    assert host == host.lower()
    assert re.fullmatch(r"[!-~]+", host)


@fuzz(texts.map("http://h/x{}".format), texts)
def test_the_targets_own_parameters_stay(url: str, query: str) -> None:
    try:
        target = parse(url)
        asked = parse_target("/c?" + query, "h")
    except (TargetError, BadTargetError):
        return
    line = target.request_target("", asked.query).decode()
    assert line.startswith("/")
    fixed = parse_qsl(target.query, keep_blank_values=True)
    sent = parse_qsl(line.partition("?")[2], keep_blank_values=True)
    assert sent[: len(fixed)] == fixed
    assert not {name for name, _ in fixed} & {name for name, _ in sent[len(fixed) :]}
