"""What an SseApi names besides itself, looked up, and what of it the proxy needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sse_operator.api.data_objects import DataObject
from sse_operator.api.references import USABLE, USE, Reference, ReferencedKind
from sse_operator.api.sse_api import Warned
from sse_proxy.config import ApiSecrets

LARGEST_SLOT = 256 * 1024
"""Bytes. A Secret holds 1 MiB, and several SseApis share one on the way to the proxies."""

PARTS_TOLD = 8
"""So many parts of Secrets that do not count are told, and how many more there are."""


@dataclass(frozen=True)
class Unresolved:
    """Something that an SseApi names and that cannot be used."""

    reason: str
    """`SecretNotFound` or `SecretInvalid`."""
    message: str
    reference: Reference


@dataclass
class Referenced:
    """The Secrets and ConfigMaps that one SseApi may use, and what came of using them. What cannot be used is noted in
    `unresolved` rather than raised, so that all of it is told at once."""

    namespace: str
    secrets: Mapping[str, DataObject] = field(repr=False)
    """By namespace/name."""
    config_maps: Mapping[str, DataObject] = field(default_factory=dict, repr=False)
    """By namespace/name."""
    unresolved: list[Unresolved] = field(default_factory=list)
    not_counted: list[str] = field(default_factory=list)
    """Parts of Secrets that do not count, one sentence each."""
    slots: dict[str, str] = field(default_factory=dict, repr=False)
    """Slot → content, for `ApiSecrets`."""
    _used: dict[str, str] = field(default_factory=dict, repr=False)

    def secret(self, name: str) -> DataObject | None:
        """The Secret of that name."""
        found = self.secrets.get(f"{self.namespace}/{name}")
        if found is None:
            self._missing("Secret", name)
        else:
            self._used[name] = found.uid
        return found

    def config_map(self, name: str) -> DataObject | None:
        """The ConfigMap of that name."""
        found = self.config_maps.get(f"{self.namespace}/{name}")
        if found is None:
            self._missing("ConfigMap", name)
        return found

    def entry_text(self, name: str, found: DataObject, entry: str, *, kind: ReferencedKind = "Secret") -> str | None:
        """An entry of the Secret or ConfigMap as text, without the line's end that editors and `echo` put behind it."""
        content = found.data.get(entry)
        if content is None:
            self.invalid(name, f"has no entry {entry}: add it, or let key name another", kind=kind)
            return None
        try:
            return content.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            self.invalid(name, f"has an entry {entry} that is not UTF-8 text", kind=kind)
            return None

    def invalid(self, name: str, what: str, *, kind: ReferencedKind = "Secret") -> None:
        """Take note that the content of a Secret or ConfigMap cannot be used. `what` never has the content itself."""
        message = f"{kind} {self.namespace}/{name} {what}"
        self.unresolved.append(Unresolved("SecretInvalid", message, (kind, name)))

    def ignored(self, name: str, what: str) -> None:
        """Take note that a part of a Secret does not count. `what` never has the content itself."""
        self.not_counted.append(f"Secret {self.namespace}/{name}: {what}")

    def fill(self, slot: str, content: str, name: str) -> None:
        """Put something secret into a slot. `name` is the Secret that it comes from, or one of them."""
        if len(content.encode()) > LARGEST_SLOT:
            self.invalid(
                name, f"holds more than the {LARGEST_SLOT // 1024} KiB that one SseApi may need: split the SseApi"
            )
        else:
            self.slots[slot] = content

    def warnings(self) -> tuple[Warned, ...]:
        """What works, but not as its owner may think."""
        if not self.not_counted:
            return ()
        more = len(self.not_counted) - PARTS_TOLD
        message = "; ".join(self.not_counted[:PARTS_TOLD]) + (f"; and {more} more" if more > 0 else "")
        return (Warned(reason="CredentialIgnored", message=message),)

    def needed(self, name: str) -> ApiSecrets | None:
        """All slots, for the SseApi of that name; None where it needs nothing that is secret."""
        if not self.slots:
            return None
        salt = ",".join(self._used[each] for each in sorted(self._used))
        return ApiSecrets(namespace=self.namespace, name=name, values=self.slots, salt=salt)

    def _missing(self, kind: ReferencedKind, name: str) -> None:
        self.unresolved.append(
            Unresolved(
                "SecretNotFound",
                f"{kind} {self.namespace}/{name} does not exist, or lacks the label by which it may be used: "
                f"create it, then kubectl label {kind.lower()} -n {self.namespace} {name} {USE}={USABLE}",
                (kind, name),
            )
        )
