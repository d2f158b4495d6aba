"""YAML to plain values, with the line of every field.

The rules, and why they are so:

- Values come out as the API server would get them from kubectl: strings, numbers, booleans, null, lists, mappings
  with string keys. YAML's dates and base-60 numbers stay strings (`12:30` is no number to Kubernetes).
- A key twice in one mapping is a fault: YAML forbids it, and parsers differ in which one they take.
- The parser's events are put together here, on a stack of its own, so that neither deep nesting nor aliases of
  aliases ("billion laughs") cost more than their bounds.
- All faults of a file are told, not the first only; after a syntax error nothing more can be read of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml
from yaml.reader import Reader

MAX_BYTES = 32 * 1024 * 1024
"""Of one file."""
MAX_VALUES = 1_000_000
"""Of one document, each alias counted as what it stands for."""
MAX_DEPTH = 64
"""Of nested lists and mappings."""

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """The line of a value (of its key, in a mapping), and those of what is in it."""

    line: int
    children: Mapping[str | int, Lines] = field(default_factory=dict)

    def at(self, path: Path) -> int:
        """The line of the field at `path`, or of the nearest thing around it that is there."""
        here = self
        for step in path:
            inner = here.children.get(step)
            if inner is None:
                break
            here = inner
        return here.line

    def below(self, path: Path) -> Lines:
        """The lines of the value at `path`, which is there."""
        here = self
        for step in path:
            here = here.children[step]
        return here


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One document of a file."""

    value: object
    lines: Lines


@dataclass(frozen=True, slots=True)
class YamlFault:
    """Something wrong with the file as YAML; `line` counts from 1 and is None where it is about the whole file."""

    line: int | None
    message: str


@dataclass(frozen=True, slots=True)
class YamlFile:
    """What could be read of a file."""

    documents: tuple[YamlDocument, ...]
    faults: tuple[YamlFault, ...]


def read_yaml(content: bytes) -> YamlFile:
    """Every non-empty document of a YAML or JSON file, and every fault of the file as such. Never raises."""
    try:
        text = _text_of(content)
    except _UnreadableError as broken:
        return YamlFile((), (broken.fault,))
    reader = _DocumentReader(text)
    documents: list[YamlDocument] = []
    try:
        for document in reader.documents():
            documents.append(document)  # noqa: PERF402 - what came before a fault is kept
    except _UnreadableError as broken:
        reader.faults.append(broken.fault)
    except yaml.MarkedYAMLError as error:
        reader.faults.append(_syntax_fault(error, text))
    return YamlFile(tuple(documents), tuple(reader.faults))


class _UnreadableError(Exception):
    """The file cannot be read any further."""

    def __init__(self, line: int | None, message: str) -> None:
        super().__init__(message)
        self.fault = YamlFault(line, message)


def _text_of(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise _UnreadableError(None, f"is larger than {MAX_BYTES // 1024 // 1024} MiB: split it")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _UnreadableError(None, "is UTF-16: save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _UnreadableError(line, f"is not UTF-8 (byte 0x{content[error.start]:02x}): save it as UTF-8") from None
    if found := Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise _UnreadableError(
            line, f"has a control character (U+{ord(found[0]):04X}), which YAML does not allow: remove it"
        )
    return text


def _syntax_fault(error: yaml.MarkedYAMLError, text: str) -> YamlFault:
    problem = error.problem or "cannot be parsed"
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return YamlFault(None, f"is not YAML: {problem}")
    lines = text.splitlines()
    number = max(1, min(mark.line + 1, len(lines)))
    line = lines[number - 1] if lines else ""
    if "nesting depth" in problem:  # PyYAML since 6.0.4 has a limit of its own, which very deep flow lists meet first
        return YamlFault(number, f"is nested more than {MAX_DEPTH} deep")
    if re.match(r"[ ]*\t", line) and "cannot start any token" in problem:
        return YamlFault(number, "is not YAML: indented with a tab; use spaces")
    began = error.context_mark
    context = (
        f" ({error.context}, from line {began.line + 1} on)"
        if error.context and began and began.line + 1 < number
        else ""
    )
    return YamlFault(number, f"is not YAML: {problem}{context}")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader without the scalar types that Kubernetes does not have."""


_DROPPED_TAGS = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _DROPPED_TAGS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

_STR = "tag:yaml.org,2002:str"
_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"
_NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
_SCALARS = {_STR, _NULL, "tag:yaml.org,2002:bool", *_NUMBERS}
_COLLECTIONS = {None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}


@dataclass(slots=True)
class _Built:
    """A value that is complete."""

    value: object
    lines: Lines
    size: int = 1


@dataclass(slots=True)
class _OpenList:
    """A list whose end has not come."""

    line: int
    anchor: str | None
    items: list[object] = field(default_factory=list)
    children: dict[str | int, Lines] = field(default_factory=dict)
    size: int = 1

    def add(self, built: _Built) -> None:
        self.children[len(self.items)] = built.lines
        self.items.append(built.value)

    def built(self) -> _Built:
        return _Built(self.items, Lines(self.line, self.children), self.size)


@dataclass(slots=True)
class _Key:
    line: int
    name: str | None = None
    """None where the key itself is faulty: its value is read and dropped."""
    merge: bool = False


@dataclass(slots=True)
class _OpenMapping:
    """A mapping whose end has not come: keys and values take turns."""

    line: int
    anchor: str | None
    items: dict[str, object] = field(default_factory=dict)
    children: dict[str | int, Lines] = field(default_factory=dict)
    size: int = 1
    key: _Key | None = None
    merged: list[_Built] = field(default_factory=list)

    def add(self, built: _Built) -> None:
        key, self.key = self.key, None
        if key is None:
            return
        if key.merge:
            self.merged.append(_Built(built.value, Lines(key.line, built.lines.children)))
        elif key.name is not None:
            self.items[key.name] = built.value
            self.children[key.name] = Lines(key.line, built.lines.children)

    def built(self) -> _Built:
        return _Built(self.items, Lines(self.line, self.children), self.size)


class _DocumentReader:
    def __init__(self, text: str) -> None:
        self.faults: list[YamlFault] = []
        self._loader = _Loader(text)
        self._anchors: dict[str, _Built | None] = {}
        self._open: list[_OpenList | _OpenMapping] = []
        self._root: _Built | None = None

    def documents(self) -> Iterator[YamlDocument]:
        while self._loader.check_event():
            event = self._loader.get_event()
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors, self._open, self._root = {}, [], None
            elif isinstance(event, yaml.DocumentEndEvent):
                if self._root is not None and self._root.value is not None:
                    yield YamlDocument(self._root.value, self._root.lines)
            elif isinstance(event, yaml.NodeEvent):
                self._node(event, event.start_mark.line + 1 if event.start_mark else 0)
            elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
                self._end()

    def _node(self, event: yaml.NodeEvent, line: int) -> None:
        parent = self._open[-1] if self._open else None
        if isinstance(parent, _OpenMapping) and parent.key is None:
            parent.key = self._key(parent, event, line)
        elif isinstance(event, yaml.AliasEvent):
            self._add(self._aliased(str(event.anchor), line))
        elif isinstance(event, yaml.ScalarEvent):
            built = _Built(self._scalar(event, line), Lines(line))
            self._remember(event.anchor, built)
            self._add(built)
        else:
            self._begin(event, line)

    def _begin(self, event: yaml.NodeEvent, line: int) -> None:
        tag = getattr(event, "tag", None)
        if tag not in _COLLECTIONS:
            self.faults.append(YamlFault(line, f"has the tag {tag}, which Kubernetes does not know: remove it"))
        if len(self._open) == MAX_DEPTH:
            raise _UnreadableError(line, f"is nested more than {MAX_DEPTH} deep")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        begun = _OpenMapping if isinstance(event, yaml.MappingStartEvent) else _OpenList
        self._open.append(begun(line, event.anchor))

    def _end(self) -> None:
        done = self._open.pop()
        if isinstance(done, _OpenMapping):
            for merged in done.merged:
                self._merge(done, merged)
        built = done.built()
        self._remember(done.anchor, built)
        self._add(built)

    def _merge(self, into: _OpenMapping, merged: _Built) -> None:
        sources = [(merged.value, merged.lines)]
        if isinstance(merged.value, list):
            sources = [(source, merged.lines.children[number]) for number, source in enumerate(merged.value)]
        for source, lines in sources:
            if not isinstance(source, dict):
                self.faults.append(YamlFault(merged.lines.line, "<< merges mappings only"))
                continue
            for name, value in source.items():
                if name not in into.items:
                    into.items[name] = value
                    into.children[name] = lines.children[name]

    def _key(self, parent: _OpenMapping, event: yaml.NodeEvent, line: int) -> _Key:
        if not isinstance(event, yaml.ScalarEvent):
            raise _UnreadableError(line, "has a key that is no plain string")
        tag = self._tag_of(event)
        if tag == _MERGE:
            return _Key(line, merge=True)
        if tag != _STR:
            self.faults.append(YamlFault(line, f"key {event.value} is not a string to YAML: put it in quotes"))
            return _Key(line)
        name = str(event.value)
        if name in parent.children:
            first = parent.children[name].line
            self.faults.append(YamlFault(line, f"key {name} is here twice (first in line {first}): remove one"))
            return _Key(line)
        return _Key(line, name)

    def _add(self, built: _Built) -> None:
        if not self._open:
            self._root = built
            return
        parent = self._open[-1]
        parent.size += built.size
        if parent.size > MAX_VALUES:
            raise _UnreadableError(built.lines.line, f"has more than {MAX_VALUES} values, aliases expanded")
        parent.add(built)

    def _remember(self, anchor: str | None, built: _Built) -> None:
        if anchor is not None:
            self._anchors[anchor] = built

    def _aliased(self, anchor: str, line: int) -> _Built:
        if anchor not in self._anchors:
            raise _UnreadableError(line, f"alias *{anchor} has no anchor &{anchor} before it in this document")
        built = self._anchors[anchor]
        if built is None:
            raise _UnreadableError(line, f"alias *{anchor} lies within its own anchor")
        return built

    def _tag_of(self, event: yaml.ScalarEvent) -> str:
        if event.tag not in {None, "!"}:
            return str(event.tag)
        tag = str(self._loader.resolve(yaml.ScalarNode, event.value, event.implicit))
        return _STR if tag in _NUMBERS and ":" in event.value else tag

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> object:
        tag = self._tag_of(event)
        if tag not in _SCALARS:
            self.faults.append(YamlFault(line, f"has the tag {tag}, which Kubernetes does not know: remove it"))
            return event.value
        if tag == _STR:
            return event.value
        try:
            return self._loader.construct_object(yaml.ScalarNode(tag, event.value))
        except (ValueError, KeyError, yaml.YAMLError):
            self.faults.append(YamlFault(line, f"{event.value} is no {tag.rpartition(':')[2]}"))
            return event.value
