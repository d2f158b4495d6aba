"""The CRDs are what the API server takes, and say what the models say."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sse_operator.api.crd import sse_api_crd, sse_gateway_crd

CHECKOUT = Path(__file__).parents[3]

CRDS = [sse_api_crd(), sse_gateway_crd()]


def version(crd: dict[str, Any]) -> dict[str, Any]:
    (only,) = crd["spec"]["versions"]
    return only


def root(crd: dict[str, Any]) -> dict[str, Any]:
    return version(crd)["schema"]["openAPIV3Schema"]


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from nodes(schema[name], f"{path}[]")


@pytest.mark.parametrize("crd", CRDS, ids=lambda crd: crd["spec"]["names"]["kind"])
def test_schemas_are_structural(crd: dict[str, Any]) -> None:
    for path, node in nodes(root(crd)):
        assert "type" in node, path
        forbidden = {"$ref", "$defs", "anyOf", "oneOf", "allOf", "not", "nullable", "title", "const", "x-reads-as"}
        assert not forbidden & set(node), path
        assert node.get("additionalProperties") is not False, path


@pytest.mark.parametrize("crd", CRDS, ids=lambda crd: crd["spec"]["names"]["kind"])
def test_the_one_default_is_that_nobody_has_looked(crd: dict[str, Any]) -> None:
    defaults = {path: node["default"] for path, node in nodes(root(crd)) if "default" in node}
    assert defaults == {".status": {"observedGeneration": -1}}
    assert version(crd)["subresources"] == {"status": {}}


@pytest.mark.parametrize("crd", CRDS, ids=lambda crd: crd["spec"]["names"]["kind"])
def test_every_field_is_described_in_one_line(crd: dict[str, Any]) -> None:
    for path, node in nodes(root(crd)):
        if path.startswith((".spec", ".status")) and not path.endswith("[]"):
            assert node.get("description"), path
            assert "\n" not in node["description"], path


@pytest.mark.parametrize("crd", CRDS, ids=lambda crd: crd["spec"]["names"]["kind"])
def test_every_rule_has_a_message(crd: dict[str, Any]) -> None:
    rules = [rule for _, node in nodes(root(crd)) for rule in node.get("x-kubernetes-validations", ())]
    assert rules
    assert all(rule["message"] and "\n" not in rule["message"] for rule in rules)


def test_what_kubectl_shows() -> None:
    columns = [column["name"] for column in version(sse_api_crd())["additionalPrinterColumns"]]
    assert columns == ["Ready", "Reason", "Context-Path", "Target", "URL", "Gateway", "Version", "Age"]
    columns = [column["name"] for column in version(sse_gateway_crd())["additionalPrinterColumns"]]
    assert columns == ["Ready", "Reason", "Proxies", "Attached", "Address", "Revision", "Age"]
    assert sse_api_crd()["spec"]["names"]["shortNames"] == ["ssea"]
    assert sse_gateway_crd()["spec"]["names"]["shortNames"] == ["ssegw"]


def test_limits_and_lists() -> None:
    by_path = dict(nodes(root(sse_api_crd())))
    assert by_path[".spec"]["required"] == ["contextPath"]
    assert by_path[".spec.contextPath"]["maxLength"] == 1024
    assert by_path[".spec.plan.type"]["enum"] == ["Keyless", "ApiKey", "Basic"]
    assert by_path[".spec.hostnames"]["x-kubernetes-list-type"] == "set"
    assert by_path[".spec.endpoints"]["x-kubernetes-list-map-keys"] == ["name"]
    assert by_path[".spec.endpoints[].weight"]["minimum"] == 0
    assert by_path[".status.conditions"]["x-kubernetes-list-map-keys"] == ["type"]
    assert by_path[".status.conditions[].lastTransitionTime"]["format"] == "date-time"
    assert "required" not in root(sse_gateway_crd()), "an SseGateway needs no spec"


def test_the_committed_files_are_current() -> None:
    for crd in CRDS:
        path = CHECKOUT / "deploy" / "crds" / f"sse-gateway.dev_{crd['spec']['names']['plural']}.yaml"
        assert yaml.safe_load(path.read_text()) == crd


def test_generate_names_what_is_not_current(tmp_path: Path) -> None:
    for folder in ("scripts", "operator", "proxy", "deploy/crds", "docs"):
        (tmp_path / folder).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / folder).symlink_to(CHECKOUT / folder)
    (tmp_path / "scripts").unlink()
    (tmp_path / "scripts").mkdir()
    for script in ("generate.py", "generated_files.py", "reference.py"):
        (tmp_path / "scripts" / script).write_text((CHECKOUT / "scripts" / script).read_text())
    readme = tmp_path / "README.md"
    readme.write_text("# X\n\n<!-- reference:sseapi -->\nold\n<!-- /reference -->\n\nend\n")

    def generate(*arguments: str) -> subprocess.CompletedProcess[str]:
        script = tmp_path / "scripts" / "generate.py"
        return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False)

    stale = generate("--check")
    assert (stale.returncode, stale.stderr) == (1, "not current, run `make generate`: README.md\n")
    assert generate().stdout == "wrote README.md\n"
    assert generate("--check").returncode == 0
    assert "| `contextPath` | path |" in readme.read_text()
    assert readme.read_text().startswith("# X\n\n<!-- reference:sseapi -->\n| field |")
    assert readme.read_text().endswith("|\n<!-- /reference -->\n\nend\n")
    assert generate("--nonsense").returncode == 2
