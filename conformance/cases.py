"""The cases: each a small runbook, run through the real command, and what its record must say."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from conformance.errors import CaseFailedError
from conformance.kernels import LINES, KernelUnderTest
from nbrun.core import events as ev
from tests.support.build_notebooks import code
from tests.support.terminal import Desk, Terminal, files_below

TEXT = 'it\'s "a" \\b $HOME $(id) `id` ${x} ; !! é😀\u2028\n#last'
SECRET = "c4n4ry-T0K3N/=%+"
REASON = "reason (Enter for none, Ctrl-C to go back):"


@dataclass(frozen=True)
class Case:
    """A promise, and the function that raises CaseFailedError if it does not hold."""

    name: str
    promise: str
    run: Callable[[Desk, KernelUnderTest], None]


def check(holds: object, found: object) -> None:
    if not holds:
        raise CaseFailedError(f"found {found!r}")


def _book(desk: Desk, kernel: KernelUnderTest, *cells: dict[str, Any], **own: Any) -> None:
    desk.book(*cells, metadata={**kernel.metadata, **({"nbrun": own} if own else {})})


def _parameters(desk: Desk, kernel: KernelUnderTest) -> None:
    _book(desk, kernel, code(kernel.parameters, tags=["parameters"]), code(kernel.show, id="show"))
    refused = desk.unattended("-p", "count=many")
    check(refused.returncode == 2, refused.stderr)
    given = {"text": TEXT, "count": "41", "flag": "true", "items": json.dumps(["a b", "c"])}
    done = desk.unattended(*(f"-p{name}={value}" for name, value in given.items()))
    check(done.returncode == 0, done.stdout + done.stderr)
    check(desk.printed("show").split() == f"{TEXT}\n{kernel.shown}".split(), desk.printed("show"))


def _output(desk: Desk, kernel: KernelUnderTest) -> None:
    _book(desk, kernel, code(kernel.lines, id="lines"))
    done = desk.unattended()
    check(done.returncode == 0, done.stderr)
    expected = [f"line {number}" for number in range(1, LINES + 1)]
    found = desk.printed("lines").splitlines()
    wrong = next(
        (n for n, pair in enumerate(zip(found, expected, strict=False)) if len({*pair}) > 1), -1
    )
    check(found == expected, (len(found), found[max(0, wrong - 1) : wrong + 3]))


def _failure(desk: Desk, kernel: KernelUnderTest) -> None:
    _book(desk, kernel, code(kernel.fails, id="fails"), code(kernel.recalls, id="never"))
    done = desk.unattended()
    check((done.returncode, desk.attempts()) == (4, [("fails", 1, "error")]), desk.attempts())
    (finished,) = desk.events(ev.AttemptFinished)
    check((finished.ename, finished.evalue) == kernel.error, (finished.ename, finished.evalue))


def _hidden_failure(desk: Desk, kernel: KernelUnderTest) -> None:
    _book(desk, kernel, code(kernel.hides, id="hides"), code(kernel.keeps, id="never"))
    done = desk.unattended()
    check((done.returncode, desk.attempts()) == (4, [("hides", 1, "error")]), desk.attempts())


def _interrupted(desk: Desk, kernel: KernelUnderTest) -> Terminal:
    """Return the terminal of a run that stands at an interrupted step, the second of three."""
    sleeps, recalls = code(kernel.sleeps, id="sleeps"), code(kernel.recalls, id="recalls")
    _book(desk, kernel, code(kernel.keeps, tags=["setup"]), sleeps, recalls)
    terminal = desk.start()
    terminal.until("\nasleep\n")
    terminal.press("ctrl-c")
    terminal.until("STOPPED at step 2 of 3")
    terminal.prompted("step 2>")
    return terminal


def _interrupt_stops(desk: Desk, kernel: KernelUnderTest) -> None:
    terminal = _interrupted(desk, kernel)
    outcome = desk.attempts()[-1][2]
    check(outcome in ("interrupted", "kernel_died"), outcome)
    _restart(terminal)
    _skip(terminal)
    terminal.until("kept 41")
    check(terminal.wait() == 3, terminal.text())


def _interrupt_keeps(desk: Desk, kernel: KernelUnderTest) -> None:
    terminal = _interrupted(desk, kernel)
    check(desk.attempts()[-1][2] == "interrupted", desk.attempts()[-1][2])
    _skip(terminal)
    terminal.until("kept 41")
    check(terminal.wait() == 3, terminal.text())


def _skip(terminal: Terminal) -> None:
    terminal.answer("step 2>", "s")
    terminal.answer(REASON, "")


def _restart(terminal: Terminal) -> None:
    terminal.answer("step 2>", "k")
    terminal.answer(REASON, "")
    terminal.until("a new kernel is ready (number 2 of this run)")
    terminal.until("STOPPED at step 2 of 3")


def _input(desk: Desk, kernel: KernelUnderTest) -> None:
    check(kernel.asks, "no way to ask")
    _book(desk, kernel, code(kernel.asks, id="asks"))
    terminal = desk.start()
    terminal.answer("name?", "ada")
    terminal.until("got ada")
    check(terminal.wait() == 0, terminal.text())
    check(desk.events(ev.InputAnswered)[0].answer == "ada", desk.events(ev.InputAnswered))


def _edit(desk: Desk, kernel: KernelUnderTest) -> None:
    _book(desk, kernel, code(kernel.keeps), code(kernel.fails, id="fails"))
    desk.editor_does("1c " + kernel.recalls.replace("\\", "\\\\"))
    terminal = desk.start()
    terminal.answer("step 2>", "e")
    terminal.answer("run this? [y/N]", "y")
    terminal.answer(REASON, "")
    terminal.until("kept 41")
    check(terminal.wait() == 3, terminal.text())
    check(desk.edited_files()[0].lower().endswith(kernel.suffix), desk.edited_files())


def _restart_with_setup(desk: Desk, kernel: KernelUnderTest) -> None:
    fails, recalls = code(kernel.fails, id="fails"), code(kernel.recalls, id="recalls")
    _book(desk, kernel, code(kernel.keeps, id="setup", tags=["setup"]), fails, recalls)
    terminal = desk.start()
    _restart(terminal)
    _skip(terminal)
    terminal.until("kept 41")
    check(terminal.wait() == 3, terminal.text())
    again = [start.step for start in desk.events(ev.AttemptStarted) if start.cause == "setup"]
    check(again == ["setup"], again)


def _resume(desk: Desk, kernel: KernelUnderTest) -> None:
    fails, recalls = code(kernel.fails, id="fails"), code(kernel.recalls, id="recalls")
    _book(desk, kernel, code(kernel.keeps), fails, recalls)
    terminal = desk.start()
    terminal.prompted("step 2>")
    desk.kill_supervisor()
    terminal.wait()
    resumed = desk.open("resume")
    resumed.until("the kernel is still there, with its variables")
    _skip(resumed)
    resumed.until("kept 41")
    check(resumed.wait() == 3, resumed.text())


def _redaction(desk: Desk, kernel: KernelUnderTest) -> None:
    cells = code(kernel.token, tags=["parameters"]), code(kernel.shows_token, id="shows")
    schema = {"properties": {"token": {"type": "string", "writeOnly": True}}}
    _book(desk, kernel, *cells, parameters=schema)
    desk.variables["VAULT"] = SECRET
    done = desk.unattended("-p", "token=@env:VAULT")
    check(done.returncode == 0, done.stdout + done.stderr)
    check(f"length {len(SECRET)} [secret:token]" in desk.printed("shows"), desk.printed("shows"))
    leaky = [str(path) for path, data in files_below(desk.folder) if SECRET.encode() in data]
    check(not leaky and SECRET not in done.stdout, leaky)


CASES = (
    Case("parameters", "declared types; hostile text arrives exactly", _parameters),
    Case("output", f"{LINES} lines: none lost, all in order", _output),
    Case("failure", "a failed step stops the run, and names its error", _failure),
    Case("hidden failure", "a failure that the kernel calls `ok` fails the step", _hidden_failure),
    Case(
        "interrupt", "an interrupt is never `ok`; the run stops, and can restart", _interrupt_stops
    ),
    Case("interrupt keeps variables", "the same kernel goes on after it", _interrupt_keeps),
    Case("input", "a cell asks, the operator answers", _input),
    Case("edit", "the editor gets a file of the language; the new source runs", _edit),
    Case("restart", "a new kernel runs the setup steps again", _restart_with_setup),
    Case("resume", "a killed run goes on with its kernel's variables", _resume),
    Case("redaction", "a secret is in no file, also not of the kernel's own", _redaction),
)


def case_named(name: str) -> Case:
    return next(case for case in CASES if case.name == name)
