"""Reading a parameters file: text until the type is known, and unsafe YAML refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from nbrun.errors import ParameterError
from nbrun.runbook.parameters.declarations import Declarations
from nbrun.runbook.parameters.resolve import resolve
from nbrun.runbook.parameters.types import Parameter
from nbrun.runbook.parameters.yaml_file import read_file
from tests.support.parameter_values import nested

REUSED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def from_file(folder: Path, content: str, kind: Any, **keys: Any) -> Any:
    """Return the value of `x`, a parameter of type `kind`, in a file with `content`."""
    path = folder / "values.yaml"
    path.write_text(content, encoding="utf-8")
    declarations = Declarations({"x": Parameter("x", kind, **keys)}, "python")
    return resolve(declarations, read_file(path)).values["x"]


def file_refusal(folder: Path, content: str | bytes) -> str:
    path = folder / "values.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ParameterError) as caught:
        read_file(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message[len(str(path)) :]


@pytest.mark.parametrize(
    ("content", "kind", "value"),
    [
        ("x: 007", "str", "007"),
        ("x: no", "str", "no"),
        ("x: 1.10", "str", "1.10"),
        ("x: 2024-01-01", "str", "2024-01-01"),
        ("x: |\n  a\n  b\n", "str", "a\nb\n"),
        ("x: 'null'", "str", "null"),
        ('x: ""', "str", ""),
        ("x: 007", "int", 7),
        ('x: "8"', "int", 8),
        ("x: 1", "float", 1.0),
        ("x: True", "bool", True),
        ("x: '[1]'", "list", [1]),
        ("x: [no, 2024-01-01, '1', 007]", "list", ["no", "2024-01-01", "1", "007"]),
        ("x: [-1, 1.5, true, ~]", "list", [-1, 1.5, True, None]),
        ("x:\n- a\n- b: {c: d}\n", "list", ["a", {"b": {"c": "d"}}]),
        ("x: {a: {b: [1]}}", "dict", {"a": {"b": [1]}}),
        ("x: 5", "any", 5),
        ("x: false", "any", False),
        ("x: off", "any", "off"),
        ("x: 007", "any", "007"),
        ("x: '5'", "any", "5"),
        ("x:", "any", None),
        ("x: [1]", "any", [1]),
        ("# words\n---\nx: a # b\n", "str", "a"),
        ("\ufeffx: a", "str", "a"),
        ('{"x": "\\ud83d\\ude00"}', "str", "😀"),
        ('{"x": {"a": [1e3, -0.5, false]}}', "dict", {"a": [1000.0, -0.5, False]}),
    ],
)
def test_file_value_stays_text_until_type_is_known(
    tmp_path: Path, content: str, kind: str, value: Any
) -> None:
    got = from_file(tmp_path, content, kind)
    assert (got, repr(got)) == (value, repr(value))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("x: yes", "bool"),
        ("x: [1]", "str"),
        ("x: {a: 1}", "list"),
        ("x: [1]", "dict"),
        ("x: .nan", "float"),
        ("x:", "str"),
        ("x: null", "int"),
        ("x: [9223372036854775808]", "list"),
        ("x: [" + "9" * 40 + "]", "list"),
        ("x: [1e999]", "list"),
        ('x: "\\ud800"', "str"),
        ('x: "\\0"', "str"),
        ("x: 1_000", "int"),
    ],
)
def test_refused_file_value_is_named_with_its_line(tmp_path: Path, content: str, kind: str) -> None:
    with pytest.raises(ParameterError) as caught:
        from_file(tmp_path, "# words\n" + content, kind)
    assert str(caught.value).startswith(f"parameter 'x' ({tmp_path}/values.yaml:2): ")
    str(caught.value).encode()


def test_null_accepted_for_optional_parameter(tmp_path: Path) -> None:
    assert from_file(tmp_path, "x: null", "int", optional=True) is None


BILLION = "a: &a [l, l]\nb: &b [*a, *a]\nc: [*b, *b]"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ": has no values"),
        ("# only words", ": has no values"),
        ("null", ": has no values"),
        ("''", ": not a mapping"),
        ("- a", ": not a mapping"),
        ("text", ": not a mapping"),
        ("a: 1\nb: 2\na: 3", ":3: duplicate key 'a'"),
        ("a:\n  b: 1\n  b: 2", ":3: duplicate key 'b'"),
        ("a: 1\n2: b", ":2: mapping keys must be strings: quote the key 2"),
        ("a: 1\ntrue: b", ":2: mapping keys must be strings: quote the key true"),
        ("? [a]\n: b", ":1: mapping keys must be strings"),
        ("a: 1\nb: !!python/object/apply:os.system [id]", ":2: the tag"),
        ("a: !x 5", ":1: the tag"),
        (BILLION, ":1: anchors and aliases"),
        ("a: *b", ":1: anchors and aliases"),
        ("a: 1\n---\nb: 2", ": more than one YAML document"),
        ("a: 1\nb: [", ":2: not YAML"),
        ("a: 1\n\tb: 2", ":2: not YAML"),
        ("a: \x00", ": not YAML"),
        (b"a: \xff", ": not UTF-8 at byte 3"),
        ("a: " + "[" * 60 + "]" * 60, ":1: nested more than"),
        ("a: " + "{b: " * 60 + "}" * 60, ":1: nested more than"),
    ],
)
def test_unsupported_file_refused_with_line(tmp_path: Path, content: Any, said: str) -> None:
    assert file_refusal(tmp_path, content).startswith(said)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"none\.yaml: can't be read"):
        read_file(tmp_path / "none.yaml")


@REUSED_FOLDER
@given(nested)
def test_any_json_in_file_keeps_its_value(tmp_path: Path, value: Any) -> None:
    got = from_file(tmp_path, json.dumps({"x": [value]}), "list")
    assert got == [value]
