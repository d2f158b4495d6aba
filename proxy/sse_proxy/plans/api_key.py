"""Lets in who shows a key. Only digests of the keys are known here."""

from __future__ import annotations

import base64
import hashlib

from sse_proxy import config
from sse_proxy.plans.plan import Admission, Consumer, RawFields, Verdict, blinded, refusal
from sse_proxy.plans.sources import find, without


class ApiKey:
    """One entry's keys. `keys` is the content of the slot `plan.keys`."""

    def __init__(self, settings: config.ApiKey, keys: str) -> None:
        self._sources = settings.sources
        self._forwards = settings.forward_credential
        schemes = dict.fromkeys(source.scheme or "ApiKey" for source in settings.sources)
        self._challenges = [f'{scheme} realm="{settings.realm}"' for scheme in schemes]
        self._consumers: dict[bytes, Consumer] = {}
        for line in keys.splitlines():
            digest, _, name = line.partition(" ")
            credential = blinded(base64.b64decode(digest))
            self._consumers[credential] = Consumer(name, credential)

    def admit(self, fields: RawFields, query: str | None) -> Verdict:
        """See `Plan.admit`. The first place that has a key counts; all places are emptied."""
        found = (find(source, fields, query) for source in self._sources)
        key = next((key for key in found if key is not None), None)
        if key is None:
            return refusal("CredentialMissing", *self._challenges)
        consumer = self._consumers.get(blinded(hashlib.sha256(key).digest()))
        if consumer is None:
            return refusal("CredentialRefused", *self._challenges)
        if not self._forwards:
            fields, query = without(self._sources, fields, query)
        return Admission(consumer, fields, query)

    def knows(self, credential: bytes) -> bool:
        """See `Plan.knows`."""
        return credential in self._consumers
