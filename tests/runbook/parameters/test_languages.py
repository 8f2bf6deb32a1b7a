"""The names of a notebook's language and of its parameters."""

import pytest

from nbrun.runbook.parameters.languages import language_name


@pytest.mark.parametrize(
    ("kernel_name", "language", "name"),
    [
        (None, None, "python"),
        ("python3", None, "python"),
        ("conda-env-py", "python", "python"),
        ("pysparkkernel", "python", "pysparkkernel"),
        ("bash", "sh", "bash"),
        ("ir", "R", "R"),
        ("ocaml", None, "ocaml"),
        (None, "ocaml", "ocaml"),
    ],
)
def test_kernel_name_takes_precedence_over_language(
    kernel_name: str | None, language: str | None, name: str
) -> None:
    assert language_name(kernel_name, language) == name
