"""Router, path and query rules against naive models."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote_plus, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_proxy.errors import BadTargetError, TargetError
from sse_proxy.path import parse_target, rest_of_path
from sse_proxy.router import Router
from sse_proxy.upstream.target import parse


@dataclass(frozen=True)
class Entry:
    name: int
    hostnames: tuple[str, ...]
    context_path: str


def naive(entries: list[Entry], host: str, segments: tuple[str, ...]) -> Entry | None:
    """The rules of the router's head, said as slowly as possible."""

    def specificity(hostname: str | None) -> tuple[int, int] | None:
        if hostname is None:
            return (0, 0)
        if hostname.startswith("*."):
            return (1, len(hostname)) if host.endswith(hostname[1:]) and host != hostname[1:] else None
        return (2, 0) if host == hostname else None

    path = "/" + "/".join(segments)
    best: tuple[tuple[int, int], int, int] | None = None
    chosen = None
    for position, entry in enumerate(entries):
        prefix = entry.context_path.rstrip("/")
        if path != prefix and not path.startswith(prefix + "/"):
            continue
        for hostname in entry.hostnames or (None,):
            matched = specificity(hostname)
            if matched is not None and (best is None or (matched, len(prefix), -position) > best):
                best, chosen = (matched, len(prefix), -position), entry
    return chosen


labels = st.sampled_from(["a", "b", "c"])
hosts = st.lists(labels, min_size=1, max_size=4).map(".".join)
paths = st.lists(labels, max_size=4).map(lambda parts: "/" + "/".join(parts))
hostnames = st.lists(st.one_of(hosts, hosts.map("*.{}".format)), max_size=2).map(tuple)


@given(st.lists(st.tuples(hostnames, paths), max_size=12), hosts, st.lists(labels, max_size=5))
def test_router_agrees_with_the_naive_model(
    given_entries: list[tuple[tuple[str, ...], str]], host: str, asked: list[str]
) -> None:
    entries = [Entry(number, names, path) for number, (names, path) in enumerate(given_entries)]
    segments = tuple(asked) or ("",)
    found = Router(entries).find(host, segments)
    assert (found[0] if found else None) == naive(entries, host, segments)


def test_no_fall_through_to_shorter_paths_or_wider_hosts() -> None:
    exact, wildcard, anyone = (
        Entry(1, ("a.b.c",), "/x"),
        Entry(2, ("*.b.c", "*.c"), "/x/y"),
        Entry(3, (), "/x/y/z"),
    )
    router = Router([anyone, wildcard, exact])
    assert router.find("a.b.c", ("x", "y", "z")) == (exact, 1)
    assert router.find("a.b.c", ("other",)) is None
    assert router.find("z.b.c", ("x", "y", "z")) == (wildcard, 2)
    assert router.find("b.c", ("x", "y", "z")) == (wildcard, 2)
    assert router.find("c", ("x", "y", "z")) == (anyone, 3)
    # A host of its own does not take other APIs off that name.
    assert router.find("a.b.c", ("x",)) == (exact, 1)
    assert Router([exact, Entry(4, (), "/w")]).find("a.b.c", ("w",)) == (Entry(4, (), "/w"), 1)


@given(st.lists(st.text("ab%~.-_é ", min_size=1, max_size=4), min_size=1, max_size=4), st.data())
def test_any_encoding_of_a_path_is_the_same_path(segments: list[str], data: st.DataObject) -> None:
    """However a client encodes a segment, the router sees the same one, and the rest goes on as it came."""
    if any(segment in (".", "..") for segment in segments):
        return
    raw = ""
    for segment in segments:
        raw += "/"
        for byte in segment.encode():
            plain = chr(byte) in "abcdefghijklmnopqrstuvwxyz~.-_"
            raw += chr(byte) if plain and data.draw(st.booleans()) else f"%{byte:02x}"
    target = parse_target(raw + "?q", "h")
    assert [segment.replace("%25", "%") for segment in target.segments] == segments
    assert (target.path, target.query) == (raw, "q")
    for consumed in range(len(segments) + 1):
        assert rest_of_path(raw, consumed).count("/") == len(segments) - consumed
        assert raw.endswith(rest_of_path(raw, consumed))


@given(st.text("/.%2eEfF5cC\\;a?#\x00 é", max_size=12))
def test_what_passes_reads_one_way_only(text: str) -> None:
    """A target that passes has no dot segment, separator or control character in any number of decodings."""
    try:
        target = parse_target("/" + text, "h")
    except BadTargetError:
        return
    once = unquote(target.path.replace("%25", "%2525"))
    assert "//" not in once
    assert "\\" not in once
    assert not {".", ".."} & {segment.split(";")[0] for segment in once.split("/")}
    assert once.count("/") == target.path.count("/")


@pytest.mark.parametrize(
    ("url", "rest", "query", "expected"),
    [
        ("http://h/sse?channel=c&v=1.1", "", None, "/sse?channel=c&v=1.1"),
        ("http://h/sse?channel=c", "/a%20b", "x=1", "/sse/a%20b?channel=c&x=1"),
        ("http://h/sse?channel=c", "", "channel=evil&x&channel&chann%65l=2&y=+", "/sse?channel=c&x&y=+"),
        ("http://h/sse?a+b=1", "", "a%20b=2&a+b=3&ab=4", "/sse?a+b=1&ab=4"),
        ("http://h/sse", "", "", "/sse"),
        ("http://h/sse", "", "x&&y", "/sse?x&&y"),
        ("http://h", "", None, "/"),
        ("http://h", "", "x", "/?x"),
        ("http://h", "/a", None, "/a"),
        ("http://h/", "/a", None, "/a"),
        ("http://h/b/", "/a", None, "/b/a"),
        ("http://h/b/", "", None, "/b/"),
        ("http://h/b", "/", None, "/b/"),
        ("http://h/%7Eb%2F?q=%2B", "/%7e", "%71=1", "/%7Eb%2F/%7e?q=%2B"),
    ],
)
def test_request_target(url: str, rest: str, query: str | None, expected: str) -> None:
    assert parse(url).request_target(rest, query) == expected.encode()


@given(st.lists(st.tuples(st.text("ab%+=é", max_size=3), st.text("xy%&", max_size=2)), max_size=6))
def test_fixed_parameters_cannot_be_replaced(pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)
    asked = parse("http://h/sse?a=1&b=2").request_target("", query).decode()
    parameters = parse_qsl(asked.partition("?")[2], keep_blank_values=True)
    assert [value for name, value in parameters if name == "a"] == ["1"]
    assert [value for name, value in parameters if name == "b"] == ["2"]
    others = [(name, value) for name, value in pairs if name not in ("a", "b")]
    assert [pair for pair in parameters if pair[0] not in ("a", "b")] == others


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("http://h", "h", 80, b"h"),
        ("https://h:443/", "h", 443, b"h"),
        ("https://h:8443", "h", 8443, b"h:8443"),
        ("http://[::1]:81/", "::1", 81, b"[::1]:81"),
    ],
)
def test_parse(url: str, host: str, port: int, authority: bytes) -> None:
    target = parse(url)
    assert (target.host, target.port, target.authority) == (host, port, authority)


@pytest.mark.parametrize("url", ["", "h", "ftp://h", "http://", "http://u:p@h", "http://h:99999", "http://é"])
def test_unusable_urls(url: str) -> None:
    with pytest.raises(TargetError):
        parse(url)
