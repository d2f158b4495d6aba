"""Write what the chart has from elsewhere: the CRDs, the operator's RBAC rules, and, from the comments of values.yaml,
values.schema.json and the table of its README.

`--check` writes nothing; it names the files that are not current, and exits 1.

In values.yaml the comment above a value is its description. A line `# schema: {…}` in it adds to the JSON schema that
the default implies; with `$ref`, `items` or `additionalProperties` the value is one row of the table, free below that.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from generated_files import CHECKOUT, write_or_check

CHART = CHECKOUT / "deploy" / "helm" / "sse-gateway"
TABLE = re.compile(r"(<!-- values -->\n).*?(<!-- /values -->)", re.DOTALL)

DEFINITIONS = {
    "duration": {"type": "string", "pattern": r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"},
    "intOrPercentage": {"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]{1,3}%$"},
    "localObjectReference": {
        "type": "object",
        "properties": {"name": {"type": "string", "minLength": 1}},
        "required": ["name"],
        "additionalProperties": False,
    },
    "object": {"type": "object"},
}
SUBCHART = {
    "enabled": {"description": "For a chart that has this one as a dependency.", "type": "boolean"},
    "global": {"description": "What Helm passes to every chart.", "type": "object"},
}
TYPES = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}
LEAVES = {"$ref", "items", "additionalProperties"}


@dataclass
class Value:
    """One value of values.yaml."""

    path: str
    default: Any
    description: str
    annotation: dict[str, Any]
    children: list[Value] = field(default_factory=list)

    @property
    def schema(self) -> dict[str, Any]:
        """The value's JSON schema."""
        schema: dict[str, Any] = {"description": self.description} if self.description else {}
        if "$ref" not in self.annotation:
            schema["type"] = TYPES[type(self.default)]
        schema |= self.annotation
        if self.children:
            schema |= object_schema(self.children)
        return schema


def object_schema(values: list[Value]) -> dict[str, Any]:
    """An object of these values and no others."""
    properties = {value.path.rpartition(".")[2]: value.schema for value in values}
    return {"properties": properties, "additionalProperties": False}


def read_values(text: str) -> list[Value]:
    """The values in the order of the file, with the comments above them. ValueError where one has none."""
    root = yaml.compose(text)
    assert isinstance(root, yaml.MappingNode)
    return list(_values(root, yaml.safe_load(text), text.splitlines(), ""))


def _values(node: yaml.MappingNode, defaults: dict[str, Any], lines: list[str], above: str) -> Iterator[Value]:
    for key, below in node.value:
        path = f"{above}{key.value}"
        default = defaults[key.value]
        value = Value(path, default, *_comment(lines, key.start_mark.line))
        free = bool(LEAVES & value.annotation.keys())
        if isinstance(below, yaml.MappingNode) and not free:
            value.children = list(_values(below, default, lines, f"{path}."))
        if not value.children and not value.description:
            raise ValueError(f"values.yaml:{key.start_mark.line + 1}: {path} has no comment above it")
        if isinstance(default, dict | list) and not value.children and not free:
            raise ValueError(f"values.yaml:{key.start_mark.line + 1}: {path} needs a schema line")
        yield value


def _comment(lines: list[str], line: int) -> tuple[str, dict[str, Any]]:
    """The description and the schema line above the line."""
    comment: list[str] = []
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        comment.insert(0, lines[line].strip().removeprefix("#").strip())
    annotation: dict[str, Any] = {}
    words = []
    for text in comment:
        if text.startswith("schema:"):
            annotation |= yaml.safe_load(text.removeprefix("schema:"))
        else:
            words.append(text)
    return " ".join(words), annotation


def leaves(values: list[Value]) -> Iterator[Value]:
    """The values that have none below them."""
    for value in values:
        if value.children:
            yield from leaves(value.children)
        else:
            yield value


def values_table(values: list[Value]) -> str:
    """The rows of the README's table."""
    rows = ["| value | what it is for | default |", "| --- | --- | --- |"]
    for value in leaves(values):
        default = json.dumps(value.default, ensure_ascii=False)
        rows.append(f"| `{value.path}` | {value.description.replace('|', chr(92) + '|')} | `{default}` |")
    return "\n".join(rows)


def generated() -> dict[Path, str]:
    """Every generated file and its text."""
    values = read_values((CHART / "values.yaml").read_text())
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        **object_schema(values),
        "$defs": DEFINITIONS,
    }
    schema["properties"] |= SUBCHART
    readme = (CHART / "README.md").read_text()
    files = {
        CHART / "values.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        CHART / "README.md": TABLE.sub(lambda match: f"{match[1]}{values_table(values)}\n{match[2]}", readme),
        CHART / "files" / "rbac.yaml": (CHECKOUT / "deploy" / "rbac.yaml").read_text(),
    }
    for crd in sorted((CHECKOUT / "deploy" / "crds").glob("*.yaml")):
        files[CHART / "files" / "crds" / crd.name] = crd.read_text()
    return files


if __name__ == "__main__":
    sys.exit(write_or_check("chart.py", sys.argv[1:], generated()))
