"""What is known from before changes nothing of what comes out, after any course of edits; and it is made use of."""

import base64
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sse_operator.api.data_objects import read_data_object
from sse_operator.api.objects import SseApi, SseGateway
from sse_operator.api.reading import read_sse_api, read_sse_gateway
from sse_operator.compiler.gateway import compile_gateway
from sse_operator.compiler.model import ApiResult, CompiledGateway, Environment, GatewayInputs, Revised
from sse_operator.compiler.revisions import revise, with_revisions
from sse_proxy.config import Index, Shard
from unit.compiler.scenario import NOW

NAMES = ("alpha", "beta", "gamma")
SPECS: list[dict[str, Any]] = [
    {},
    {"version": "2"},
    {"contextPath": "/same"},
    {"hostnames": ["a.example", "*.b.example"]},
    {"hostnames": ["a.example"], "contextPath": "/same"},
    {"suspend": True},
    {"timeouts": {"idle": "nonsense"}},
    {"upstream": {"credentials": {"bearer": {"secretRef": {"name": "token"}}}}},
]
DEFAULTS: list[dict[str, Any]] = [{}, {"defaults": {"timeouts": {"idle": "9s"}}}, {"allowNestedContextPaths": True}]
changes = st.one_of(
    st.tuples(st.just("edit"), st.sampled_from(NAMES), st.sampled_from(SPECS)),
    st.tuples(st.just("delete"), st.sampled_from(NAMES), st.none()),
    st.tuples(st.just("status"), st.sampled_from(NAMES), st.none()),
    st.tuples(st.just("gateway"), st.just(""), st.sampled_from(DEFAULTS)),
    st.tuples(st.just("secret"), st.just(""), st.sampled_from(["one", "two"])),
    st.tuples(st.just("cluster"), st.just(""), st.sampled_from(["lost", "swapped", "read anew"])),
)


class Course:
    """One gateway under edits, compiled with what is known from before and without."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.apis: dict[str, SseApi] = {}
        self.gateway: SseGateway | None = None
        self.token = "zero"
        self.edits = 0
        self.compiled: CompiledGateway | None = None
        self.revised: Revised | None = None
        self.index: Index | None = None
        self.shards: dict[str, Shard] = {}
        self.take("gateway", "", {})

    def take(self, what: str, name: str, change: Any) -> None:
        self.edits += 1
        if what == "edit":
            spec = {"contextPath": f"/{name}", "target": "http://h", **change}
            status = self.documents.get(name, {}).get("status", {})
            metadata = {"name": name, "namespace": "shop", "uid": name, "generation": self.edits}
            self._put(name, {"metadata": metadata, "spec": spec, "status": status})
        elif what == "delete":
            self.documents.pop(name, None)
            self.apis.pop(name, None)
        elif what == "status" and name in self.documents:
            result = self.compiled.results.get(f"shop/{name}") if self.compiled else None
            claim = result.claim if result else None
            status = {"claim": claim.model_dump(mode="json", by_alias=True)} if claim else {}
            self._put(name, {**self.documents[name], "status": status})
        elif what == "gateway":
            metadata = {"name": "default", "namespace": "shop", "uid": "g", "generation": self.edits}
            self.gateway = read_sse_gateway({"metadata": metadata, "spec": change}, self.gateway)
        elif what == "secret":
            self.token = change
        elif what == "cluster" and self.shards:
            self._tamper(change)

    def _tamper(self, how: str) -> None:
        """The shards in the cluster are not as they were written, or not known as that."""
        first, last = min(self.shards), max(self.shards)
        if how == "lost":
            del self.shards[first]
        elif how == "swapped":
            self.shards[first], self.shards[last] = self.shards[last], self.shards[first]
        else:
            self.shards = {shard_id: shard.model_copy(deep=True) for shard_id, shard in self.shards.items()}

    def _put(self, name: str, document: dict[str, Any]) -> None:
        self.documents[name] = document
        self.apis[name] = read_sse_api(document, self.apis.get(name))
        assert self.apis[name] == read_sse_api(document)

    def check(self) -> None:
        """Both ways give the same; then it is as if it were written."""
        inputs = GatewayInputs("shop/default", self.gateway, list(self.apis.values()), secrets=self._secrets())
        compiled = compile_gateway(inputs, Environment(), NOW, self.compiled)
        fresh = compile_gateway(inputs, Environment(), NOW)
        assert {key: _unstamped(result) for key, result in compiled.results.items()} == fresh.results
        assert replace(compiled, results={}, entries=()) == replace(fresh, results={}, entries=())
        revised = revise(compiled, self.index, self.shards, before=self.revised)
        assert revised == revise(fresh, self.index, self.shards)
        self.compiled, self.revised = with_revisions(compiled, revised), revised
        self.index, self.shards = revised.index, dict(revised.shards)

    def _secrets(self) -> dict[str, Any]:
        metadata = {"name": "token", "namespace": "shop", "uid": "s", "labels": {"sse-gateway.dev/use": "true"}}
        data = {"token": base64.b64encode(self.token.encode()).decode()}
        return {"shop/token": read_data_object({"kind": "Secret", "metadata": metadata, "data": data})}


def _unstamped(result: ApiResult) -> ApiResult:
    return replace(result, entry=result.entry.model_copy(update={"revision": 0}) if result.entry else None)


@given(st.lists(st.tuples(changes, st.booleans()), min_size=1, max_size=12))
def test_what_is_known_changes_nothing(course: list[tuple[tuple[str, str, Any], bool]]) -> None:
    gateway = Course()
    for change, look in course:
        gateway.take(*change)
        if look:
            gateway.check()
    gateway.check()


def test_an_edit_costs_what_it_changes() -> None:
    gateway = Course()
    for name in NAMES:
        gateway.take("edit", name, {})
    gateway.check()
    gateway.take("status", "alpha", None)
    gateway.take("edit", "beta", {"version": "2"})
    assert gateway.compiled
    assert gateway.revised
    entries, shards = {entry.name: entry for entry in gateway.compiled.entries}, gateway.revised.shards
    gateway.check()
    again = {entry.name: entry for entry in gateway.compiled.entries}
    assert [name for name in NAMES if again[name] is not entries[name]] == ["beta"]
    assert [shard_id for shard_id in shards if gateway.revised.shards[shard_id] is not shards[shard_id]] == [
        *gateway.revised.changed
    ]
