"""Which parameters the source of a `parameters` cell declares."""

from typing import Any

import pytest

from nbrun.runbook.parameters.declarations import declarations_of
from nbrun.runbook.parameters.languages import language_name
from nbrun.runbook.parameters.types import Parameter
from tests.support.build_notebooks import code, markdown, notebook


def declared(document: Any, language: str) -> dict[str, Parameter]:
    return declarations_of(document, language_name(None, language)).parameters


def declaring(source: str, language: str = "python") -> dict[str, Parameter]:
    return declared(notebook(code("x"), code(source, tags=["parameters"])), language)


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
        ("x: Any = 'a'", "any"),
        ("x: int | str = 1", "any"),
        ("x: Union[str, None] = 'a'", "str"),
        ("x: int | float = 1", "float"),
        ("x: Annotated[int, 'how many'] = 1", "int"),
        ("x: tuple[int, ...] = ()", "list"),
        ("x: Literal['a', 'b'] = 'a'", "str"),
        ("x: Literal['auto', 5] = 5", "any"),
        ("x = None  # type: int", "int"),
        ("x = None  # type: Optional[Dict[str, int]]", "dict"),
        ("x = 'a'  # type: of database", "str"),
        ("x = 'a'  # type: ignore[assignment]", "str"),
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
        ("x = date.today().isoformat()", "any"),
        ("x = os.environ.get('X', '')", "any"),
    ],
)
def test_type_comes_from_annotation_or_default(line: str, kind: str) -> None:
    assert declaring(line)["x"].type == kind


@pytest.mark.parametrize(
    ("line", "declared"),
    [
        ("x: datetime.date = datetime.date(2026, 1, 1)", "datetime.date"),
        ("x: Optional[datetime] = None", "datetime"),
        ("x: Path = 'a'", "Path"),
        ("x: 'Decimal' = 1", "Decimal"),
        ("x: Color = Color.RED", "Color"),
        ("x: Literal[Color.RED] = Color.RED", "Literal[Color.RED]"),
        ("x: int | list = 1", "int | list"),
        ("x = None  # type: datetime.date", "datetime.date"),
        ("x = datetime.date.today()", "datetime.date"),
        ("x = datetime.now() - timedelta(days=1)", "datetime"),
        ("x = Path('/srv') / 'a'", "Path"),
        ("x = b'a'", "bytes"),
    ],
)
def test_type_that_cannot_be_given_is_named(line: str, declared: str) -> None:
    found = declaring(line)["x"]
    assert (found.type, found.declared) == ("other", declared)


def test_type_comment_is_not_help() -> None:
    found = declaring("a = None  # type: int how many\nb = 1  # type: ignore\nc = 1  # type: x y")
    assert [p.help for p in found.values()] == ["how many", "", "type: x y"]


def test_literal_declares_choices() -> None:
    found = declaring("a: Literal['x', 'y'] = 'x'\nb: Optional[Literal[1, 2]] = None")
    assert [p.choices for p in found.values()] == [["x", "y"], [1, 2, None]]


def test_only_annotation_with_none_is_optional() -> None:
    source = (
        "a: int | None = 1\nb: Optional[str] = None\nc: int = 1\nd = None\ne: Union[None, date]"
    )
    assert [p.optional for p in declaring(source).values()] == [True, True, False, False, True]


def test_names_defaults_and_comments_found_in_order() -> None:
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


def test_cell_with_magics_or_broken_line_still_declares() -> None:
    assert list(declaring("%matplotlib inline\n!ls\nx = [\n1]\n")) == ["x"]
    assert list(declaring("    x = 1\n    y = 2\n")) == ["x", "y"]
    assert list(declaring("x: int = 3\ny = = 4\nz = 'a'")) == ["x", "z"]


def test_deep_expression_does_not_crash(capfd: pytest.CaptureFixture[str]) -> None:
    assert declaring("x = " + "(" * 5000 + "1" + ")" * 5000) == {}
    declaring("x = " + "+".join(["1"] * 5000))
    assert declaring("x = '\\d'")["x"].type == "str"
    assert capfd.readouterr().err == ""


def test_only_first_code_cell_tagged_parameters_declares() -> None:
    cells = [
        markdown("m = 0", tags=["parameters"]),
        code("y = 1"),
        code("x = 1", tags=["a", "parameters"]),
        code("z = 1", tags=["parameters"]),
    ]
    assert list(declared(notebook(*cells), "python")) == ["x"]
    assert declared(notebook(code("y = 1")), "python") == {}


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
def test_other_languages_declare_line_by_line(language: str, line: str, kind: str) -> None:
    found = declaring(f"# words\n{line}\nx == 3", language)
    assert {n: (p.type, p.help) for n, p in found.items()} == {"x": (kind, "how many")}


def test_unknown_language_declares_line_by_line() -> None:
    assert declaring("x = 1", "ocaml")["x"].type == "int"
