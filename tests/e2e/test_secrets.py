"""Secrets: a known value goes to the kernel and nowhere else."""

import base64
import hashlib
import os
import signal
from pathlib import Path

import pytest

from nbrun.core import events as ev
from tests.support.build_events import kernel_started, run_started, step, stopped, write
from tests.support.build_notebooks import PYTHON, code
from tests.support.terminal import Desk, files_below, is_gone, wait_until

CANARY = "c4n4ry-T0K3N/=%+é"
SCHEMA = {"properties": {"token": {"type": "string", "writeOnly": True}}}


def cells() -> list[dict[str, object]]:
    return [
        code("token = ''", tags=["parameters"]),
        code(
            "import base64, json, os, sys, time, urllib.parse\n"
            "print('length', len(token))\n"
            "print(token); print(repr(token)); print(json.dumps(token), file=sys.stderr)\n"
            "print(urllib.parse.quote(token), base64.b64encode(token.encode()).decode())\n"
            "for char in token: print(char, end='', flush=True); time.sleep(0.08)\n"
            "print()\n"
            "os.write(2, f'by the process: {token}\\n'.encode())\n"
            "sys.__stderr__.write(f'past the capture: {token}\\n')\n"
            "os.environ['SHOWN'] = token\n"
            "import subprocess\n"
            "subprocess.run(['bash', '--norc', '-i'], input=f': {token}\\nexit\\n', text=True,\n"
            "    stderr=subprocess.DEVNULL)",
            id="leak",
        ),
        code("!echo $SHOWN", id="shell"),
        code("{'token': token}", id="shown"),
        code("raise ValueError('refused: ' + token)", id="fail"),
    ]


@pytest.fixture
def book(desk: Desk) -> Desk:
    desk.book(*cells(), metadata={**PYTHON, "nbrun": {"parameters": SCHEMA}})
    return desk


def leaks(data: bytes) -> bool:
    """Return True if `data` contains the secret in a common encoding.

    The part that no encoding changes is searched first.
    """
    forms = ("c4n4ry", base64.b64encode(CANARY.encode()).decode()[:-4])
    return any(form.encode() in data for form in forms)


def leaky_files(folder: Path) -> list[Path]:
    return [path for path, data in files_below(folder) if leaks(data)]


def leaky_processes() -> list[str]:
    """Return the processes whose command line contains the secret."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            data = path.read_bytes()
        except OSError:  # it has ended
            continue
        if leaks(data):
            found.append(str(path))
    return found


def test_typed_secret_is_in_the_kernel_alone(book: Desk) -> None:
    terminal = book.start("-p", "token=@prompt")
    terminal.answer("token (secret):", CANARY)
    terminal.prompted("step 6>")
    assert leaky_processes() == []
    assert leaky_files(book.folder) == []
    book.editor_does("s/raise.*/print(len('[secret:token]'), token == '[secret:token]')/")
    terminal.type("e")
    terminal.answer("run this? [y/N]", "y")
    terminal.answer("go back):", "the token was refused")
    assert terminal.wait() == 3
    assert not leaks(bytes(terminal.raw))
    assert leaky_files(book.folder) == []
    assert f"length {len(CANARY)}" in book.printed("leak")
    assert book.printed("fail") == f"{len(CANARY)} True\n"
    assert book.events(ev.RunStarted)[0].secrets == ("token",)


@pytest.mark.sweep
def test_secret_typed_in_a_note_or_reason_is_not_recorded(book: Desk) -> None:
    book.variables["VAULT"] = CANARY
    terminal = book.start("-p", "token=@env:VAULT")
    terminal.answer("step 6>", f"note is {CANARY} right?")
    terminal.answer("step 6>", "s")
    terminal.answer("go back):", f"{CANARY} was refused")
    assert terminal.wait() == 3
    assert leaky_files(book.folder) == []
    assert book.decisions() == [("skip", "[secret:token] was refused")]


@pytest.mark.sweep
def test_json_log_and_exports_do_not_show_a_secret(book: Desk) -> None:
    book.variables["VAULT"] = CANARY
    ended = book.unattended("-p", "token=@env:VAULT", "--json")
    assert ended.returncode == 4
    told = [
        ended,
        book.command("log", "last"),
        book.command("log", "--json"),
        book.command("export", "last", "--notebook", "out.ipynb"),
        book.command("runs", "--json"),
    ]
    for each in told:
        assert not leaks((each.stdout + each.stderr).encode()), each.args
    assert leaky_files(book.folder) == []
    assert book.printed("leak").count("[secret:token") == 5
    injected = book.events(ev.AttemptStarted)[1].source
    assert 'token = "[secret:token:code]"' in injected or 'token = "[secret:token]"' in injected
    assert book.printed("shell").strip() == "[secret:token]"


def test_text_buffered_at_the_end_is_in_the_output_notebook(
    desk: Desk,
) -> None:
    desk.book(
        code("token = ''", tags=["parameters"]),
        code(
            "import threading, time\n"
            "threading.Thread(target=lambda: (time.sleep(1), print(token[:5], end=''))).start()",
            id="late",
        ),
    )
    desk.variables["VAULT"] = CANARY
    assert desk.unattended("-p", "token=@env:VAULT").returncode == 0
    (path,) = desk.run.glob("*.ipynb")
    assert desk.finish().notebook_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert desk.printed("late") == CANARY[:5]


def test_secret_is_read_from_each_source(desk: Desk) -> None:
    names = ("env", "file", "cmd", "keyring", "plain")
    desk.book(
        code("\n".join(f"{name} = ''" for name in names), tags=["parameters"]),
        code("print([each[::2] for each in (env, file, cmd, keyring, plain)])", id="show"),
    )
    (desk.folder / "held").write_text("from-a-file\n")
    (desk.folder / "lib").mkdir()
    (desk.folder / "lib" / "vault.py").write_text(VAULT)
    desk.variables |= {
        "HELD": "from-the-environment",
        "PYTHONPATH": str(desk.folder / "lib"),
        "PYTHON_KEYRING_BACKEND": "vault.Vault",
    }
    sources = {
        "env": "@env:HELD",
        "file": "@file:held",
        "cmd": "@cmd:echo '$(id) from a command'",
        "keyring": "@keyring:nbrun/ops/ada",
        "plain": "@@no-secret",
    }
    given = [word for name, source in sources.items() for word in ("-p", f"{name}={source}")]
    ended = desk.unattended(*given)
    assert ended.returncode == 0, ended.stderr
    arrived = (
        "from-the-environment",
        "from-a-file",
        "$(id) from a command",
        "ada of nbrun/ops",
        "@no-secret",
    )
    assert desk.printed("show") == f"{[each[::2] for each in arrived]}\n"
    started = desk.events(ev.RunStarted)[0]
    assert started.secrets == ("cmd", "env", "file", "keyring")
    assert started.parameters["plain"] == "@no-secret"
    journal = (desk.run / "journal.jsonl").read_text()
    assert not any(each in journal for each in arrived[:4])


VAULT = """
from keyring.backend import KeyringBackend
class Vault(KeyringBackend):
    priority = 1
    def get_password(self, service, username): return f"{username} of {service}"
    def set_password(self, service, username, password): pass
    def delete_password(self, service, username): pass
"""


def test_secret_number_arrives_as_a_number(desk: Desk) -> None:
    desk.book(code("pin = 0", tags=["parameters"]), code("print(pin * 2, pin)", id="show"))
    desk.variables["PIN"] = "12345678"
    assert desk.unattended("-p", "pin=@env:PIN").returncode == 0
    assert desk.printed("show") == "24691356 [secret:pin]\n"
    assert desk.events(ev.RunStarted)[0].parameters == {"pin": "[secret:pin]"}
    assert all(b"12345678" not in data for _, data in files_below(desk.runs))


def test_matches_of_a_teams_pattern_are_redacted(desk: Desk) -> None:
    desk.book(
        code("key = 'AKIA' + '1234567'\nprint(key)\nx = 'AKIAQQQQQQQ'; print(len(x))", id="a")
    )
    (desk.folder / "nbrun.toml").write_text("[redact]\npatterns = ['AKIA[A-Z0-9]{7}']\n")
    assert desk.unattended().returncode == 0
    assert desk.printed("a") == "[redacted]\n11\n"
    assert all(b"AKIAQQ" not in data for _, data in files_below(desk.runs))


@pytest.mark.parametrize("value", ["short", ""])
def test_short_secret_is_refused_and_runs_nothing(book: Desk, value: str) -> None:
    book.variables["VAULT"] = value
    ended = book.unattended("-p", "token=@env:VAULT")
    assert ended.returncode == 2
    assert "less than 6 characters" in ended.stderr
    assert not book.runs.exists()


def test_secret_on_the_command_line_is_refused(book: Desk) -> None:
    ended = book.unattended("-p", f"token={CANARY}")
    assert ended.returncode == 2
    assert "every user can read the command line" in ended.stderr
    assert not leaks(ended.stderr.encode())


def interrupted(desk: Desk, *, kernel_too: bool) -> None:
    """Interrupt a run with two secrets after step 3 has failed."""
    desk.book(
        code("token = ''; pin = 0", tags=["parameters"]),
        code("import os; print(token, pin); assert os.path.exists('go')", id="fail"),
        metadata={**PYTHON, "nbrun": {"parameters": SCHEMA}},
    )
    desk.variables |= {"VAULT": CANARY, "PIN": "12345678"}
    terminal = desk.start(
        "-p", "token=@env:VAULT", "-p", "pin=@env:PIN", "-p", "db=x", "--undeclared"
    )
    terminal.prompted("step 3>")
    desk.kill_supervisor()
    terminal.wait()
    if kernel_too:
        os.killpg(desk.kernel(), signal.SIGKILL)
        wait_until(lambda: is_gone(desk.kernel()))


@pytest.mark.sweep
def test_resumed_run_never_sends_a_redacted_placeholder(
    desk: Desk,
) -> None:
    interrupted(desk, kernel_too=False)
    resumed = desk.open("resume", "-p", "pin=@env:PIN")
    resumed.until("unknown secrets, recorded in clear text if a cell prints them: token")
    resumed.answer("step 3>", "r 2")
    resumed.answer("go back):", "again")
    resumed.until("SecretUnknownError: the secret token is not known to this process")
    (desk.folder / "go").touch()
    resumed.answer("step 2>", "j 3")
    resumed.answer("go back):", "it has its token")
    resumed.answer("step 3>", "s")
    resumed.answer("go back):", "")
    assert resumed.wait() == 3
    assert leaky_files(desk.folder) == []
    assert [event.secrets for event in desk.events(ev.RunResumed)] == [("pin",)]


@pytest.mark.sweep
def test_resume_without_the_kernel_asks_for_secrets_again(desk: Desk) -> None:
    interrupted(desk, kernel_too=True)
    resumed = desk.open("resume", "-p", "token=@env:VAULT")
    resumed.answer("pin (secret; Enter to continue without it):", "12345678")
    (desk.folder / "go").touch()
    resumed.answer("step 3>", "r")
    resumed.answer("go back):", "")
    assert resumed.wait() == 3
    assert not leaks(bytes(resumed.raw))
    assert leaky_files(desk.folder) == []
    assert desk.printed("fail").splitlines() == ["[secret:token] [secret:pin]"] * 2
    assert [event.secrets for event in desk.events(ev.RunResumed)] == [("pin", "token")]
    journal = (desk.run / "journal.jsonl").read_bytes()
    digests = (hashlib.new(name, CANARY.encode()).hexdigest() for name in ("md5", "sha1", "sha256"))
    assert not any(digest.encode() in journal for digest in digests)


@pytest.mark.parametrize("secret", ["postgres", pytest.param("python", marks=pytest.mark.sweep)])
def test_run_with_secret_that_its_path_or_kernel_contains_is_resumed(
    desk: Desk, secret: str
) -> None:
    (desk.folder / "postgres").mkdir()
    path = "postgres/runbook.ipynb"
    parameters = code("token = ''", tags=["parameters"])
    gate = {"nbrun": {"confirm": "Drop it?", "type": "postgres"}}
    checks = code("import os; assert os.path.exists('go')", id="fail", metadata=gate)
    desk.book(parameters, checks).rename(desk.folder / path)
    desk.variables["VAULT"] = secret
    terminal = desk.open("start", path, "-p", "token=@env:VAULT")
    terminal.until("the secret token is a common word, or the runbook contains it")
    terminal.answer("step 3>", "go")
    terminal.answer("type postgres to confirm:", "postgres")
    terminal.prompted("step 3>")
    desk.kill_supervisor()
    terminal.wait()
    started = desk.events(ev.RunStarted)[0]
    assert (started.runbook, started.kernelspec) == (str(desk.folder / path), "python3")
    (desk.folder / "postgres/go").touch()
    resumed = desk.open("resume", "-p", "token=@env:VAULT")
    resumed.answer("step 3>", "r")
    resumed.answer("type postgres to confirm:", "postgres")
    resumed.answer("go back):", "")
    assert resumed.wait() == 3
    desk.notebook()
    assert "runs        1:" in desk.command("review", path).stdout
    assert desk.command("verify", "last").returncode == 0


@pytest.mark.sweep
def test_resume_refuses_a_parameter_that_is_not_secret(desk: Desk) -> None:
    refusals = {
        "db=y": "parameter 'db' (-p): was not a secret when the run began, so its value",
        "token=@env:OTHER": "is not the value that the run began with",
    }
    interrupt_and_end_kernel(desk)
    desk.variables["OTHER"] = 'with "quotes" in it'
    for given, said in refusals.items():
        refused = desk.open("resume", "--foreign", "-p", given)  # built here, not begun
        if given == "token=@env:OTHER":
            refused.answer("continue without it):", "")
        assert refused.wait() == 2
        assert said in refused.words()
    assert desk.events(ev.RunResumed) == []


def interrupt_and_end_kernel(desk: Desk) -> None:
    """Interrupt a run at step 3, and end its kernel."""
    secrets = 'token = "[secret:token]"\npin = [secret:pin]\ndb = "x"'
    plan = [
        step(1, ["parameters"], source="token = ''; pin = 0"),
        step(2, ["injected-parameters"], source=secrets),
        step(3),
    ]
    started = run_started(
        plan,
        parameters={"token": "[secret:token]", "pin": "[secret:pin]", "db": "x"},
        secrets=("pin", "token"),
        metadata={"nbrun": {"parameters": SCHEMA}},
    )
    (desk.runs / "run-1").mkdir(parents=True)
    told = [started, kernel_started(), stopped("step_mode", "s3")]
    write(desk.runs / "run-1" / "journal.jsonl", told)
