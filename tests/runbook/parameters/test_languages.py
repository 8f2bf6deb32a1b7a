"""The names of a notebook's language and of its parameters."""

import pytest

from nbrun.errors import ParameterError
from nbrun.runbook.parameters.languages import check_name, language_name


@pytest.mark.parametrize(
    ("kernel_name", "language", "name"),
    [
        (None, None, "python"),
        ("python3", None, "python"),
        ("conda-env-py", "python", "python"),
        ("pysparkkernel", "python", "pysparkkernel"),
        ("bash", "sh", "bash"),
        ("ir", "R", "R"),
        ("ir", None, "R"),
        ("deno", None, "typescript"),
        ("deno", "typescript", "typescript"),
        ("xpython", None, "python"),
        ("ocaml", None, "ocaml"),
        (None, "ocaml", "ocaml"),
    ],
)
def test_kernel_name_takes_precedence_over_language(
    kernel_name: str | None, language: str | None, name: str
) -> None:
    assert language_name(kernel_name, language) == name


@pytest.mark.parametrize(
    ("name", "language"),
    [("class", "typescript"), ("await", "javascript"), ("TRUE", "R"), ("a.b", "typescript")],
)
def test_reserved_word_is_no_name(name: str, language: str) -> None:
    with pytest.raises(ParameterError, match="not a valid parameter name"):
        check_name(name, language)
    check_name(f"{name.replace('.', '_')}_", language)
