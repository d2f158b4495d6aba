"""Files and folders to SseApis and SseGateways, each knowing where it was written, and what these refer to; every fault
with its place."""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sse_operator.api import API_VERSION, GROUP, sse_api, sse_gateway
from sse_operator.api.data_objects import DataObject, is_usable, read_data_object
from sse_operator.api.objects import FieldPath, SseApi, SseGateway, dotted
from sse_operator.api.reading import read_sse_api, read_sse_gateway
from sse_operator.api.references import ReferencedKind
from sse_operator.local.yaml_documents import MAX_BYTES, Lines, read_yaml

SUFFIXES = (".yaml", ".yml", ".json")
STDIN = "-"
DEFAULT_NAMESPACE = "default"

_KINDS = (sse_api.KIND, sse_gateway.KIND)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SERVER_OWNED = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields")


@dataclass(frozen=True, slots=True, order=True)
class FileFault:
    """`file:line: kind/name: field: what and how to mend`; parts that do not apply are left out."""

    file: str
    line: int
    """From 1; 0 where the fault is about the file as a whole."""
    subject: str
    """`SseApi/ably`, or empty."""
    field: str
    """`spec.timeouts.idle`, or empty."""
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.subject, self.field, self.message) if part)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One SseApi or SseGateway of a file."""

    file: str
    lines: Lines
    object: SseApi | SseGateway

    @property
    def kind(self) -> str:
        """SseApi or SseGateway."""
        return sse_api.KIND if isinstance(self.object, SseApi) else sse_gateway.KIND

    @property
    def identity(self) -> tuple[str, str]:
        """Kind and namespace/name."""
        return self.kind, self.object.metadata.key

    def fault(self, path: FieldPath, message: str) -> FileFault:
        """A fault of the field at `path`, at its line."""
        subject = f"{self.kind}/{self.object.metadata.name}"
        return FileFault(self.file, self.lines.at(path), subject, dotted(path), message)

    def faults(self) -> list[FileFault]:
        """What the object says of itself that does not hold."""
        return [self.fault(fault.path, fault.message) for fault in self.object.faults]


@dataclass(frozen=True, slots=True)
class DataManifest:
    """One Secret or ConfigMap of a file."""

    file: str
    object: DataObject


@dataclass(slots=True)
class Manifests:
    """What the files say, in their order."""

    objects: list[Manifest] = field(default_factory=list)
    """Each kind and namespace/name once."""
    namespace_labels: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of the Namespaces among the documents."""
    data: dict[tuple[ReferencedKind, str], DataManifest] = field(default_factory=dict)
    """By kind and namespace/name, the Secrets and ConfigMaps among the documents that SseApis may use."""
    faults: list[FileFault] = field(default_factory=list)
    """Of files and documents, and duplicates; those of the objects are the objects' own."""
    incomplete: set[str] = field(default_factory=set)
    """Files in which something could not be made out: what else they define is not known."""

    @property
    def apis(self) -> list[Manifest]:
        """The SseApis."""
        return [manifest for manifest in self.objects if isinstance(manifest.object, SseApi)]

    def all_faults(self) -> list[FileFault]:
        """Those of files, documents and objects, sorted."""
        return sorted([*self.faults, *(fault for manifest in self.objects for fault in manifest.faults())])


def manifest_files(sources: Iterable[str]) -> tuple[list[str], list[FileFault]]:
    """The files that FILE_OR_DIR… stand for, each once, a folder's in the order of their names (hidden files and
    sub-folders left out, as kubectl does), and a fault for each source that is not there."""
    files: dict[str, None] = {}
    faults: list[FileFault] = []
    for source in sources:
        if source == STDIN:
            files[source] = None
            continue
        try:
            found = _files_of(source)
        except OSError as error:
            faults.append(_os_fault(source, error))
            continue
        files.update(dict.fromkeys(found))
    return list(files), faults


def _files_of(source: str) -> list[str]:
    path = Path(source)
    if not path.is_dir():
        path.stat()
        return [source]
    names = sorted(entry.name for entry in path.iterdir() if entry.suffix in SUFFIXES and not entry.is_dir())
    return [os.path.join(source, name) for name in names if not name.startswith(".")]


def _os_fault(file: str, error: OSError) -> FileFault:
    return FileFault(file, 0, "", "", f"cannot be read: {error.strerror or error}")


def read_manifests(sources: Sequence[str]) -> Manifests:
    """Everything of our API group in these files, and all that is wrong with them. Documents of other kinds are
    passed over: people keep their Deployments beside. Never raises."""
    files, faults = manifest_files(sources)
    manifests = Manifests(faults=faults, incomplete={fault.file for fault in faults})
    if not files and not faults:
        kinds = ", ".join(f"*{suffix}" for suffix in SUFFIXES)
        manifests.faults.append(FileFault(" ".join(sources), 0, "", "", f"no {kinds} in it"))
    first: dict[tuple[str, str], Manifest] = {}
    for file in files:
        reading = _FileReading(file)
        try:
            content = _content_of(file)
        except OSError as error:
            manifests.faults.append(_os_fault(file, error))
            manifests.incomplete.add(file)
            continue
        reading.read(content)
        manifests.faults += reading.faults
        manifests.namespace_labels |= reading.namespace_labels
        manifests.data |= reading.data
        if reading.faults:
            manifests.incomplete.add(file)
        for manifest in reading.objects:
            holder = first.setdefault(manifest.identity, manifest)
            if holder is manifest:
                manifests.objects.append(manifest)
            else:
                place = f"{holder.file}:{holder.lines.line}"
                manifests.faults.append(
                    manifest.fault(("metadata", "name"), f"is defined already at {place}, which counts: rename one")
                )
    return manifests


def _content_of(file: str) -> bytes:
    if file == STDIN:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    with Path(file).open("rb") as opened:
        return opened.read(MAX_BYTES + 1)


class _FileReading:
    """Collects what one file defines."""

    def __init__(self, file: str) -> None:
        self.file = "<stdin>" if file == STDIN else file
        self.objects: list[Manifest] = []
        self.namespace_labels: dict[str, dict[str, str]] = {}
        self.data: dict[tuple[ReferencedKind, str], DataManifest] = {}
        self.faults: list[FileFault] = []

    def read(self, content: bytes) -> None:
        parsed = read_yaml(content)
        self.faults += [FileFault(self.file, fault.line or 0, "", "", fault.message) for fault in parsed.faults]
        for document in parsed.documents:
            for value, lines in _unlisted(document.value, document.lines):
                self._document(value, lines)

    def _fault(self, lines: Lines, path: FieldPath, message: str, subject: str = "") -> None:
        self.faults.append(FileFault(self.file, lines.at(path), subject, dotted(path), message))

    def _document(self, value: object, lines: Lines) -> None:
        if not isinstance(value, dict):
            self._fault(lines, (), f"is no Kubernetes manifest but a {_yaml_type(value)}: it needs apiVersion and kind")
            return
        api_version, kind = value.get("apiVersion"), value.get("kind")
        if api_version == API_VERSION and kind in _KINDS:
            self._object(value, str(kind), lines)
        elif api_version == "v1" and kind == "Namespace":
            self._namespace(value)
        elif api_version == "v1" and (kind == "Secret" or kind == "ConfigMap"):
            self._data(value, kind, lines)
        elif kind in _KINDS:
            problem = "is missing" if api_version is None else f"{api_version} is not known"
            self._fault(lines, ("apiVersion",), f"{problem}: write {API_VERSION}", str(kind))
        elif isinstance(api_version, str) and api_version.startswith(f"{GROUP}/"):
            problem = "is missing" if kind is None else f"{kind} is not known"
            self._fault(lines, ("kind",), f"{problem}: write {_meant_kind(str(kind))}")

    def _namespace(self, document: Mapping[str, object]) -> None:
        metadata = document.get("metadata")
        if isinstance(metadata, dict) and isinstance(name := metadata.get("name"), str):
            labels = metadata.get("labels")
            own = labels.items() if isinstance(labels, dict) else ()
            self.namespace_labels[name] = {key: value for key, value in own if isinstance(value, str)}

    def _data(self, document: Mapping[str, object], kind: ReferencedKind, lines: Lines) -> None:
        metadata = document.get("metadata")
        if not is_usable(document) or not isinstance(metadata, dict):
            return
        name, namespace = metadata.get("name"), metadata.get("namespace", DEFAULT_NAMESPACE)
        found = read_data_object(document)
        for fault in found.faults:
            self._fault(lines, fault.path, fault.message, f"{kind}/{name}")
        self.data[kind, f"{namespace}/{name}"] = DataManifest(self.file, found)

    def _object(self, document: dict[str, object], kind: str, lines: Lines) -> None:
        metadata = document.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        name, namespace = metadata.get("name"), metadata.get("namespace", DEFAULT_NAMESPACE)
        before = len(self.faults)
        if name is None:
            self._fault(lines, ("metadata", "name"), "is missing: give the object a name", kind)
        elif not isinstance(name, str) or len(name) > 253 or not _NAME.fullmatch(name):
            message = "must be lower-case letters, digits, - and . (at most 253), such as my-api"
            self._fault(lines, ("metadata", "name"), message, f"{kind}/{name}")
        if not isinstance(namespace, str) or len(namespace) > 63 or not _NAMESPACE.fullmatch(namespace):
            message = "must be lower-case letters, digits and - (at most 63), such as team-a"
            self._fault(lines, ("metadata", "namespace"), message, f"{kind}/{name}" if name else kind)
        if len(self.faults) > before:
            return
        written = {key: value for key, value in metadata.items() if key not in _SERVER_OWNED}
        document = {key: value for key, value in document.items() if key != "status"}
        document["metadata"] = {**written, "namespace": namespace}
        read = read_sse_api if kind == sse_api.KIND else read_sse_gateway
        self.objects.append(Manifest(self.file, lines, read(document)))


def _meant_kind(kind: str) -> str:
    lowered = {known.lower(): known for known in _KINDS}
    near = difflib.get_close_matches(kind.lower(), lowered, n=1, cutoff=0.5)
    return " or ".join(lowered[name] for name in near or lowered)


def _unlisted(value: object, lines: Lines) -> Iterator[tuple[object, Lines]]:
    """The document, or where it is a List (as `kubectl get -o yaml` prints) its items."""
    if not isinstance(value, dict) or not _is_list(value):
        yield value, lines
        return
    items: Sequence[object] = value["items"]
    for number, item in enumerate(items):
        yield from _unlisted(item, lines.below(("items", number)))


def _is_list(document: Mapping[str, object]) -> bool:
    return isinstance(document.get("items"), list) and str(document.get("kind", "")).endswith("List")


def _yaml_type(value: object) -> str:
    return "list" if isinstance(value, list) else "text" if isinstance(value, str) else "number"
