"""What the documents show is true: every example is valid, every command line of ours can be parsed."""

import argparse
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from sse_operator.command import SUB_COMMANDS, Parser, main

CHECKOUT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted((CHECKOUT / "examples").glob("*.yaml"))
DOCUMENTS = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
COMMAND = re.compile(r"^\s*(?:\$ )?sse-gateway (.+)$", re.MULTILINE)
TARGET = re.compile(r"\bmake ([a-z][a-z-]*)`")


def command_lines() -> list[tuple[str, str]]:
    return [
        (document.name, line)
        for document in DOCUMENTS
        for block in re.findall(r"```(?:sh|console|text)?\n(.*?)```", document.read_text(), re.DOTALL)
        for line in COMMAND.findall(block)
    ]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_valid(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["validate", "-f", str(example)])
    assert (code, capsys.readouterr().out.partition(":")[0]) == (0, "valid")


def test_every_example_is_in_the_readme() -> None:
    readme = (CHECKOUT / "README.md").read_text()
    assert [example.name for example in EXAMPLES if f"examples/{example.name}" not in readme] == []


def test_every_sub_command_is_in_the_readme() -> None:
    readme = (CHECKOUT / "README.md").read_text()
    assert [name for name in SUB_COMMANDS if f"sse-gateway {name}" not in readme] == []


@pytest.mark.parametrize(("document", "line"), command_lines())
def test_every_command_line_can_be_parsed(document: str, line: str) -> None:
    name, *arguments = shlex.split(line, comments=True)
    if name == "--version":
        return
    parser = Parser(prog=document)
    import_module(SUB_COMMANDS[name].module).add_arguments(parser)
    assert isinstance(parser.parse_args([argument for argument in arguments if argument != "&"]), argparse.Namespace)


def test_every_make_target_named_exists() -> None:
    makefile = (CHECKOUT / "Makefile").read_text()
    named = {target for document in DOCUMENTS for target in TARGET.findall(document.read_text())}
    assert {target for target in named if f"\n{target}:" not in makefile} == set()
