"""YAML as Kubernetes reads it, with the line of every field, and every fault of a file."""

import pytest

from sse_operator.local.yaml_documents import MAX_BYTES, read_yaml


def values(text: str) -> list[object]:
    file = read_yaml(text.encode())
    assert file.faults == ()
    return [document.value for document in file.documents]


def faults(content: str | bytes) -> list[str]:
    file = read_yaml(content.encode() if isinstance(content, str) else content)
    return [f"{fault.line}: {fault.message}" for fault in file.faults]


def test_every_document_of_a_file_and_none_for_an_empty_one() -> None:
    assert values("a: 1\n---\n# only a comment\n---\n- b\n...\n---\nc\n") == [{"a": 1}, ["b"], "c"]
    assert values("") == []


def test_scalars_are_what_kubernetes_takes_them_for() -> None:
    text = "{int: 31, hex: 0x1f, float: 1.5, yes: true, none: ~, date: 2026-01-02, base60: 12:30, equals: =, q: '1'}"
    assert values(text.replace("yes:", "bool:")) == [
        {
            "int": 31,
            "hex": 31,
            "float": 1.5,
            "bool": True,
            "none": None,
            "date": "2026-01-02",
            "base60": "12:30",
            "equals": "=",
            "q": "1",
        }
    ]


def test_json_is_yaml_with_tabs_too() -> None:
    assert values('{\n\t"a": [1, {"b": "\\u00e9"}]\n}') == [{"a": [1, {"b": "é"}]}]


def test_a_byte_order_mark_is_no_fault() -> None:
    assert read_yaml(b"\xef\xbb\xbfa: 1").documents[0].value == {"a": 1}


def test_lines_are_those_of_keys_and_of_list_items() -> None:
    lines = (
        read_yaml(b"# comment\nspec:\n  timeouts:\n    idle:\n      70\n  list:\n  - a\n  - b: 1\n").documents[0].lines
    )
    assert lines.line == 2
    assert lines.at(("spec", "timeouts", "idle")) == 4
    assert lines.at(("spec", "list", 1)) == 8
    assert lines.at(("spec", "list", 1, "b")) == 8
    assert lines.at(("spec", "timeouts", "absent", "deeper")) == 3
    assert lines.at(("absent",)) == 2


def test_anchors_aliases_and_merges() -> None:
    text = "base: &base {a: 1, b: 2}\nplain: *base\nmerged: {<<: *base, b: 3}\nboth: {<<: [{c: 1}, *base], a: 0}\n"
    assert values(text) == [
        {
            "base": {"a": 1, "b": 2},
            "plain": {"a": 1, "b": 2},
            "merged": {"a": 1, "b": 3},
            "both": {"c": 1, "a": 0, "b": 2},
        }
    ]


def test_a_fault_within_an_alias_is_where_it_was_written() -> None:
    lines = read_yaml(b"one: &a\n  idle: 70\ntwo: *a\nthree:\n  <<: *a\n").documents[0].lines
    assert lines.at(("two",)) == 3
    assert lines.at(("two", "idle")) == 2
    assert lines.at(("three", "idle")) == 2


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            "a: [1,\n  2",
            "2: is not YAML: did not find expected ',' or ']' (while parsing a flow sequence, from line 1 on)",
        ),
        ("a: 1\n b: 2", "2: is not YAML: mapping values are not allowed in this context"),
        ("a:\n\tb: 1", "2: is not YAML: indented with a tab; use spaces"),
        ("a: *nope", "1: alias *nope has no anchor &nope before it in this document"),
        ("a: &x\n - *x", "2: alias *x lies within its own anchor"),
        ("a: 1\nb: 2\na: 3", "3: key a is here twice (first in line 1): remove one"),
        ("a: 1\nyes: 3", "2: key yes is not a string to YAML: put it in quotes"),
        ("a: {8080: 3}", "1: key 8080 is not a string to YAML: put it in quotes"),
        ("? [a]\n: b", "1: has a key that is no plain string"),
        ("a: !secret b", "1: has the tag !secret, which Kubernetes does not know: remove it"),
        ("a: !ours {b: 1}", "1: has the tag !ours, which Kubernetes does not know: remove it"),
        ("a: !!int x", "1: x is no int"),
        ("a: {<<: 1}", "1: << merges mappings only"),
        ("a: 1\nb: \0", "2: has a control character (U+0000), which YAML does not allow: remove it"),
        (b"a: 1\nb: \xff", "2: is not UTF-8 (byte 0xff): save it as UTF-8"),
        ("a: 1".encode("utf-16"), "None: is UTF-16: save it as UTF-8"),
        (b" " * (MAX_BYTES + 1), "None: is larger than 32 MiB: split it"),
        ("[" * 100_000, "1: is nested more than 64 deep"),
        ("{a: " * 65, "1: is nested more than 64 deep"),
    ],
)
def test_one_line_with_the_place_and_what_to_do(content: str | bytes, told: str) -> None:
    assert faults(content) == [told]


def test_aliases_of_aliases_are_bounded() -> None:
    layers = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    layers += [
        f"{now}: &{now} [{', '.join([f'*{before}'] * 10)}]" for before, now in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    assert faults("\n".join(layers)) == ["5: has more than 1000000 values, aliases expanded"]


def test_all_faults_are_told_and_what_comes_before_a_syntax_error_is_kept() -> None:
    file = read_yaml(b"a: 1\na: 2\nyes: 3\n---\nb: 1\n---\nc: [")
    assert [document.value for document in file.documents] == [{"a": 1}, {"b": 1}]
    assert [fault.line for fault in file.faults] == [2, 3, 7]
