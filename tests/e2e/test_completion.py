"""Completion of -p in real shells on terminals, as set up by `--install-completion`."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.support.build_notebooks import PYTHON, code
from tests.support.terminal import TIMEOUT, Desk

SCHEMA = {
    "properties": {
        "database": {"enum": ["blue", "green", "grey: *"], "description": "which: one"},
        "full": {"type": "boolean"},
        "token": {"type": "string", "writeOnly": True},
    }
}
SHELLS = {"bash": ["--norc", "-i"], "zsh": ["-i"]}


@pytest.fixture
def book(desk: Desk) -> Desk:
    desk.book(
        code("database = 'blue'; full = False", tags=["parameters"]),
        metadata={**PYTHON, "nbrun": {"parameters": SCHEMA}},
    )
    return desk


class Shell:
    """A newly started shell with nbrun's completion installed."""

    def __init__(self, desk: Desk, name: str) -> None:
        self._script = Path(desk.environment()["HOME"]) / (".zshrc" if name == "zsh" else ".bashrc")
        self._script.touch()
        self._start(desk, name)
        self.does("nbrun --install-completion; echo inst''alled", "installed")
        self.child.close(force=True)
        rules = self._script.read_text().replace("compinit\n", "compinit -u\n")  # as root
        self._script.write_text(rules + "PS1='ready> '\n")
        self._start(desk, name)
        if name == "bash":
            self.does(f"source {self._script}; echo sour''ced", "sourced")

    def _start(self, desk: Desk, name: str) -> None:
        path = shutil.which(name)
        assert path is not None
        environment = desk.environment() | {"TERM": "dumb", "PS1": "ready> "}
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        self.child: Any = pexpect.spawn(
            path,
            SHELLS[name],
            cwd=str(desk.folder),
            env=environment,
            encoding="utf-8",
            timeout=TIMEOUT,
            dimensions=(40, 200),
        )
        if name == "zsh" and "ready" not in self._script.read_text():
            self._script.write_text("PS1='ready> '\n")
        self.child.expect_exact("ready> ")

    def does(self, line: str, told: str) -> None:
        self.child.sendline(line)
        self.child.expect_exact(told)
        self.child.expect_exact("ready> ")

    def completes(self, typed: str, to: str) -> None:
        """Type keys and Tab, and check what the shell appends to the line."""
        self.child.send(typed)
        self.child.expect_exact(typed.rsplit(maxsplit=1)[-1])
        self.child.send("\t")
        self.child.expect_exact(to)

    def words(self) -> str:
        """Return the words of the line as the shell splits them, each in brackets."""
        self.child.send("\x01printf '[%s]' \n")
        self.child.expect(re.compile(r"\n?(\[nbrun\]\S*(?: \S*)*\])"))
        return str(self.child.match[1])


@pytest.fixture(params=list(SHELLS))
def shell(request: pytest.FixtureRequest, book: Desk) -> Iterator[Shell]:
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed here: its completion is not tried")
    made = Shell(book, request.param)
    yield made
    made.child.close(force=True)


@pytest.mark.sweep
def test_tab_completes_names_and_values_as_one_word(shell: Shell) -> None:
    shell.completes("nbrun start runbook.ipynb -p dat", "abase=")
    shell.completes("gree", "n")
    shell.completes("-p fu", "ll=")
    shell.completes("t", "rue")
    assert shell.words() == "[nbrun][start][runbook.ipynb][-p][database=green][-p][full=true]"
    shell.completes("nbrun start runbook.ipynb -p database=grey", ":")
    assert shell.words() == "[nbrun][start][runbook.ipynb][-p][database=grey: *]"


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed here")
def test_fish_offers_names_and_choices(book: Desk) -> None:
    environment = book.environment()
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"

    def offered(line: str) -> list[str]:
        asked = subprocess.run(
            ["fish", "-c", "nbrun --show-completion fish | source; complete -C $argv[1]", line],
            cwd=book.folder,
            env=environment | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        return asked.stdout.splitlines()

    assert offered("nbrun start runbook.ipynb -p d") == ["database=\twhich: one"]
    assert offered("nbrun start runbook.ipynb -p full=") == ["full=false", "full=true"]
