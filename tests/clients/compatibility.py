"""docs/compatibility.md, which the client tests write and hold to."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from exactness import request_corpus, response_corpus

DOCUMENT = Path(__file__).parents[2] / "docs/compatibility.md"

_HEAD = """\
# Compatibility

Real clients ask an origin for the same things twice, directly and through the gateway, and must be given the same:
every event with its type, data and id, in order, how the stream ends, and the error where there is one. This page is
written by those tests (`.venv/bin/python -m pytest tests/clients --write-compatibility`), and `make test` fails when it
is not what they found.

What the origin sends is in `tests/clients/origin.py`, what each client does with it in `tests/clients/drivers/`. That
two clients make different things of the same bytes is theirs; that one makes the same of it in both columns is ours.
Clients that reconnect do so by themselves, and resume with `Last-Event-ID`.

## Clients
"""

_CORPUS = """\
## Messages that parsers read differently

Each of these is sent byte by byte as it stands in the corpus, with a recording origin or client on the other side. A
request is refused with a 4xx or 501 or 505, of which the origin gets nothing, or forwarded in one canonical reading. A
response becomes a 502, one canonical response, or one that is visibly cut short.

| corpus | what about | cases |
| --- | --- | --- |
"""

_GROUPS = (
    ("requests", "Content-Length: signs, lists, duplicates, with chunks", request_corpus.LENGTHS),
    ("requests", "Transfer-Encoding: lists, disguises, duplicates, in HTTP/1.0", request_corpus.CODINGS),
    ("requests", "chunks: sizes, extensions, line ends, trailers", request_corpus.CHUNKS),
    ("requests", "header fields: blanks, folded lines, control characters, sizes", request_corpus.FIELDS),
    ("requests", "request lines: blanks, versions, methods", request_corpus.REQUEST_LINES),
    ("requests", "targets: forms, dot segments, encoded separators", request_corpus.TARGETS),
    ("requests", "Host: missing, twice, at odds with the target", request_corpus.HOSTS),
    ("requests", "Connection, Upgrade, Expect and TE", request_corpus.CONNECTIONS),
    ("requests", "what follows a request on the connection", request_corpus.PIPELINES),
    ("responses", "framing, status lines, fields, interim heads, needless bodies", response_corpus.CASES),
)  # fmt: skip


class Compatibility:
    """The page: one section for each client, and the corpora."""

    def __init__(self, *, writing: bool) -> None:
        self._writing = writing
        self._sections: list[str] = []

    def found(self, client: str, version: str, direct: dict[str, list[Any]], through: dict[str, list[Any]]) -> None:
        """What a client was given for each case, by either way. Asserts that the page says so."""
        lines = [
            f"### {client} {version}".rstrip(),
            "",
            "| case | direct | through the gateway |",
            "| --- | --- | --- |",
        ]
        for case, got in direct.items():
            other = "the same" if through[case] == got else summary(through[case])
            lines.append(f"| {case} | {summary(got)} | {other} |")
        self.holds("\n".join(lines) + "\n")

    def holds(self, section: str) -> None:
        """Assert that the page has this section, or write it there."""
        if self._writing:
            self._sections.append(section)
        else:
            assert section in DOCUMENT.read_text(), f"{DOCUMENT} is out of date: --write-compatibility writes it"

    def corpora(self) -> str:
        """The section on the corpora of tests/exactness."""
        rows = (
            f"| [{kind}](../tests/exactness/{kind[:-1]}_corpus.py) | {about} | {len(cases)} |\n"
            for kind, about, cases in _GROUPS
        )
        return _CORPUS + "".join(rows)

    def write(self) -> None:
        """Write the page of what has been found, if that is what was asked for."""
        if self._writing:
            DOCUMENT.write_text("\n".join((_HEAD, *self._sections)))


def summary(got: list[list[Any]]) -> str:
    """In a few words what a client was given."""
    parts = []
    for kind, group in groupby(got, key=itemgetter(0)):
        items = list(group)
        if kind in ("body", "bytes"):
            parts.append(f"{sum(len(item[1]) for item in items)} bytes")
        elif kind == "event":
            parts.append(f"{len(items)} event{'s' * (len(items) != 1)}")
        else:
            parts += [" ".join(str(word) for word in item if word not in (None, "")) for item in items]
    return "; ".join(parts).replace("|", "\\|").replace("\n", " ")
