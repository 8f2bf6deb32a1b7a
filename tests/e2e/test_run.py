"""Unattended runs: their steps, their end, and their exit codes."""

import json
import shutil
import sys

import pytest

from nbrun.core import events as ev
from tests.support.build_notebooks import code, markdown, raw
from tests.support.terminal import Desk

SAVE = "from pathlib import Path; Path('values').write_text(repr(values))"


@pytest.mark.sweep
def test_notebook_with_unknown_keys_runs_with_notice(desk: Desk) -> None:
    desk.book(
        markdown("# Check", outputs=[], execution_count=0),
        code("print('ran')", id="one", metadata={"name": 5}, azdata_cell_guid="x"),
        metadata={"kernelspec": {"display_name": "SQL"}, "language_info": {}},
    )
    assert desk.command("check", "runbook.ipynb").returncode == 2
    assert desk.unattended().returncode == 2
    ended = desk.unattended("--kernel", "python3")
    assert ended.returncode == 0, ended.stderr
    assert "nbformat does not know (outputs, execution_count, azdata_cell_guid)" in ended.stdout
    assert desk.printed("one") == "ran\n"
    desk.notebook()  # is valid


@pytest.mark.sweep
def test_run_executes_every_step_in_order_and_exits_0(desk: Desk) -> None:
    desk.book(
        markdown("# Say **hello**"),
        code("x = 20", id="one"),
        raw("not for people"),
        code("", id="blank"),
        code("print('x is', x + 1)", id="two"),
        code("never()", id="declared", tags=["skip-execution"]),
        code("raise KeyError('expected')", id="expected", tags=["raises-exception"]),
        code("!exit 3", id="excused", tags=["shell-errors-ok"]),
        markdown("All is done."),
    )
    ended = desk.unattended("--reason", "the drill", "--ticket", "OPS-9")
    assert ended.returncode == 0, ended.stdout
    assert ended.stderr == ""
    for shown in ("Say hello", "x is 21", "KeyError", "All is done.", "completed, on script"):
        assert shown in ended.stdout
    assert "a shell command exited with 3, which is allowed here" in ended.stdout
    assert "not run: the runbook tags it skip-execution" in ended.stdout
    assert desk.attempts() == [
        ("one", 1, "ok"),
        ("two", 1, "ok"),
        ("expected", 1, "error"),
        ("excused", 1, "ok"),
    ]
    assert desk.events(ev.Stopped) == []
    assert desk.decisions() == []
    started = desk.events(ev.RunStarted)[0]
    assert (started.reason, started.ticket) == ("the drill", "OPS-9")
    assert desk.finish().outcome == "completed"
    assert not desk.finish().off_script
    assert "\x1b" not in ended.stdout


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("source", "ename"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("!false", "ShellError"),
        ("import sys; sys.exit(3)", "SystemExit"),
        ("input('anybody? ')", "StdinNotImplementedError"),
        ("%pdb on\n1 / 0", None),
    ],
    ids=["error", "shell", "exit", "input", "debugger"],
)
def test_failed_step_ends_an_unattended_run_without_questions(
    desk: Desk, source: str, ename: str | None
) -> None:
    desk.book(code("print('first')", id="first"), code(source, id="bad"), code("1", id="never"))
    ended = desk.unattended()
    assert ended.returncode == 4, ended.stdout
    assert "nobody was there to decide" in ended.stdout
    assert "step 3  1: not run" in ended.stdout
    assert "[y/N]" not in ended.stdout
    assert desk.attempts() == [("first", 1, "ok"), ("bad", 1, "error")]
    assert desk.finish().outcome == "failed"
    assert desk.events(ev.InputRequested) == []
    if ename is not None:
        assert desk.events(ev.AttemptFinished)[-1].ename == ename
        assert ename in ended.stdout


def test_on_failure_stop_ends_an_attended_run(desk: Desk) -> None:
    desk.book(code("1 / 0", id="bad"), code("1", id="never"))
    terminal = desk.start("--on-failure", "stop")
    assert terminal.wait() == 4
    assert desk.attempts() == [("bad", 1, "error")]
    assert desk.decisions() == []


def test_shell_errors_ignore_applies_to_the_whole_run(desk: Desk) -> None:
    desk.book(code("!false", id="shell"), code("print('went ' + 'on')", id="next"))
    ended = desk.unattended("--shell-errors", "ignore")
    assert ended.returncode == 0
    assert "went on" in ended.stdout
    assert desk.attempts() == [("shell", 1, "ok"), ("next", 1, "ok")]
    assert desk.events(ev.AttemptFinished)[0].shell_exit == 1


def test_cell_that_exits_with_0_completes_the_run(desk: Desk) -> None:
    desk.book(code("import sys; sys.exit(0)", id="ends"), code("print('no' + 't')", id="later"))
    ended = desk.unattended()
    assert ended.returncode == 0, ended.stdout
    assert "not run: the runbook ended itself at step 1" in ended.stdout
    assert desk.attempts() == [("ends", 1, "ok")]
    assert desk.finish().outcome == "completed"
    assert desk.finish().counts["not_run"] == 1


@pytest.mark.parametrize(
    "source",
    [
        "exit()",
        pytest.param("exit(0)", marks=pytest.mark.sweep),
        pytest.param("quit()", marks=pytest.mark.sweep),
        "exit",
        pytest.param("if True: exit()", marks=pytest.mark.sweep),
        pytest.param("try: exit()\nexcept Exception: pass", marks=pytest.mark.sweep),
        "%%capture\nexit()",
        pytest.param("%%capture\nimport sys; sys.exit(0)", marks=pytest.mark.sweep),
        pytest.param("get_ipython().run_cell('quit()')", marks=pytest.mark.sweep),
    ],
)
def test_exit_ends_the_cell_and_completes_the_run(desk: Desk, source: str) -> None:
    rest = "" if source == "exit" else "\nopen('dropped', 'w').close()"  # IPython's own shorthand
    desk.book(code(source + rest, id="ends"), code("1", id="later"))
    ended = desk.unattended()
    assert ended.returncode == 0, ended.stdout
    assert not (desk.folder / "dropped").exists()
    assert "not run: the runbook ended itself at step 1" in ended.stdout
    assert desk.attempts() == [("ends", 1, "ok")]


def test_exit_code_over_128_is_recorded_as_the_shell_has_it(desk: Desk) -> None:
    codes = {
        "!exit 255": 255,
        "!kill -9 $$": 137,
        "out = !exit 255": 255,
        "out = !kill -9 $$": 137,
        "get_ipython().system_raw('exit 255')": 255,
    }
    goes_on = ["raises-exception"]
    desk.book(*(code(each, tags=goes_on) for each in codes), code("!exit 129"))
    ended = desk.unattended()
    assert ended.returncode == 4, ended.stdout
    attempts = desk.events(ev.AttemptFinished)
    assert [each.shell_exit for each in attempts] == [*codes.values(), 129]
    assert "shell command 1 of 1 exited with 129" in ended.stdout
    assert "tag the cell shell-errors-ok, or start with --shell-errors ignore" in " ".join(
        ended.stdout.split()
    )


@pytest.mark.parametrize(
    ("argv", "cause"),
    [
        (["/nowhere/python"], "/nowhere/python, or the interpreter that it names, does not exist"),
        (
            [sys.executable, "-c", "import no_such_kernel"],
            "ModuleNotFoundError: No module named 'no_such_kernel'",
        ),
    ],
)
def test_kernel_that_does_not_start_names_the_cause(
    desk: Desk, argv: list[str], cause: str
) -> None:
    spec = desk.folder / "jupyter" / "kernels" / "broken"
    spec.mkdir(parents=True)
    argv = [*argv, "{connection_file}"]
    about = {"argv": argv, "display_name": "broken", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(about))
    desk.variables["JUPYTER_PATH"] = str(desk.folder / "jupyter")
    desk.book(code("1"))
    ended = desk.unattended("--kernel", "broken")
    assert ended.returncode == 4, ended.stdout
    assert cause in " ".join(ended.stdout.split())
    (died,) = desk.events(ev.KernelDied)
    assert cause in died.why


def test_unattended_shell_command_keeps_its_line_numbers(desk: Desk) -> None:
    # dash, which many systems have as sh, does not count lines.
    desk.variables["SHELL"] = shutil.which("bash") or "bash"
    desk.book(code("!bash -c 'true' && echo line $LINENO", id="counts"))
    assert desk.unattended().returncode == 0
    assert desk.printed("counts").split() == ["line", "1"]


@pytest.mark.sweep
def test_json_prints_the_journals_lines(desk: Desk) -> None:
    desk.book(code("print('naïve', '\\x1b[31m')", id="one"), code("1 / 0", id="bad"))
    ended = desk.unattended("--json")
    assert ended.returncode == 4
    assert ended.stdout == (desk.run / "journal.jsonl").read_text()
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    assert lines[-1]["event"] == "run.finished"
    again = desk.command("log", "--json")
    assert again.stdout == ended.stdout


def test_json_on_a_terminal_asks_nothing(desk: Desk) -> None:
    desk.book(code("1 / 0", id="bad"))
    terminal = desk.start("--json")
    assert terminal.wait() == 4
    assert '"event":"run.finished"' in terminal.text().replace("\n", "")
    assert "step 1>" not in terminal.text()


HOSTILE = [
    "$(touch oops)",
    "`touch oops`",
    'it\'s "quoted" \\ and {x} {{y}} %s',
    "two\nlines\n",
    "'''\"\"\"",
    "'); import os; os.mkdir('oops'); ('",
    "--flag=x",
    "ünï→😀",
    "",
]


def test_parameter_values_reach_the_cell_unchanged(desk: Desk) -> None:
    defaults = "code = 'A1'\ncount = 1\nratio = 0.5\ndry = True\nhosts = ['a']\n"
    texts = [f"text{n}" for n in range(len(HOSTILE))]
    defaults += "\n".join(f"{name} = ''" for name in texts)
    wanted = ", ".join(["code", "count", "ratio", "dry", "hosts", *texts])
    desk.book(
        code(defaults, id="parameters", tags=["parameters"]),
        code(f"values = [{wanted}]", id="collect"),
        code(SAVE, id="save"),
    )
    given = ["code=007", "count=7", "ratio=1.5", "dry=false", 'hosts=["x", "y"]']
    given += [f"{name}={value}" for name, value in zip(texts, HOSTILE, strict=True)]
    ended = desk.unattended(*(word for each in given for word in ("-p", each)))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    values = ["007", 7, 1.5, False, ["x", "y"], *HOSTILE]
    assert (desk.folder / "values").read_text() == repr(values)
    assert not (desk.folder / "oops").exists()
    recorded = desk.events(ev.RunStarted)[0].parameters
    assert list(recorded.values()) == values
    assert desk.events(ev.RunStarted)[0].steps[0].id == "parameters"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["start", "nowhere.ipynb"], "no such file"),
        (["start", "runbook.ipynb", "--kernel", "cobol"], "no kernel named 'cobol'"),
        (["start", "runbook.ipynb", "-p", "hots=a"], "hots"),
        (["start", "runbook.ipynb", "-p", "host=a", "-p", "host=b"], "host"),
        (["start", "runbook.ipynb", "-p", "host"], "host"),
        (["start", "plain.ipynb", "-p", "host=a"], "host"),
        (["start", "runbook.ipynb", "--step"], "--step"),
        (["start", "runbook.ipynb", "--cwd", "nowhere"], "no such folder"),
        (["log"], "no run called 'last'"),
    ],
    ids=["file", "kernel", "name", "twice", "no value", "no parameters", "step", "cwd", "log"],
)
def test_invalid_command_prints_one_line_and_runs_nothing(
    desk: Desk, arguments: list[str], told: str
) -> None:
    ran = code("open('ran', 'w')", id="ran")
    desk.book(ran).rename(desk.folder / "plain.ipynb")
    desk.book(code("host = 'a'", id="parameters", tags=["parameters"]), ran)
    ended = desk.command(*arguments)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert told in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert "Traceback" not in ended.stderr
    assert not desk.runs.exists()
    assert not (desk.folder / "ran").exists()
