"""What holds for the chart whatever the values."""

import re
import subprocess
import tomllib
from typing import Any

import pytest
import yaml

from unit.chart.chart_render import CASES, CHART, VALUES, helm, objects, render

CHECKOUT = CHART.parents[2]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]


def pod_specs(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The spec of every pod and pod template."""
    specs = [each["spec"] for each in manifests if each["kind"] == "Pod"]
    return specs + [each["spec"]["template"]["spec"] for each in manifests if each["kind"] == "Deployment"]


def test_version_is_the_distributions() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == PROJECT["version"]


def test_lint_finds_nothing() -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", CHART)


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("tag=1", "Additional property tag is not allowed"),
        ("image.tagg=1", "image: Additional property tagg is not allowed"),
        ("crds.kept=true", "crds: Additional property kept is not allowed"),
        ("nudge.policy=true", "nudge: Additional property policy is not allowed"),
        ("proxy.image.tags=1", "proxy.image: Additional property tags is not allowed"),
        ("imagePullSecrets[0].nam=a", "Additional property nam is not allowed"),
        ("replicas=many", "replicas: Invalid type"),
        ("workers=0", "workers: Must be greater than or equal to 1"),
        ("sweepInterval=300", "sweepInterval: Invalid type"),
        ("sweepInterval=5min", "sweepInterval: Does not match pattern"),
        ("logLevel=LOUD", "logLevel"),
        ("defaultGateway=edge", "defaultGateway: Does not match pattern"),
        ("image.digest=latest", "image.digest: Does not match pattern"),
        ("podDisruptionBudget.maxUnavailable=half", "podDisruptionBudget.maxUnavailable"),
        ("watchNamespaces={shop},defaultGateway=infra/edge", "watchNamespaces has no infra"),
    ],
)
def test_a_wrong_value_is_refused_by_name(setting: str, complaint: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        render(f"--set={setting}")
    assert complaint in refused.value.stderr


def test_every_value_counts() -> None:
    """A value that no template reads is a promise that is not kept."""
    templates = "".join(path.read_text() for path in CHART.rglob("templates/**/*.*"))

    def paths(values: dict[str, Any], above: str) -> list[str]:
        found = []
        for name, value in values.items():
            path = f"{above}.{name}"
            whole = re.search(rf"\{path}\b(?!\.)", templates)
            found += paths(value, path) if isinstance(value, dict) and value and not whole else [path]
        return found

    unread = [
        path
        for path in paths(yaml.safe_load((CHART / "values.yaml").read_text()), ".Values")
        if not re.search(rf"\{path}\b", templates) and not path.startswith((".Values.image.", ".Values.proxy.image."))
    ]
    assert unread == []


@pytest.mark.parametrize("case", CASES)
def test_pods_meet_the_restricted_standard(case: str) -> None:
    """Pod Security Standards, `restricted`; the API server judges it in tests/apiserver."""
    specs = pod_specs(objects(render(f"--values={VALUES / case}.yaml")))
    assert specs
    for spec in specs:
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_image_names() -> None:
    def images(*settings: str) -> tuple[str, str]:
        made = objects(render(*(f"--set-string={setting}" for setting in settings)))
        (container,) = next(each for each in made if each["kind"] == "Deployment")["spec"]["template"]["spec"][
            "containers"
        ]
        return container["image"], next(flag for flag in container["args"] if flag.startswith("--image="))[8:]

    version = PROJECT["version"]
    assert images() == (f"sse-gateway-operator:{version}", f"sse-gateway-proxy:{version}")
    assert images("image.registry=r.example/t/", "image.tag=9", "proxy.image.tag=8") == (
        "r.example/t/sse-gateway-operator:9",
        "r.example/t/sse-gateway-proxy:8",
    )
    digest = f"sha256:{'0' * 64}"
    assert images(f"image.digest={digest}", "image.tag=9")[0] == f"sse-gateway-operator@{digest}"


def test_crds_are_those_of_the_models() -> None:
    made = {each["metadata"]["name"]: each for each in objects(render()) if each["kind"] == "CustomResourceDefinition"}
    for path in (CHECKOUT / "deploy" / "crds").glob("*.yaml"):
        crd = yaml.safe_load(path.read_text())
        assert made.pop(crd["metadata"]["name"])["spec"] == crd["spec"]
    assert not made


def test_rules_are_those_that_the_operator_is_tested_with() -> None:
    made = [each["rules"] for each in objects(render("--set=rbac.aggregateClusterRoles=false")) if "rules" in each]
    source = list(yaml.safe_load_all((CHECKOUT / "deploy" / "rbac.yaml").read_text()))
    assert sorted(made, key=str) == sorted((role["rules"] for role in source), key=str)


def test_a_namespaced_operator_has_no_cluster_wide_right() -> None:
    made = objects(render(f"--values={VALUES / 'watch-namespaces.yaml'}"))
    assert not [each for each in made if each["kind"].startswith("ClusterRole")]
    namespaces = {each["metadata"]["namespace"] for each in made if each["kind"] == "Role"}
    assert namespaces == {"shop", "blog", "default", "sse-gateway"}


def test_an_operator_that_does_not_nudge_may_not_patch_pods() -> None:
    for role in (each for each in objects(render("--set=nudge.enabled=false")) if "rules" in each):
        for rule in role["rules"]:
            assert "pods" not in rule["resources"] or set(rule["verbs"]) == {"list", "watch"}
