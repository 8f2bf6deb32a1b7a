"""Which parameters a notebook declares, what they accept, and that no value becomes code."""

import ast
import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager
from papermill.parameterize import parameterize_notebook

from nbrun.errors import ParameterError
from nbrun.runbook.parameters.literals import DIALECTS, literal
from nbrun.runbook.parameters.resolve import (
    Parameter,
    as_text,
    declared,
    inject,
    read_file,
    resolve,
)
from tests.support.build_notebooks import code, markdown, notebook

REUSED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
hostile = st.text(st.sampled_from("\"'\\$`(){};#!%\n\r\t\x03\x15\x7f\x85‘’‚‛“”\u2028é😀 a0ux"))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
    | hostile
)
# YAML keeps a key on one line and within 1024 characters, escapes and all (YAML 1.2, 7.4.2)
keys = text.filter(lambda key: len(json.dumps(key)) < 1000) | hostile.filter(
    lambda key: len(json.dumps(key)) < 1000
)
nested = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


def node(*cells: dict[str, Any]) -> Any:
    made = [cell | {"id": cell.get("id", f"c{i}")} for i, cell in enumerate(cells)]
    return nbformat.from_dict(notebook(*made))


def declaring(source: str, language: str = "python") -> dict[str, Parameter]:
    return declared(node(code("x"), code(source, tags=["parameters"])), language)


def typed(kind: Any, given: str, **keys: Any) -> Any:
    """What `-p x=given` gives for a parameter of type `kind`."""
    known = {"x": Parameter("x", kind, **keys)}
    return resolve(known, {"x": as_text(given, "-p")}, language="python", undeclared=False)["x"]


def from_file(folder: Path, content: str, kind: Any, **keys: Any) -> Any:
    """What the file `content` gives for its parameter `x` of type `kind`."""
    path = folder / "values.yaml"
    path.write_text(content, encoding="utf-8")
    known = {"x": Parameter("x", kind, **keys)}
    return resolve(known, read_file(path), language="python", undeclared=False)["x"]


def file_refusal(folder: Path, content: str | bytes) -> str:
    path = folder / "values.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ParameterError) as caught:
        read_file(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message[len(str(path)) :]


def injected_source(values: dict[str, Any], language: str | None) -> str:
    done = inject(node(code("x = 1", tags=["parameters"])), values, None, language)
    return str(done["cells"][1]["source"])


# What is declared


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("x: str = 5", "str"),
        ("x: 'int' = None", "int"),
        ("x: int", "int"),
        ("x: Optional[float] = None", "float"),
        ("x: bool | None = None", "bool"),
        ("x: None | bool = None", "bool"),
        ("x: list[str] = None", "list"),
        ("x: typing.List[int] = []", "list"),
        ("x: Dict[str, int] = {}", "dict"),
        ("x: Path = 'a'", "any"),
        ("x: int | str = 1", "any"),
        ("x = 'a'", "str"),
        ("x = f'{a}'", "str"),
        ("x = 'a' + b", "str"),
        ("x = -1", "int"),
        ("x = 60 * 60", "int"),
        ("x = 1 / 2", "float"),
        ("x = 2 * 1.5", "float"),
        ("x = True", "bool"),
        ("x = not y", "bool"),
        ("x = (1, 2)", "list"),
        ("x = {1}", "list"),
        ("x = {}", "dict"),
        ("x = dict(a=1)", "dict"),
        ("x = int('3')", "int"),
        ("x = None", "any"),
        ("x = y", "any"),
        ("x = b'a'", "any"),
    ],
)
def test_a_type_is_that_of_the_annotation_or_of_the_default(line: str, kind: str) -> None:
    assert declaring(line)["x"].type == kind


def test_only_an_annotation_with_none_is_optional() -> None:
    source = "a: int | None = 1\nb: Optional[str] = None\nc: int = 1\nd = None"
    assert [p.optional for p in declaring(source).values()] == [True, True, False, False]


def test_names_defaults_and_comments_are_found_in_order() -> None:
    source = (
        "url = 'http://h/?a=1&b=2'  # where = there\n"
        "é = [\n  1,  # inner\n]  # a list\n"
        "a, b = 1, 2\nc = d = 3\nif url:\n    e = 1\nx.y = 3\nprint(url)\nn = 1; m = 2  # both\n"
    )
    found = declaring(source)
    assert list(found) == ["url", "é", "n", "m"]
    assert found["url"] == Parameter("url", "str", "'http://h/?a=1&b=2'", "where = there")
    assert found["é"].help == "a list"
    assert (found["n"].help, found["m"].help) == ("", "both")


def test_a_cell_with_magics_or_a_broken_line_still_declares() -> None:
    assert list(declaring("%matplotlib inline\n!ls\nx = [\n1]\n")) == ["x"]
    assert list(declaring("x: int = 3\ny = = 4\nz = 'a'")) == ["x", "z"]


def test_a_deep_expression_does_not_crash(capfd: pytest.CaptureFixture[str]) -> None:
    assert declaring("x = " + "(" * 5000 + "1" + ")" * 5000) == {}
    declaring("x = " + "+".join(["1"] * 5000))
    assert declaring("x = '\\d'")["x"].type == "str"
    assert capfd.readouterr().err == ""


def test_only_the_first_code_cell_tagged_parameters_declares() -> None:
    cells = [
        markdown("m = 0", tags=["parameters"]),
        code("y = 1"),
        code("x = 1", tags=["a", "parameters"]),
        code("z = 1", tags=["parameters"]),
    ]
    assert list(declared(node(*cells), "python")) == ["x"]
    assert declared(node(code("y = 1")), "python") == {}


@pytest.mark.parametrize(
    ("language", "line", "kind"),
    [
        ("R", "x <- 5L  # how many", "int"),
        ("R", "x = TRUE  # how many", "bool"),
        ("bash", "x=8080  # how many", "str"),
        ("bash", "export x=(a b) # how many", "list"),
        ("julia", 'x = "a"  # how many', "str"),
        ("scala", "val x = 1.5 // how many", "float"),
        ("C#", 'var x = "a"; // how many', "str"),
        ("powershell", "$x = $true # how many", "bool"),
        ("powershell", "$x = Get-Date # how many", "any"),
    ],
)
def test_other_languages_declare_by_lines(language: str, line: str, kind: str) -> None:
    found = declaring(f"# words\n{line}\nx == 3", language)
    assert {n: (p.type, p.help) for n, p in found.items()} == {"x": (kind, "how many")}


# What is given with -p


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("str", "007", "007"),
        ("str", "", ""),
        ("int", "007", 7),
        ("int", "-0", 0),
        ("int", "+5", 5),
        ("int", "-9223372036854775808", -(2**63)),
        ("float", "1", 1.0),
        ("float", "-1.5e3", -1500.0),
        ("bool", "TRUE", True),
        ("bool", "false", False),
        ("list", '[1, "a", null]', [1, "a", None]),
        ("dict", '{"a": [1.5]}', {"a": [1.5]}),
        ("any", "5", "5"),
    ],
)
def test_a_text_becomes_a_value_of_the_declared_type(kind: str, given: str, value: Any) -> None:
    got = typed(kind, given)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("int", ""),
        ("int", "1_000"),
        ("int", "1.0"),
        ("int", " 1"),
        ("int", "1\n"),
        ("int", "٣"),
        ("int", "9223372036854775808"),
        ("int", "9" * 9000),
        ("float", "nan"),
        ("float", "-inf"),
        ("float", "1e999"),
        ("float", "1_0.0"),
        ("bool", "1"),
        ("bool", "yes"),
        ("bool", ""),
        ("list", "a,b"),
        ("list", "{}"),
        ("list", "[NaN]"),
        ("list", "[1e999]"),
        ("list", "[9223372036854775808]"),
        ("list", "[" * 100_000),
        ("list", "[" * 60 + "]" * 60),
        ("list", '["\\u0000"]'),
        ("list", '["\\ud800"]'),
        ("dict", "[]"),
        ("dict", '{"a": 1, "a": 2}'),
        ("str", "a\0b"),
        ("str", "a\ud800"),
        ("any", "a\udcff"),
    ],
)
def test_a_text_that_does_not_fit_the_type_is_refused(kind: str, given: str) -> None:
    with pytest.raises(ParameterError, match=r"^parameter 'x' \(-p\): ") as caught:
        typed(kind, given)
    assert len(str(caught.value)) < 250
    str(caught.value).encode()


@given(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_exactly(number: int, fraction: float) -> None:
    assert typed("int", str(number)) == number
    assert typed("float", repr(fraction)) == fraction


def test_a_refusal_names_parameter_value_and_type() -> None:
    with pytest.raises(ParameterError) as caught:
        typed("int", "80x")
    assert str(caught.value) == "parameter 'x' (-p): '80x': expected an int: digits such as 42"


def resolve_name(name: str, known: tuple[str, ...], language: str, undeclared: bool) -> Any:
    parameters = {each: Parameter(each, "int") for each in known}
    given = {name: as_text("5", "-p")}
    return resolve(parameters, given, language=language, undeclared=undeclared)


def test_a_name_that_is_not_declared_is_refused_with_the_nearest() -> None:
    with pytest.raises(ParameterError, match=r"did you mean 'port'\? .* declares port, host"):
        resolve_name("prot", ("port", "host"), "python", False)


def test_a_notebook_without_parameters_takes_some_only_when_asked_to() -> None:
    with pytest.raises(ParameterError, match="--undeclared"):
        resolve_name("port", (), "python", False)
    assert resolve_name("port", (), "python", True) == {"port": "5"}


def test_undeclared_names_are_text_beside_declared_ones() -> None:
    assert resolve_name("other", ("port",), "python", True) == {"other": "5"}
    assert resolve_name("port", ("port",), "python", True) == {"port": 5}


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("a b", "python"),
        ("class", "python"),
        ("__builtins__", "python"),
        ("x\n", "python"),
        ("1x", "python"),
        ("x;y", "R"),
        ("_x", "R"),
        (".x", "R"),
        ("x.y", "bash"),
        ("é", "julia"),
        ("x\n", "bash"),
        ("PROMPT_COMMAND", "bash"),
        ("PS1", "bash"),
        ("BASH_ENV", "bash"),
        ("LD_PRELOAD", "bash"),
    ],
)
def test_a_name_that_could_run_something_is_refused(name: str, language: str) -> None:
    with pytest.raises(ParameterError, match=r"^parameter "):
        resolve_name(name, (), language, True)


def test_names_are_those_of_the_language() -> None:
    assert resolve_name("a.b_1", (), "R", True) == {"a.b_1": "5"}
    assert resolve_name("é", (), "python", True) == {"é": "5"}
    assert resolve_name("PATH", ("PATH",), "bash", True) == {"PATH": 5}


# What is given in a file


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
def test_a_file_keeps_text_until_the_type_is_known(
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
def test_a_value_in_a_file_that_does_not_fit_is_refused_with_its_line(
    tmp_path: Path, content: str, kind: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        from_file(tmp_path, "# words\n" + content, kind)
    assert str(caught.value).startswith(f"parameter 'x' ({tmp_path}/values.yaml:2): ")
    str(caught.value).encode()


def test_null_is_a_value_of_an_optional_parameter(tmp_path: Path) -> None:
    assert from_file(tmp_path, "x: null", "int", optional=True) is None


BILLION = "a: &a [l, l]\nb: &b [*a, *a]\nc: [*b, *b]"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ": has no mapping"),
        ("# only words", ": has no mapping"),
        ("- a", ": has no mapping"),
        ("text", ": has no mapping"),
        ("a: 1\nb: 2\na: 3", ":3: the key 'a' is given twice"),
        ("a:\n  b: 1\n  b: 2", ":3: the key 'b' is given twice"),
        ("a: 1\n2: b", ":2: the key 2 is no text"),
        ("a: 1\ntrue: b", ":2: the key true is no text"),
        ("? [a]\n: b", ":1: a key is no text"),
        ("a: 1\nb: !!python/object/apply:os.system [id]", ":2: the tag"),
        ("a: !x 5", ":1: the tag"),
        (BILLION, ":1: anchors and aliases"),
        ("a: *b", ":1: anchors and aliases"),
        ("a: 1\n---\nb: 2", ": holds more than one document"),
        ("a: 1\nb: [", ":2: not YAML"),
        ("a: 1\n\tb: 2", ":2: not YAML"),
        ("a: \x00", ": not YAML"),
        (b"a: \xff", ": not UTF-8 at byte 3"),
        ("a: " + "[" * 60 + "]" * 60, ":1: nested more than"),
        ("a: " + "{b: " * 60 + "}" * 60, ":1: nested more than"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, content: Any, said: str) -> None:
    assert file_refusal(tmp_path, content).startswith(said)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"none\.yaml: can't be read"):
        read_file(tmp_path / "none.yaml")


@REUSED_FOLDER
@given(nested)
def test_any_json_comes_back_from_a_file(tmp_path: Path, value: Any) -> None:
    got = from_file(tmp_path, json.dumps({"x": [value]}), "list")
    assert got == [value]


# The cell that is injected


def test_the_values_follow_the_parameters_cell_and_nothing_else_changes() -> None:
    before = node(
        markdown("m", tags=["parameters"]),
        code("x = 1", tags=["parameters"]),
        code("y", metadata={"papermill": {"status": "failed"}}),
    )
    copy = json.loads(json.dumps(before))
    after = inject(before, {"x": 2}, "python3", "python")
    assert json.loads(json.dumps(before)) == copy
    made = after["cells"].pop(2)
    assert made["source"] == "# Parameters\nx = 2\n"
    assert (made["id"], made["metadata"]) == (
        "injected-parameters",
        {"tags": ["injected-parameters"]},
    )
    del copy["cells"][2]["metadata"]["papermill"]
    assert json.loads(json.dumps(after)) == copy


def test_without_values_the_notebook_is_what_it_was() -> None:
    before = node(code("x = 1", tags=["parameters"]))
    assert inject(before, {}, "unknown", "unknown") is before


def test_without_a_parameters_cell_the_values_come_first_and_nothing_is_said(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("papermill").setLevel(logging.NOTSET)
    after = inject(node(code("y")), {"x": 2}, "python3", "python")
    assert [cell["source"] for cell in after["cells"]] == ["# Parameters\nx = 2\n", "y"]
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_the_injected_id_gives_way_to_one_already_there() -> None:
    cells = [code("y", id="injected-parameters"), code("z", id="injected-parameters-2")]
    after = inject(node(*cells), {"x": 2}, "python3", "python")
    assert after["cells"][0]["id"] == "injected-parameters-3"
    nbformat.validate(after)


def test_an_earlier_injected_cell_is_replaced() -> None:
    cells = [code("x = 1", tags=["parameters"]), code("x = 3", tags=["injected-parameters"])]
    after = inject(node(*cells), {"x": 2}, "python3", "python")
    assert [cell["source"] for cell in after["cells"]] == ["x = 1", "# Parameters\nx = 2\n"]


TAGS = st.sampled_from([[], ["parameters"], ["injected-parameters"], ["mine"]])


@given(st.lists(st.tuples(st.sampled_from([code, markdown]), TAGS), min_size=1, max_size=6))
def test_the_cell_is_where_papermill_has_it_in_the_whole_notebook(cells: Any) -> None:
    made = [kind(f"source {n}", tags=tags) for n, (kind, tags) in enumerate(cells)]
    whole = node(*made)
    for cell in whole.cells:
        cell.metadata = {"tags": cell.metadata.tags if cell.cell_type == "code" else []}
    whole.metadata["papermill"] = {}
    expected = parameterize_notebook(whole, {"x": 2}, kernel_name="python3", language="python")
    found = inject(node(*made), {"x": 2}, "python3", "python")
    assert [cell["source"] for cell in found["cells"]] == [cell.source for cell in expected.cells]


@pytest.mark.parametrize("values", [{"x y": 1}, {"x": float("nan")}, {"x": "\0"}, {"x": 2**64}])
def test_what_resolve_would_refuse_is_not_injected_either(values: Any) -> None:
    with pytest.raises(ParameterError, match=r"^parameter "):
        inject(node(code("y")), values, "python3", "python")


def test_a_language_that_papermill_does_not_know_is_refused_only_with_values() -> None:
    assert declaring("x = 1", "ocaml")["x"].type == "int"
    with pytest.raises(ParameterError, match="can't write parameters in the language 'ocaml'"):
        inject(node(code("y")), {"x": 1}, "ocaml", "ocaml")


def test_without_a_language_the_kernel_or_python_decides() -> None:
    assert injected_source({"x": True}, None).endswith("x = True\n")
    in_shell = inject(node(code("y")), {"x": True}, "bash", None)
    assert in_shell["cells"][0]["source"].endswith("x=true\n")


@given(nested, text | hostile)
def test_python_reads_back_any_value_and_its_magics_stay_asleep(value: Any, words: str) -> None:
    source = injected_source({"a": value, "b": words, "c": [value]}, "ipython")
    transformed = TransformerManager().transform_cell(source)
    assert ast.dump(ast.parse(transformed)) == ast.dump(ast.parse(source))
    found: dict[str, Any] = {}
    exec(transformed, found)
    assert repr((found["a"], found["b"], found["c"])) == repr((value, words, [value]))


def bash_values(source: str, *words: str) -> list[str]:
    """What `source`, run by bash, leaves in the expansions `words`."""
    script = f"{source}printf '%s\\0' {' '.join(words)}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode().split("\0")[:-1]


@settings(deadline=None, max_examples=40)
@given(st.lists(text | hostile, min_size=1, max_size=30))
def test_bash_reads_back_any_text_from_one_line_without_control_characters(
    texts: list[str],
) -> None:
    names = {f"v{i}": each for i, each in enumerate(texts)}
    source = injected_source({**names, "all": texts}, "bash")
    assert all(" " <= char <= "~" for char in source.replace("\n", ""))
    assert source.count("\n") == len(texts) + 2
    assert bash_values(source, *(f'"${name}"' for name in names), '"${all[@]}"') == texts * 2


def test_bash_numbers_and_array_items_that_look_like_subscripts_are_text() -> None:
    source = injected_source(
        {"a": 5, "b": False, "c": None, "d": ["[3]=x", "*", "~", None]}, "bash"
    )
    assert bash_values(source, '"$a"', '"$b"', '"$c"', '"${d[@]}"') == [
        *("5", "false", ""),
        *("[3]=x", "*", "~", ""),
    ]


C_STRING = r'"((?:[ !#-\[\]-~]|\\["\\nrtbf$]|\\u[0-9a-f]{4}|\\U[0-9a-f]{8})*)"'
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def of_escape(match: re.Match[str]) -> str:
    body = match[1]
    return chr(int(body[1:], 16)) if body[0] in "uU" else ESCAPES.get(body, body)


def joined(units: str) -> str:
    return units.encode("utf-16", "surrogatepass").decode("utf-16")


@pytest.mark.parametrize("language", ["R", "scala", "julia", ".net-csharp", ".net-fsharp"])
@given(words=text | hostile)
def test_a_double_quoted_string_ends_where_it_should_and_says_what_was_given(
    language: str, words: str
) -> None:
    written = literal(DIALECTS[language], words)
    whole = re.fullmatch(C_STRING, written)
    assert whole
    escaped = re.compile(r"\\(u.{4}|U.{8}|.)")
    assert joined(escaped.sub(of_escape, whole[1])) == words
    assert ("\\U" in written.replace("\\\\", "")) <= (language != "scala")


@given(text | hostile)
def test_julia_never_sees_a_bare_dollar(words: str) -> None:
    written = literal(DIALECTS["julia"], words)
    assert re.sub(r"\\.", "", written).count("$") == 0


def read_pieces(written: str, quote: str, number: str) -> str:
    """The text of quoted pieces and character codes joined by +, as the language reads it."""
    piece = rf"{quote}(?:[^{quote}]|{quote}{quote})*{quote}|{number}"
    assert re.fullmatch(
        rf"{quote}(?:[^{quote}]|{quote}{quote})*{quote}|\((?:{piece})( \+ (?:{piece}))*\)", written
    )
    found = []
    for match in re.finditer(piece, written):
        part = match[0]
        inner = part[1:-1].replace(quote * 2, quote)
        codes = re.findall(r"0x[0-9a-f]+|\d+", part)
        found.append(inner if part[0] == quote else "".join(chr(int(c, 0)) for c in codes))
    return joined("".join(found))


@given(text | hostile)
def test_powershell_reads_single_quotes_of_ascii_and_characters_by_code(words: str) -> None:
    written = literal(DIALECTS[".net-powershell"], words)
    assert written.isascii()
    assert written.isprintable()
    assert read_pieces(written, "'", r"\[char\]0x[0-9a-f]{4}") == words


@given(text | hostile)
def test_matlab_reads_double_quotes_without_backslashes_and_characters_by_code(words: str) -> None:
    written = literal(DIALECTS["matlab"], words)
    assert written.isascii()
    assert written.isprintable()
    assert "\\" not in written
    assert read_pieces(written, '"', r"char\(\[[0-9 ]+\]\)") == words


@pytest.mark.parametrize("tongue", sorted(DIALECTS))
@given(value=nested)
def test_every_value_is_one_line_of_plain_ascii_or_refused(tongue: str, value: Any) -> None:
    try:
        written = literal(DIALECTS[tongue], value)
    except ParameterError:
        return
    assert all(" " <= char <= "~" for char in written)


KEY = "k\"$(x)`'\\"


@pytest.mark.parametrize(
    ("tongue", "written"),
    [
        ("R", 'list("k\\"$(x)`\'\\\\" = list(NULL, TRUE))'),
        ("scala", 'Map("k\\"$(x)`\'\\\\" -> Seq(None, true))'),
        ("julia", 'Dict("k\\"\\$(x)`\'\\\\" => [nothing, true])'),
        ("matlab", 'containers.Map({char(("" + "k""$(x)`\'" + char([92])))}, {{NaN, true}})'),
        (
            ".net-fsharp",
            '([ ("k\\"$(x)`\'\\\\", [ None; true ] :> System.IComparable) ] |> Map.ofList)',
        ),
        (".net-powershell", "@{'k\"$(x)`''\\' = @($Null, $True)}"),
    ],
)
def test_a_key_is_written_as_safely_as_a_value(tongue: str, written: str) -> None:
    assert literal(DIALECTS[tongue], {KEY: [None, True]}) == written


def test_csharp_writes_a_dictionary() -> None:
    written = literal(DIALECTS[".net-csharp"], {KEY: [2**31, -1]})
    inside = '{ "k\\"$(x)`\'\\\\" , new [] { 2147483648L, -1 } }'
    assert written == f"new Dictionary<string,Object>{{ {inside} }}"


@pytest.mark.parametrize(
    ("language", "value"),
    [
        ("bash", {"a": 1}),
        ("bash", [[1]]),
        ("bash", [{}]),
        ("C#", None),
        ("C#", [None]),
        ("R", 2**53 + 1),
        ("matlab", [-(2**53) - 1]),
        ("R", {"": 1}),
    ],
)
def test_what_a_language_can_not_write_exactly_is_refused(language: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=r"^parameter 'x': "):
        injected_source({"x": value}, language)


def test_a_list_of_one_list_stays_one_in_powershell() -> None:
    source = injected_source({"x": [[1]], "y": "a’$(b)"}, "powershell")
    assert source == "# Parameters\n$x = @(, @(, 1))\n$y = ('' + 'a' + [char]0x2019 + '$(b)')\n"


def test_every_translator_that_papermill_registers_is_replaced_or_python() -> None:
    from papermill.translators import PythonTranslator, papermill_translators

    inject(node(code("y")), {"x": "a"}, None, "julia")
    names = {n: t for n, t in papermill_translators._translators.items() if n[:6] != "nbrun-"}
    others = {name for name, t in names.items() if t is not PythonTranslator}
    assert others == set(DIALECTS)


def test_importing_the_module_loads_no_heavy_library() -> None:
    script = (
        "import sys, nbrun.runbook.parameters.resolve\n"
        "sys.exit(bool({'papermill', 'nbformat', 'yaml'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_loading_papermill_says_nothing() -> None:
    script = (
        "import nbformat; from nbrun.runbook.parameters.resolve import inject\n"
        "nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell('y')])\n"
        "inject(nb, {'x': 1}, 'python3', 'python')"
    )
    argv = [sys.executable, "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
