"""Parameter values from the command line, the environment, a file and prompts."""

from pathlib import Path
from typing import Any

import pytest

from nbrun.cli.commands.gather_parameters import ParameterOptions, gather, read_declarations
from nbrun.cli.commands.prompts import Prompts
from nbrun.errors import ParameterError
from nbrun.runbook.parameters.declarations import Declarations
from tests.support.build_notebooks import PYTHON, code, notebook, write

CELL = code("a = 1; b = 1; c = 1; token = ''", tags=["parameters"])
SECRET = {"properties": {"token": {"type": "string", "writeOnly": True}}}


def book(folder: Path, **schema: Any) -> Path:
    metadata = {**PYTHON, "nbrun": {"parameters": {**SECRET, **schema}}}
    return write(folder, notebook(CELL, metadata=metadata))


def declared(path: Path) -> Declarations:
    return read_declarations(path, None)


def test_value_from_option_then_environment_then_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("a: file\nb: file\nc: file\n")
    monkeypatch.setenv("NBRUN_PARAM_A", "environment")
    monkeypatch.setenv("NBRUN_PARAM_B", "environment")
    options = ParameterOptions(("a=option",), values)
    given = gather(options, declared(book(tmp_path)), None)
    assert {name: raw.value for name, raw in given.items()} == {
        "a": "option",
        "b": "environment",
        "c": "file",
    }


def test_secret_in_environment_or_file_accepted_and_on_command_line_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = book(tmp_path)
    with pytest.raises(ParameterError, match="every user can read the command line"):
        gather(ParameterOptions(("token=hunter2-hunter2",)), declared(path), None)
    monkeypatch.setenv("NBRUN_PARAM_TOKEN", "hunter2-hunter2")
    assert gather(ParameterOptions(), declared(path), None)["token"].text
    values = tmp_path / "values.yaml"
    values.write_text("token: hunter2-hunter2\n")
    assert gather(ParameterOptions((), values), declared(path), None)["token"].text


def test_value_that_no_message_can_hold_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"^parameter 'a' \(-p\): it holds a lone surrogate"):
        gather(ParameterOptions(("a=\udcff",)), declared(book(tmp_path)), None)


def test_missing_value_refused_without_terminal(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="requires token"):
        gather(ParameterOptions(), declared(book(tmp_path, required=["token"])), None)


class Typed(Prompts):
    """A terminal on which these lines are typed."""

    def __init__(self, *lines: str) -> None:
        super().__init__(plain=True)
        self._lines = iter(lines)

    def ask(self, prompt: str, *, secret: bool = False) -> str:
        assert secret
        return next(self._lines)


def test_missing_secret_is_asked_for_until_it_can_be_redacted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = book(tmp_path, required=["token"])
    given = gather(ParameterOptions(), declared(path), Typed("short", "hunter2-hunter2"))
    assert given["token"].text == "hunter2-hunter2"
    assert "less than 6 characters" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "metadata",
    [
        {"kernelspec": {"name": 3}},
        {"kernelspec": {"name": "conda-env-py", "display_name": "", "language": "python"}},
        {},
    ],
)
def test_declarations_are_python_unless_the_metadata_names_another_language(
    tmp_path: Path, metadata: dict[str, Any]
) -> None:
    declarations = read_declarations(write(tmp_path, notebook(CELL, metadata=metadata)), None)
    assert list(declarations.parameters) == ["a", "b", "c", "token"]
    assert declarations.language == "python"
