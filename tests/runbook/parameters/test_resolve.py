"""Resolving raw values to typed ones: names, types, secrets and required parameters."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.errors import ParameterError
from nbrun.runbook.parameters.declarations import Declarations
from nbrun.runbook.parameters.languages import language_name
from nbrun.runbook.parameters.resolve import ResolvedParameters, resolve
from nbrun.runbook.parameters.types import Parameter, RawValue, raw_text


def typed(kind: Any, given: str, **keys: Any) -> Any:
    """Return the value of `-p x=given` for a parameter of type `kind`."""
    declarations = Declarations({"x": Parameter("x", kind, **keys)}, "python")
    return resolve(declarations, {"x": raw_text(given, "-p")}).values["x"]


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
def test_text_converted_to_declared_type(kind: str, given: str, value: Any) -> None:
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
def test_text_of_wrong_type_refused(kind: str, given: str) -> None:
    with pytest.raises(ParameterError, match=r"^parameter 'x' \(-p\): ") as caught:
        typed(kind, given)
    assert len(str(caught.value)) < 250
    str(caught.value).encode()


@given(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_their_exact_value(number: int, fraction: float) -> None:
    assert typed("int", str(number)) == number
    assert typed("float", repr(fraction)) == fraction


def test_refusal_names_parameter_value_and_type() -> None:
    with pytest.raises(ParameterError) as caught:
        typed("int", "80x")
    assert str(caught.value) == "parameter 'x' (-p): '80x': expected an int: digits such as 42"


def resolve_name(name: str, known: tuple[str, ...], language: str, undeclared: bool) -> Any:
    parameters = {each: Parameter(each, "int") for each in known}
    declarations = Declarations(parameters, language_name(None, language))
    return resolve(declarations, {name: raw_text("5", "-p")}, undeclared=undeclared).values


def test_undeclared_name_refused_with_nearest_suggestion() -> None:
    with pytest.raises(ParameterError, match=r"did you mean 'port'\? .* declares port, host"):
        resolve_name("prot", ("port", "host"), "python", False)


def test_notebook_without_parameters_accepts_some_only_with_undeclared() -> None:
    with pytest.raises(ParameterError, match="--undeclared"):
        resolve_name("port", (), "python", False)
    assert resolve_name("port", (), "python", True) == {"port": "5"}


def test_undeclared_value_stays_text_and_declared_value_does_not() -> None:
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
def test_dangerous_or_invalid_name_refused(name: str, language: str) -> None:
    with pytest.raises(ParameterError, match=r"^parameter "):
        resolve_name(name, (), language, True)


def test_valid_names_depend_on_language() -> None:
    assert resolve_name("a.b_1", (), "R", True) == {"a.b_1": "5"}
    assert resolve_name("é", (), "python", True) == {"é": "5"}
    assert resolve_name("PATH", ("PATH",), "bash", True) == {"PATH": 5}


def declared_secret(**fields: Any) -> Declarations:
    return Declarations({"token": Parameter("token", "str", secret=True, **fields)}, "python")


def resolved_token(
    declarations: Declarations, text: str, origin: str = "@env"
) -> ResolvedParameters:
    given = {"token": raw_text(text, origin, secret=origin == "@env")}
    return resolve(declarations, given)


def test_value_is_secret_by_declaration_or_by_source() -> None:
    plain = Declarations({"token": Parameter("token", "str")}, "python")
    assert resolved_token(declared_secret(), "hunter2", "v.yaml:1").secrets == {"token"}
    assert resolved_token(plain, "hunter2").secret_values == {"token": "hunter2"}
    assert resolved_token(plain, "hunter2", "-p").secrets == frozenset()


def test_schema_default_of_secret_parameter_is_not_secret() -> None:
    found = resolve(declared_secret(schema={"default": "dry"}), {})
    assert (found.values, found.secrets) == ({"token": "dry"}, frozenset())


@pytest.mark.parametrize(("kind", "text"), [("str", "short"), ("bool", "true"), ("list", "[1]")])
def test_unredactable_secret_refused_with_origin_and_not_shown(kind: Any, text: str) -> None:
    declarations = Declarations({"token": Parameter("token", kind, secret=True)}, "python")
    with pytest.raises(ParameterError, match=r"^parameter 'token' \(@env\): a secret") as caught:
        resolved_token(declarations, text)
    assert text not in str(caught.value)


def test_contract_context_shows_values_and_defaults_but_no_secret() -> None:
    parameters = {
        "db": Parameter("db", "str", "'blue'"),
        "days": Parameter("days", "int", "7"),
        "url": Parameter("url", "any", "f(1)"),
        "token": Parameter("token", "str", "''", secret=True),
    }
    found = resolve(Declarations(parameters, "python"), {"db": raw_text("green", "-p")})
    context = found.contract_context({"timeout": 5})
    assert context.values == {"db": "green", "days": 7}
    assert context.hidden == {"token"}
    assert context.defaults == {"timeout": 5}


def test_missing_required_parameters_refused_by_name() -> None:
    parameters = {name: Parameter(name, "str", required=True) for name in ("db", "host")}
    with pytest.raises(ParameterError, match="requires db, host: give each with -p"):
        resolve(Declarations(parameters, "python"), {})


def test_invalid_schema_default_does_not_matter_if_value_is_given() -> None:
    schema = {"type": "integer", "default": "a"}
    declarations = Declarations({"x": Parameter("x", "int", schema=schema)}, "python")
    assert resolve(declarations, {"x": RawValue(5, "5", "v.yaml:1")}).values == {"x": 5}
