"""Sources of secrets in files and variables that somebody else may have written."""

from pathlib import Path

import pytest

from tests.support.build_notebooks import PYTHON, code, notebook, write
from tests.support.in_process import Command

SECRET = {"nbrun": {"parameters": {"properties": {"token": {"type": "string", "writeOnly": True}}}}}


@pytest.fixture(autouse=True)
def book(tmp_path: Path) -> None:
    cell = code("host = '@cmd:touch ran'; token = ''", tags=["parameters"])
    write(tmp_path, notebook(cell, metadata=PYTHON | SECRET))


@pytest.mark.parametrize("command", ["plan", "start"])
@pytest.mark.parametrize("source", ["@cmd:touch ran", "@file:/etc/passwd", "@env:HOME", "@prompt"])
def test_source_in_a_file_is_refused(
    tmp_path: Path, nbrun: Command, command: str, source: str
) -> None:
    (tmp_path / "values.yaml").write_text(f"host: '{source}'\n")
    status, _, err = nbrun(command, "runbook.ipynb", "-f", "values.yaml")
    assert status == 2
    assert "parameter 'host' (values.yaml:1)" in err
    assert "--allow-sources" in err
    assert not (tmp_path / "ran").exists()


def test_source_in_the_environment_is_refused(
    tmp_path: Path, nbrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBRUN_PARAM_HOST", "@cmd:touch ran")
    status, _, err = nbrun("start", "runbook.ipynb")
    assert status == 2
    assert "parameter 'host' (NBRUN_PARAM_HOST)" in err
    assert not (tmp_path / "ran").exists()


def test_default_of_the_notebook_is_never_a_source(tmp_path: Path, nbrun: Command) -> None:
    assert nbrun("plan", "runbook.ipynb", "--allow-sources")[0] == 0
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["-p", "host=@cmd:touch ran"],
        ["-f", "allowed.yaml", "--allow-sources"],
        ["-f", "declared.yaml"],
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_plan_reads_no_source(
    tmp_path: Path, nbrun: Command, words: list[str], form: list[str]
) -> None:
    (tmp_path / "allowed.yaml").write_text("host: '@cmd:touch ran'\n")
    (tmp_path / "declared.yaml").write_text("token: '@cmd:touch ran'\n")
    status, out, err = nbrun("plan", "runbook.ipynb", *words, *form)
    assert (status, err) == (0, "")
    assert "from the command touch ran, not run" in out
    assert not (tmp_path / "ran").exists()


def test_plan_refuses_a_source_that_does_not_exist(nbrun: Command) -> None:
    status, _, err = nbrun("plan", "runbook.ipynb", "-p", "host=@vault:x")
    assert status == 2
    assert "@vault is not a source of secrets" in err


@pytest.mark.parametrize(
    ("name", "options"), [("host", ["--allow-sources"]), ("token", []), ("host", None)]
)
def test_source_is_read_where_the_operator_asks_for_it(
    tmp_path: Path, name: str, options: list[str] | None
) -> None:
    from nbrun.cli.commands.gather_parameters import ParameterOptions, gather, read_declarations

    values = tmp_path / "values.yaml"
    values.write_text(f"{name}: '@cmd:echo hunter2-hunter2'\n")
    given = ParameterOptions((), values, allow_sources=bool(options))
    if options is None:
        given = ParameterOptions((f"{name}=@cmd:echo hunter2-hunter2",))
    raw = gather(given, read_declarations(tmp_path / "runbook.ipynb", None), None)[name]
    assert (raw.text, raw.secret, raw.unread) == ("hunter2-hunter2", True, "")
