"""What files say, and what stays of what they said before."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sse_operator.local.workspace import GatewayChoiceError, NothingToServeError, Reading, Workspace
from unit.local.manifest_files import sse_api, sse_gateway, write

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def read(workspace: Workspace) -> Reading:
    return workspace.read(NOW)


def served(reading: Reading) -> dict[str, str]:
    """Target or reason by namespace/name."""
    return {api.key: api.unavailable.reason if api.unavailable else api.endpoints[0].url for api in reading.config.apis}


def test_revisions_grow_only_with_changes(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", sse_api("a", "/a", "http://a/"))
    write(tmp_path / "b.yaml", sse_api("b", "/b", "http://b/"))
    workspace = Workspace([str(tmp_path)])
    first = read(workspace)
    assert read(workspace).config == first.config
    write(tmp_path / "b.yaml", sse_api("b", "/b", "http://c/"))
    second = read(workspace)
    assert second.config.revision == first.config.revision + 1
    assert second.revisions == {"default/a": first.config.revision, "default/b": second.config.revision}


def test_taking_an_object_out_ends_it_and_a_broken_file_does_not(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    write(file, sse_api("a", "/a", "http://a/"), sse_api("b", "/b", "http://b/"))
    workspace = Workspace([str(file)])
    assert set(served(read(workspace))) == {"default/a", "default/b"}
    write(file, sse_api("a", "/a", "http://a/"), "kind: SseApi\n")
    reading = read(workspace)
    assert set(served(reading)) == {"default/a", "default/b"}
    assert reading.kept == {"default/b"}
    write(file, sse_api("a", "/a", "http://a/"))
    assert set(served(read(workspace))) == {"default/a"}


def test_the_last_good_of_an_object_stays(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    write(file, sse_api("a", "/a", "http://a/"))
    workspace = Workspace([str(file)])
    read(workspace)
    for _ in range(2):  # also when it is read again
        write(file, sse_api("a", "/elsewhere", "a"))
        reading = read(workspace)
        assert served(reading) == {"default/a": "http://a/"}
        assert [fault.field for fault in reading.faults] == ["spec.target"]
    write(file, sse_api("a", "/elsewhere", "http://b/"))
    assert served(read(workspace)) == {"default/a": "http://b/"}


def test_a_folder_that_is_gone_for_a_moment(tmp_path: Path) -> None:
    folder = tmp_path / "apis"
    folder.mkdir()
    write(folder / "a.yaml", sse_api("a", "/a", "http://a/"))
    workspace = Workspace([f"{folder}/"])
    read(workspace)
    folder.rename(tmp_path / "away")
    assert served(read(workspace)) == {"default/a": "http://a/"}
    (tmp_path / "away").rename(folder)
    (folder / "a.yaml").unlink()
    assert served(read(workspace)) == {}


def test_an_edit_never_steals_a_path(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", sse_api("a", "/a", "http://a/"))
    write(tmp_path / "b.yaml", sse_api("b", "/b", "http://b/"))
    workspace = Workspace([str(tmp_path)])
    read(workspace)
    write(tmp_path / "a.yaml", sse_api("a", "/b", "http://a/"))
    reading = read(workspace)
    assert served(reading) == {"default/b": "http://b/"}
    assert "held by SseApi default/b" in reading.faults[0].message
    (tmp_path / "b.yaml").unlink()
    assert served(read(workspace)) == {"default/a": "http://a/"}


def test_the_order_of_the_files_decides_at_first(tmp_path: Path) -> None:
    z = write(tmp_path / "z.yaml", sse_api("z", "/same", "http://z/"))
    a = write(tmp_path / "a.yaml", sse_api("a", "/same", "http://a/"))
    assert served(read(Workspace([z, a]))) == {"default/z": "http://z/"}
    assert served(read(Workspace([str(tmp_path)]))) == {"default/a": "http://a/"}


def test_a_gateway_that_turns_faulty_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    api = sse_api("a", "/a", "http://a/", more="gatewayRef: {name: prod}")
    write(file, api, sse_gateway("prod", spec="{defaults: {timeouts: {idle: 9s}}}"))
    workspace = Workspace([str(file)])
    first = read(workspace)
    assert first.config.apis[0].timeouts.idle == 9
    write(file, api, sse_gateway("prod", spec="{defaults: {timeouts: {idle: 9}}}"))
    assert read(workspace).config == first.config
    write(file, api)
    assert read(workspace).config == first.config


def test_only_the_chosen_gateway_is_served_and_told_of(tmp_path: Path) -> None:
    write(
        tmp_path / "a.yaml",
        sse_api("a", "/same", "http://a/", more="gatewayRef: {name: one}"),
        sse_api("b", "/same", "http://b/", more="gatewayRef: {name: two}"),
        sse_api("c", "/same", "http://c/", more="gatewayRef: {name: two}"),
        sse_gateway("one"),
        sse_gateway("two"),
    )
    with pytest.raises(GatewayChoiceError, match="--gateway default/one or default/two"):
        read(Workspace([str(tmp_path)]))
    reading = read(Workspace([str(tmp_path)], "default/one"))
    assert served(reading) == {"default/a": "http://a/"}
    assert reading.faults == ()
    assert len(read(Workspace([str(tmp_path)], "default/two")).faults) == 1


def test_files_without_an_api(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "kind: SseApi\n")
    with pytest.raises(NothingToServeError) as told:
        read(Workspace([str(tmp_path)]))
    assert [str(fault) for fault in told.value.faults] == [
        f"{tmp_path}/a.yaml:1: SseApi: apiVersion: is missing: write sse-gateway.dev/v1alpha1"
    ]


def test_a_default_gateway_is_made_up_as_the_operator_would(tmp_path: Path) -> None:
    named = sse_api("a", "/a", "http://a/", more="gatewayRef: {name: default}")
    file = tmp_path / "a.yaml"
    write(file, named)
    workspace = Workspace([str(file)])
    for _ in range(2):
        reading = read(workspace)
        assert [fault.field for fault in reading.faults] == ["spec.gatewayRef"]
        assert served(reading) == {}
    write(file, named, sse_api("b", "/b", "http://b/"))
    assert set(served(read(workspace))) == {"default/a", "default/b"}


def test_secrets_stay_last_good_and_rotate(tmp_path: Path) -> None:
    def secret(data: str) -> str:
        metadata = 'metadata: {name: s, labels: {sse-gateway.dev/use: "true"}}'
        return f"apiVersion: v1\nkind: Secret\n{metadata}\n{data}\n"

    def values(reading: Reading) -> list[str]:
        return [value for each in reading.config.secrets.values() for value in each.values.values()]

    write(tmp_path / "a.yaml", sse_api("a", "/a", more="upstream: {credentials: {bearer: {secretRef: {name: s}}}}"))
    file = tmp_path / "s.yaml"
    write(file, secret("stringData: {token: one}"))
    workspace = Workspace([str(tmp_path)])
    first = read(workspace)
    assert values(first) == ["Bearer one"]
    assert "one" not in first.config.model_dump_json(exclude={"secrets"})
    for broken in ("kind: [", secret("data: {token: '%'}")):
        write(file, broken)
        assert values(read(workspace)) == ["Bearer one"]
    write(file, secret("data: {token: dHdv}"))
    second = read(workspace)
    assert values(second) == ["Bearer two"]
    assert second.config.revision == first.config.revision + 1
    write(file, "kind: Other\n")
    assert served(read(workspace)) == {"default/a": "SecretNotFound"}
