"""Config folders: whole, half-written, from neighbour versions, and swapped as the kubelet does."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from sse_proxy.config import (
    SCHEMA_VERSION,
    Api,
    ApiSecrets,
    Certificate,
    Index,
    Settings,
    TargetGuard,
    Tls,
    digest_of,
    encode,
    secret_file,
    shard_file,
    shard_of,
    split,
    split_secrets,
)
from sse_proxy.errors import ConfigError
from sse_proxy.loader import ConfigFolder, Loaded

SETTINGS = Settings(namespace="default", name="default", targets=TargetGuard())


def entry(name: str, **members: object) -> Api:
    return Api.model_validate({"namespace": "default", "name": name, "contextPath": f"/{name}", **members})


# Two entries in different shards.
A, B = entry("a"), entry("b")
SHARD_A, SHARD_B = shard_of("default", "a"), shard_of("default", "b")


def secret(name: str, value: str) -> ApiSecrets:
    return ApiSecrets(namespace="default", name=name, values={"slot": value})


def secretive(name: str, value: str, **members: object) -> tuple[Api, ApiSecrets]:
    needed = secret(name, value)
    return entry(name, secrets=needed.digest, **members), needed


def files_of(revision: int, *apis: Api, secrets: tuple[ApiSecrets, ...] = (), **index: object) -> dict[str, bytes]:
    shards = {shard_id: encode(shard) for shard_id, shard in split(apis).items()}
    secret_shards = {shard_id: encode(shard) for shard_id, shard in split_secrets(secrets).items()}
    document = Index(
        revision=revision,
        settings=SETTINGS,
        shards={key: digest_of(data) for key, data in shards.items()},
        secrets={key: digest_of(data) for key, data in secret_shards.items()},
    )
    files = {shard_file(shard_id): content for shard_id, content in shards.items()}
    files |= {secret_file(shard_id): content for shard_id, content in secret_shards.items()}
    files["index.json"] = json.dumps({**json.loads(encode(document)), **index}).encode()
    return files


def write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def names(loaded: Loaded | None) -> list[str]:
    assert loaded is not None
    return [api.name for api in loaded.config.apis]


def test_whole_config(tmp_path: Path) -> None:
    assert SHARD_A != SHARD_B
    write(tmp_path, files_of(3, A, B))
    folder = ConfigFolder(tmp_path)
    loaded = folder.read()
    assert loaded is not None
    assert (sorted(names(loaded)), loaded.config.revision, loaded.complete) == (["a", "b"], 3, True)
    assert (loaded.lagging, loaded.faults) == ({}, ())
    assert folder.read() is None
    (tmp_path / shard_file(SHARD_A)).touch()
    assert folder.read() is None


def test_shards_that_have_not_arrived(tmp_path: Path) -> None:
    files = files_of(3, A, B)
    late = files.pop(shard_file(SHARD_B))
    write(tmp_path, files)
    folder = ConfigFolder(tmp_path)
    loaded = folder.read()
    assert loaded is not None
    assert (names(loaded), loaded.complete, loaded.lagging) == (["a"], False, {SHARD_B: 0})
    assert loaded.faults == (f"{shard_file(SHARD_B)} cannot be read: No such file or directory",)
    write(tmp_path, {shard_file(SHARD_B): late})
    loaded = folder.read()
    assert loaded is not None
    assert (sorted(names(loaded)), loaded.complete, loaded.lagging) == (["a", "b"], True, {})


def test_half_a_shard_keeps_the_last_good(tmp_path: Path) -> None:
    write(tmp_path, files_of(3, A, B))
    folder = ConfigFolder(tmp_path)
    folder.read()
    files = files_of(4, entry("a", version="2"), entry("b", version="2"))
    whole = files[shard_file(SHARD_B)]
    files[shard_file(SHARD_B)] = whole[: len(whole) // 2]
    write(tmp_path, files)
    loaded = folder.read()
    assert loaded is not None
    assert {api.name: api.version for api in loaded.config.apis} == {"a": "2", "b": ""}
    assert (loaded.config.revision, loaded.complete, loaded.lagging) == (4, True, {SHARD_B: 3})
    assert loaded.faults == (f"{shard_file(SHARD_B)} is not the one that the index lists",)
    write(tmp_path, {shard_file(SHARD_B): whole})
    loaded = folder.read()
    assert loaded is not None
    assert {api.version for api in loaded.config.apis} == {"2"}
    # Gone from the index is gone.
    write(tmp_path, files_of(5, A))
    assert names(folder.read()) == ["a"]


def test_an_entry_and_its_secrets_are_joined(tmp_path: Path) -> None:
    api, needed = secretive("a", "canary")
    write(tmp_path, files_of(3, api, B, secrets=(needed,)))
    loaded = ConfigFolder(tmp_path).read()
    assert loaded is not None
    assert (sorted(names(loaded)), loaded.complete, loaded.faults) == (["a", "b"], True, ())
    assert loaded.config.secrets == {api.secrets: needed}
    assert "canary" not in repr(loaded)


def test_an_entry_whose_secrets_never_came_answers_503_alone(tmp_path: Path) -> None:
    api, needed = secretive("a", "one", hostnames=["h"])
    files = files_of(3, api, B, secrets=(needed,))
    late = files.pop(secret_file(SHARD_A))
    write(tmp_path, files)
    folder = ConfigFolder(tmp_path)
    loaded = folder.read()
    assert loaded is not None
    closed = {each.name: each.unavailable and each.unavailable.reason for each in loaded.config.apis}
    assert closed == {"a": "SecretsNotLoaded", "b": None}
    assert loaded.config.apis[0].hostnames == ("h",) or loaded.config.apis[1].hostnames == ("h",)
    assert (loaded.complete, loaded.lagging) == (False, {SHARD_A: 0})
    assert loaded.faults == (
        f"{secret_file(SHARD_A)} cannot be read: No such file or directory",
        "default/a: its secrets have not arrived; it answers 503",
    )
    write(tmp_path, {secret_file(SHARD_A): late})
    loaded = folder.read()
    assert loaded is not None
    assert all(each.unavailable is None for each in loaded.config.apis)
    assert (loaded.complete, loaded.lagging, loaded.faults) == (True, {}, ())


def test_a_gateways_certificates_are_joined_and_stay_until_the_next_have_come(tmp_path: Path) -> None:
    """They are in a secret shard of their own, where no entry needs to be."""

    def written(revision: int, value: str) -> tuple[Tls, ApiSecrets, dict[str, bytes]]:
        needed = secret("gateway/default", value)
        tls = Tls(certificates=(Certificate(name=value),), secrets=needed.digest)
        settings = Settings(namespace="default", name="default", tls=tls)
        return (
            tls,
            needed,
            files_of(revision, secrets=(needed,), settings=settings.model_dump(mode="json", by_alias=True)),
        )

    old, old_secret, files = written(3, "one")
    late = secret_file(shard_of("default", "gateway/default"))
    write(tmp_path, {name: content for name, content in files.items() if name != late})
    folder = ConfigFolder(tmp_path)
    loaded = folder.read()
    assert loaded is not None
    assert (loaded.complete, loaded.config.settings.tls) == (False, None)
    write(tmp_path, files)
    loaded = folder.read()
    assert loaded is not None
    assert (loaded.complete, loaded.config.settings.tls) == (True, old)
    assert loaded.config.secrets == {old.secrets: old_secret}
    new, new_secret, files = written(4, "two")
    write(tmp_path, {name: content for name, content in files.items() if name != late})
    loaded = folder.read()
    assert loaded is not None
    assert loaded.config.settings.tls == old
    assert loaded.config.secrets == {old.secrets: old_secret}
    assert loaded.lagging
    write(tmp_path, files)
    loaded = folder.read()
    assert loaded is not None
    assert (loaded.config.settings.tls, loaded.config.secrets) == (new, {new.secrets: new_secret})
    write(tmp_path, files_of(5))
    loaded = folder.read()
    assert loaded is not None
    assert (loaded.config.settings.tls, loaded.config.secrets) == (None, {})


@pytest.mark.parametrize("first", ["shard", "secret"])
def test_a_rotated_secret_and_its_entry_change_together(tmp_path: Path, first: str) -> None:
    """Whichever comes first, the pair stays the last good one until both are there."""
    old, old_secret = secretive("a", "one", version="1", revision=3)
    write(tmp_path, files_of(3, old, secrets=(old_secret,)))
    folder = ConfigFolder(tmp_path)
    folder.read()
    new, new_secret = secretive("a", "two", version="2", revision=4)
    files = files_of(4, new, secrets=(new_secret,))
    late = files.pop(secret_file(SHARD_A) if first == "shard" else shard_file(SHARD_A))
    write(tmp_path, files)
    loaded = folder.read()
    assert loaded is not None
    assert [each.version for each in loaded.config.apis] == ["1"]
    assert loaded.config.secrets == {old.secrets: old_secret}
    assert (loaded.complete, loaded.lagging) == (True, {SHARD_A: 3})
    write(tmp_path, {secret_file(SHARD_A) if first == "shard" else shard_file(SHARD_A): late})
    loaded = folder.read()
    assert loaded is not None
    assert [each.version for each in loaded.config.apis] == ["2"]
    assert loaded.config.secrets == {new.secrets: new_secret}
    assert (loaded.lagging, loaded.faults) == ({}, ())


def test_a_torn_secret_file_is_like_a_torn_shard(tmp_path: Path) -> None:
    old, old_secret = secretive("a", "one")
    write(tmp_path, files_of(3, old, secrets=(old_secret,)))
    folder = ConfigFolder(tmp_path)
    folder.read()
    new, new_secret = secretive("a", "two")
    files = files_of(4, new, secrets=(new_secret,))
    files[secret_file(SHARD_A)] = files[secret_file(SHARD_A)][:-9]
    write(tmp_path, files)
    loaded = folder.read()
    assert loaded is not None
    assert loaded.config.secrets == {old.secrets: old_secret}
    assert loaded.faults[0] == f"{secret_file(SHARD_A)} is not the one that the index lists"
    assert not any("two" in fault for fault in loaded.faults)


def test_an_entry_that_begins_to_need_secrets_never_goes_on_without(tmp_path: Path) -> None:
    write(tmp_path, files_of(3, A))
    folder = ConfigFolder(tmp_path)
    folder.read()
    api, needed = secretive("a", "one")
    files = files_of(4, api, secrets=(needed,))
    del files[secret_file(SHARD_A)]
    write(tmp_path, files)
    loaded = folder.read()
    assert loaded is not None
    assert [each.unavailable and each.unavailable.reason for each in loaded.config.apis] == ["SecretsNotLoaded"]


def test_secrets_that_are_not_valid_close_their_entry_alone(tmp_path: Path) -> None:
    good, good_secret = secretive("good", "one")
    bad, bad_secret = secretive("bad", "two")
    broken = {**json.loads(bad_secret.model_dump_json()), "values": {"slot": 5}}
    shard = json.dumps({"apis": [json.loads(each.model_dump_json(by_alias=True)) for each in (good, bad)]}).encode()
    secrets = {good_secret.digest: json.loads(good_secret.model_dump_json()), bad_secret.digest: broken}
    content = json.dumps({"secrets": secrets}).encode()
    index = Index(revision=1, settings=SETTINGS, shards={"00": digest_of(shard)}, secrets={"00": digest_of(content)})
    write(tmp_path, {"shard-00.json": shard, "secret-00.json": content, "index.json": encode(index)})
    loaded = ConfigFolder(tmp_path).read()
    assert loaded is not None
    closed = {each.name: each.unavailable is not None for each in loaded.config.apis}
    assert closed == {"good": False, "bad": True}
    for content in (b"[]", b'{"secrets": 1}', b"{}", b"\xff"):
        index = index.model_copy(update={"secrets": {"00": digest_of(content)}})
        write(tmp_path, {"secret-00.json": content, "index.json": encode(index)})
        loaded = ConfigFolder(tmp_path).read()
        assert loaded is not None
        assert loaded.lagging == {"00": 0}


@pytest.mark.parametrize("cut", [0, 1, 20, -1])
def test_half_an_index_changes_nothing(tmp_path: Path, cut: int) -> None:
    write(tmp_path, files_of(3, A))
    folder = ConfigFolder(tmp_path)
    folder.read()
    write(tmp_path, {"index.json": files_of(4, B)["index.json"][:cut]})
    with pytest.raises(ConfigError, match=r"^index\.json is not valid: "):
        folder.read()
    write(tmp_path, files_of(4, A, B))
    assert sorted(names(folder.read())) == ["a", "b"]


@pytest.mark.parametrize(("version", "readable"), [(SCHEMA_VERSION - 1, True), (SCHEMA_VERSION + 1, True), (9, False)])
def test_neighbour_versions(tmp_path: Path, version: int, readable: bool) -> None:
    write(tmp_path, files_of(3, A, schemaVersion=version, unknown={"x": 1}))
    folder = ConfigFolder(tmp_path)
    if readable:
        assert names(folder.read()) == ["a"]
    else:
        with pytest.raises(ConfigError, match=r"schema version 9; this proxy reads 0 to 2"):
            folder.read()


def test_entries_fail_closed_alone(tmp_path: Path) -> None:
    entries = [
        {"namespace": "default", "name": "good", "contextPath": "/good", "unknown": 1},
        {
            "namespace": "default",
            "name": "newer",
            "contextPath": "/newer",
            "needs": SCHEMA_VERSION + 1,
            "plan": {"x": 1},
        },
        {
            "namespace": "default",
            "name": "wrong",
            "contextPath": "/wrong",
            "hostnames": ["h"],
            "timeouts": {"idle": -1},
        },
        {"namespace": "default", "name": "plan", "contextPath": "/plan", "plan": {"type": "Psychic"}},
        {"name": "nobody"},
    ]
    content = json.dumps({"apis": entries}).encode()
    index = Index(revision=1, settings=SETTINGS, shards={"00": digest_of(content)})
    write(tmp_path, {"shard-00.json": content, "index.json": encode(index)})
    loaded = ConfigFolder(tmp_path).read()
    assert loaded is not None
    closed = {api.name: api.unavailable and api.unavailable.reason for api in loaded.config.apis}
    assert closed == {"good": None, "newer": "NewerConfig", "wrong": "InvalidConfig", "plan": "InvalidConfig"}
    assert loaded.config.apis[2].hostnames == ("h",)
    assert [fault.split(":")[1].strip() for fault in loaded.faults] == [
        "default/newer",
        "default/wrong",
        "default/plan",
        "entry 4",
    ]
    assert loaded.complete


def test_a_shard_that_is_no_shard(tmp_path: Path) -> None:
    for content in (b"[]", b'{"apis": 1}', b"{}", b"\xff"):
        index = Index(revision=1, settings=SETTINGS, shards={"00": digest_of(content)})
        write(tmp_path, {"shard-00.json": content, "index.json": encode(index)})
        loaded = ConfigFolder(tmp_path).read()
        assert loaded is not None
        assert loaded.lagging == {"00": 0}
    write(tmp_path, {"index.json": encode(Index(settings=SETTINGS, shards={"../../etc/passwd": ""}))})
    with pytest.raises(ConfigError, match="is no shard id"):
        ConfigFolder(tmp_path).read()


async def test_follows_the_kubelets_swap(tmp_path: Path) -> None:
    """`..data` points to a folder of one version; the kubelet renames a new link over it."""

    def swap(number: int, files: dict[str, bytes]) -> None:
        write(tmp_path / f"..version{number}", files)
        (tmp_path / "..data_tmp").symlink_to(f"..version{number}")
        os.rename(tmp_path / "..data_tmp", tmp_path / "..data")
        for name in files:
            if not (tmp_path / name).is_symlink():
                (tmp_path / name).symlink_to(f"..data/{name}")

    swap(1, files_of(1, A))
    following = ConfigFolder(tmp_path).follow()
    async with asyncio.timeout(5):
        first = await anext(following)
        assert isinstance(first, Loaded)
        swap(2, files_of(2, A, B))
        second = await anext(following)
        assert isinstance(second, Loaded)
        if second.lagging:  # its new shard's link comes after the swap
            second = await anext(following)
        assert isinstance(second, Loaded)
        assert sorted(names(second)) == ["a", "b"]
        write(tmp_path / "..version2", {"index.json": b"{"})
        os.utime(tmp_path)
        (tmp_path / "nudge").touch()
        assert isinstance(await anext(following), ConfigError)
    await following.aclose()


async def test_polls_where_nobody_tells_of_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sse_proxy.loader.POLL_SECONDS", 0.2)
    target = tmp_path / "elsewhere"
    write(target, files_of(1, A))
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in files_of(1, A, B):
        (folder / name).symlink_to(target / name)
    following = ConfigFolder(folder).follow()
    async with asyncio.timeout(5):
        assert isinstance(await anext(following), Loaded)
        write(target, files_of(2, A, B))
        loaded = await anext(following)
        assert isinstance(loaded, Loaded)
        assert loaded.config.revision == 2
    await following.aclose()
