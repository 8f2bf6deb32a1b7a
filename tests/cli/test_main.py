"""The command line as a whole: exit codes and messages of errors."""

import subprocess
import sys

import pytest

from nbrun import __version__, errors
from nbrun.cli.main import main
from nbrun.errors import ExitCode
from nbrun.views.text.options import DisplayOptions
from tests.support.build_notebooks import code, notebook, write


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run `nbrun` in this process, in a temporary folder. Return exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NBRUN_RUNS_DIR", str(tmp_path / "runs"))

    def nbrun(*words):
        monkeypatch.setattr(sys, "argv", ["nbrun", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return nbrun


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.NbrunError, 1),
        (errors.UsageError, 2),
        (errors.RunbookError, 2),
        (errors.ParameterError, 2),
        (errors.RunNotFoundError, 2),
        (errors.JournalError, 1),
        (errors.KernelError, 1),
        (errors.DamagedJournalError, 7),
    ],
)
def test_error_becomes_exit_code_and_one_line(run, monkeypatch, error, code):
    def broken(*_arguments, **_options):
        raise error("what is wrong, and what to do")

    monkeypatch.setattr("nbrun.cli.commands.records.runs.show", broken)
    exit_code, out, err = run("runs")
    assert exit_code == code
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("nbrun: ")
    assert "Traceback" not in err


def test_ctrl_c_before_a_run_exits_without_traceback(run, monkeypatch):
    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("nbrun.cli.commands.records.runs.show", interrupted)
    code, out, err = run("runs")
    assert (code, out) == (130, "")
    assert "Traceback" not in err


SHOWING = {
    "start": ("nbrun.cli.commands.operate.start.start", 400),
    "attach": ("nbrun.cli.commands.operate.attach.attach", 400),
    "watch": ("nbrun.cli.commands.operate.watch.watch", 400),
    "resume": ("nbrun.cli.commands.operate.resume.resume", 400),
    "log": ("nbrun.cli.commands.records.log.show", 0),
}


@pytest.mark.parametrize("command", SHOWING)
def test_commands_that_show_a_run_share_display_options(run, monkeypatch, command):
    acts, most = SHOWING[command]
    seen = []

    def act(*arguments, **options):
        seen.append(options["display"] if "display" in options else arguments[0].display)
        return ExitCode.COMPLETED

    monkeypatch.setattr(acts, act)
    monkeypatch.setattr("nbrun.supervisor.spawn.spawn", lambda: None)
    assert run(command, "it")[0] == 0
    assert run(command, "it", "--plain", "--full-traceback", "--max-lines", "7")[0] == 0
    assert seen == [
        DisplayOptions(max_lines=most),
        DisplayOptions(plain=True, full_traceback=True, max_lines=7),
    ]
    assert run(command, "it", "--max-lines", "-1")[0] == 2


def test_exit_codes_keep_their_numbers():
    assert {code.name: code.value for code in ExitCode} == {
        "COMPLETED": 0,
        "INTERNAL": 1,
        "USAGE": 2,
        "OFF_SCRIPT": 3,
        "FAILED": 4,
        "CANCELLED": 5,
        "INDETERMINATE": 6,
        "ALTERED": 7,
        "WAITING": 8,
        "INTERRUPTED": 130,
    }


def test_version_option_prints_version(run):
    assert run("--version") == (0, f"nbrun {__version__}\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ("--no-such-option",),
        ("no-such-command",),
        ("start",),
        ("start", "x.ipynb", "--no-such-option"),
        ("start", "x.ipynb", "--on-failure", "guess"),
        ("log", "--speed", "0"),
        ("log", "--max-wait", "-1"),
        ("export", "last"),
    ],
)
def test_wrong_command_line_is_usage_error(run, words):
    code, out, err = run(*words)
    assert code == 2
    assert out == ""
    assert err
    assert "Traceback" not in err


def test_no_arguments_show_help(run):
    code, out, err = run()
    assert code == 2
    assert "start" in out + err


def test_missing_notebook_is_usage_error_and_creates_nothing(run, tmp_path):
    code, _, err = run("start", "nowhere.ipynb")
    assert code == 2
    assert "nowhere.ipynb" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("-p", "days=many"),
        ("-p", "nothing"),
        ("-f", "nowhere.yaml"),
        ("--cwd", "nowhere"),
        ("--max-output", "much"),
        ("--wait-for", "long"),
        ("--kernel", "nowhere"),
        ("--step",),  # there is no terminal here
    ],
)
def test_wrong_option_value_is_usage_error_and_creates_nothing(run, tmp_path, words):
    write(tmp_path, notebook(code("days = 1", tags=["parameters"])))
    code_, _, err = run("start", "runbook.ipynb", *words)
    assert code_ == 2
    assert err.startswith("nbrun: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_missing_run_is_usage_error(run):
    for command in (("log",), ("log", "x"), ("export", "last", "--notebook")):
        code, _, err = run(*command)
        assert code == 2
        assert "nbrun runs" in err


def test_help_loads_no_heavy_library():
    """Help and completion must be fast."""
    heavy = ("nbclient", "nbformat", "papermill", "jupyter_client", "zmq")
    program = (
        "import sys; from nbrun.cli.main import main\n"
        "sys.argv = ['nbrun', 'start', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print('loaded:', [name for name in {heavy!r} if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[-1] == "loaded: []"
