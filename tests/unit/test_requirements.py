"""The lock files have what pyproject.toml asks for, with hashes, and agree with one another."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
WANTED = {
    "build": PYPROJECT["build-system"]["requires"],
    "proxy": PYPROJECT["project"]["dependencies"],
    "operator": [*PYPROJECT["project"]["dependencies"], *EXTRAS["operator"]],
    "test": [*PYPROJECT["project"]["dependencies"], *EXTRAS["operator"], *EXTRAS["test"], *EXTRAS["lint"]],
}


def text_of(name: str) -> str:
    return (CHECKOUT / "requirements" / f"{name}.txt").read_text()


def pins(name: str) -> dict[str, str]:
    """Name → version."""
    return {
        canonicalize_name(project): version
        for project, version in re.findall(r"^([\w.-]+)==([^ ;]+)", text_of(name), re.MULTILINE)
    }


@pytest.mark.parametrize("name", WANTED)
def test_every_dependency_is_pinned_to_a_version_that_it_allows(name: str) -> None:
    pinned = pins(name)
    for requirement in map(Requirement, WANTED[name]):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version, f"requirements/{name}.txt lacks {requirement.name}: run scripts/lock"
        assert requirement.specifier.contains(version), f"requirements/{name}.txt: {requirement}: run scripts/lock"


@pytest.mark.parametrize("name", WANTED)
def test_every_pin_has_hashes_and_no_index_is_named(name: str) -> None:
    entries = re.split(r"\n(?=[a-z])", text_of(name))[1:]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text_of(name)
    assert not re.search(r"^-", text_of(name), re.MULTILINE)


@pytest.mark.parametrize("name", ["proxy", "operator"])
def test_what_is_tested_is_what_runs(name: str) -> None:
    assert pins(name).items() <= pins("test").items()


def test_the_proxy_has_no_kubernetes_client() -> None:
    assert not pins("proxy").keys() & {"kopf", "kubernetes", "requests"}
