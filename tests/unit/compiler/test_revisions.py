"""Revisions only grow, and what is equal is not written again."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sse_operator.api.conditions import Verdict
from sse_operator.compiler.model import CompiledGateway, Revised
from sse_operator.compiler.revisions import revise
from sse_proxy.config import Api, ApiSecrets, Endpoint, Index, Settings, Shard, TargetGuard, digest_of, encode, shard_of

SETTINGS = Settings(namespace="shop", name="default")


def compiled(apis: dict[str, str], settings: Settings = SETTINGS) -> CompiledGateway:
    """A gateway with an entry per name, each with its target."""
    return CompiledGateway(
        settings=settings,
        entries=tuple(
            Api(namespace="shop", name=name, context_path=f"/{name}", endpoints=(Endpoint(name="target", url=url),))
            for name, url in sorted(apis.items())
        ),
        results={},
        accepted=Verdict("Accepted", "True", "Accepted"),
    )


class Written:
    """What is in the cluster: only what `Revised` told to write."""

    def __init__(self) -> None:
        self.index: Index | None = None
        self.shards: dict[str, Shard] = {}

    def write(self, revised: Revised) -> None:
        for shard_id in revised.changed:
            self.shards[shard_id] = revised.shards[shard_id]
        if revised.index_changed:
            self.index = revised.index
        for shard_id in revised.removed:
            del self.shards[shard_id]

    def revise(self, apis: dict[str, str], *, floor: int = 0) -> Revised:
        return revise(compiled(apis), self.index, self.shards, floor=floor)

    def check(self) -> None:
        """Every shard has the digest that the index lists: else the proxies would never load it."""
        assert self.index is not None
        assert {shard_id: digest_of(encode(shard)) for shard_id, shard in self.shards.items()} == self.index.shards


states = st.dictionaries(
    st.sampled_from([f"a{number}" for number in range(6)]), st.sampled_from(["http://x", "http://y"])
)


@given(st.lists(states, min_size=1, max_size=6))
def test_any_course_of_edits(course: list[dict[str, str]]) -> None:
    written = Written()
    before: dict[str, str] = {}
    revision, revisions = 0, dict[str, int]()
    for state in course:
        revised = written.revise(state)
        assert revised.index_changed is (revision == 0 or state != before)
        assert revised.index.revision == (revision + 1 if revised.index_changed else revision)
        assert len(revised.changed) <= len({name for name in {*state, *before} if state.get(name) != before.get(name)})
        for name, url in state.items():
            kept = before.get(name) == url
            assert revised.revisions[f"shop/{name}"] == (revisions[name] if kept else revised.index.revision)
        written.write(revised)
        written.check()
        again = written.revise(state)
        assert (again.changed, again.removed, again.index_changed) == ((), (), False)
        before, revision = state, revised.index.revision
        revisions = {name: revised.revisions[f"shop/{name}"] for name in state}


def test_other_settings_are_a_new_revision_that_concerns_no_entry() -> None:
    written = Written()
    written.write(written.revise({"a": "http://x"}))
    other = Settings(namespace="shop", name="default", targets=TargetGuard(deny=("10.0.0.0/8",)))
    revised = revise(compiled({"a": "http://x"}, other), written.index, written.shards)
    assert revised.index.revision == 2
    assert revised.changed == ()
    assert revised.revisions == {"shop/a": 1}


def test_a_lost_index_does_not_take_revisions_back() -> None:
    written = Written()
    for target in ("http://x", "http://y", "http://z"):
        written.write(written.revise({"a": target}))
    written.index = None
    revised = written.revise({"a": "http://z"}, floor=3)
    assert revised.index.revision == 4
    assert revised.revisions == {"shop/a": 3}
    written.shards = {}
    revised = written.revise({"a": "http://z"}, floor=7)
    assert revised.index.revision == 8
    assert revised.revisions == {"shop/a": 8}


def test_an_old_index_does_not_take_revisions_back() -> None:
    written = Written()
    written.write(written.revise({"a": "http://x"}))
    revised = written.revise({"a": "http://x"}, floor=5)
    assert (revised.index_changed, revised.index.revision) == (True, 6)
    written.write(revised)
    assert not written.revise({"a": "http://x"}, floor=6).index_changed


def test_a_lost_shard_is_written_again() -> None:
    written = Written()
    written.write(written.revise({"a": "http://x", "b": "http://x"}))
    del written.shards[shard_of("shop", "a")]
    revised = written.revise({"a": "http://x", "b": "http://x"})
    assert revised.changed == (shard_of("shop", "a"),)
    written.write(revised)
    written.check()


def test_a_shard_whose_bytes_another_version_wrote_is_written_again() -> None:
    written = Written()
    written.write(written.revise({"a": "http://x"}))
    assert written.index is not None
    shard_id = shard_of("shop", "a")
    written.index = written.index.model_copy(update={"shards": {shard_id: "0" * 64}})
    revised = written.revise({"a": "http://x"})
    assert (revised.changed, revised.index_changed) == ((shard_id,), True)
    assert revised.revisions == {"shop/a": 1}, "its content is what it was"


def test_what_is_secret_is_listed_by_digest_and_rotation_is_a_new_revision() -> None:
    def with_token(token: str) -> CompiledGateway:
        needed = ApiSecrets(namespace="shop", name="a", values={"upstream.credentials": token})
        entry = Api(namespace="shop", name="a", context_path="/a", secrets=needed.digest)
        return replace(compiled({}), entries=(entry,), secrets=(needed,))

    first = revise(with_token("one"), None, {})
    shard_id = shard_of("shop", "a")
    assert first.index.secrets == {shard_id: digest_of(encode(first.secrets[shard_id]))}
    assert not revise(with_token("one"), first.index, first.shards).index_changed
    second = revise(with_token("two"), first.index, first.shards)
    assert (second.revisions, second.changed) == ({"shop/a": 2}, (shard_id,))
    assert second.index.secrets != first.index.secrets
    assert revise(compiled({}), second.index, second.shards).index.secrets == {}
