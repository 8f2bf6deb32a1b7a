"""Interviews after a reply: what each kind of kernel leaves out, and how nbrun completes it."""

import subprocess
from typing import Any

import pytest

from nbrun.kernel import protocol
from nbrun.kernel.kinds import bash
from nbrun.kernel.kinds.kind import Interview, ShellLostError, plain_error
from nbrun.kernel.kinds.known import kind_of
from nbrun.kernel.messages import Replied

OK = {"status": "ok", "execution_count": 1, "payload": []}
BASH = kind_of("bash_kernel")


def exited(status: int) -> dict[str, Any]:
    """Return the reply of bash_kernel to a cell whose last command exited with `status`."""
    return {"status": "error", "ename": "", "evalue": str(status)} if status else OK


def completed(interview: Interview, *answers: dict[str, Any]) -> Replied:
    """Return the reply that an interview with these answers leads to."""
    left = list(answers)
    try:
        next(interview)
        while True:
            interview.send(left.pop(0))
    except StopIteration as end:
        assert not left
        return protocol.replied("r1", end.value)


def test_bash_cell_without_failures_is_ok_after_one_question() -> None:
    reply = completed(BASH.complete(OK), exited(0))
    assert (reply.status, reply.shell_exits, reply.execution_count) == ("ok", (), 1)


def test_failed_command_before_the_last_is_in_the_reply() -> None:
    reply = completed(BASH.complete(OK), exited(7), exited(0))
    assert reply.shell_exits == (7,)
    assert reply.shell_failure == "a command exited with 7, though the last one succeeded"


def test_failed_last_command_is_a_failed_shell_command() -> None:
    reply = completed(BASH.complete(exited(255)), exited(255), exited(0))
    assert (reply.status, reply.ename, reply.shell_exits) == ("ok", None, (255,))
    assert reply.shell_failure == "exited with 255"


@pytest.mark.parametrize("said", [OK, exited(1), {"status": "abort"}])
def test_new_bash_is_a_lost_shell(said: dict[str, Any]) -> None:
    with pytest.raises(ShellLostError, match="ended its bash"):
        completed(BASH.complete(said), exited(127), exited(127))


def test_interrupted_bash_cell_stays_aborted() -> None:
    reply = completed(BASH.complete({"status": "abort"}), {"status": "abort"})
    assert (reply.status, reply.shell_exits) == ("abort", ())


def test_other_errors_of_bash_kernel_are_left_as_they_are() -> None:
    said = {"status": "error", "ename": "", "evalue": "Cell has trailing backslash"}
    reply = completed(BASH.complete(said), exited(0))
    assert (reply.status, reply.evalue) == ("error", "Cell has trailing backslash")


def test_error_output_of_bash_kernel_names_the_exit_status() -> None:
    assert BASH.read_error({"ename": "", "evalue": "3", "traceback": []}) == {
        "ename": "ShellError",
        "evalue": "exited with 3",
        "traceback": [],
    }


@pytest.mark.parametrize(
    ("cell", "status"),
    [
        ("true", 0),
        ("false; true", 1),
        ("f() { (exit 4); echo; }; f; (exit 5); true", 4),
        ("if false; then :; fi; false || true; ! true; x=$(false || true)", 0),
        ("set -o pipefail; false | true; true", 1),
        ("x=$(exit 9); true", 9),
        ("set -u; (exit 255); true", 255),
    ],
)
def test_prelude_notes_the_first_failed_command_as_set_e_would(cell: str, status: int) -> None:
    script = "\n".join([bash._prelude(), cell, bash._QUESTION, 'echo "status $?"', bash._FORGET])
    again = f'{bash._QUESTION}; echo "again $?"'
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{again}"], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip().splitlines()[-2:] == [f"status {status}", "again 0"]


def test_quit_of_irkernel_is_an_error() -> None:
    said = {**OK, "payload": [{"source": "ask_exit", "keepkernel": False}]}
    reply = completed(kind_of("IRkernel").complete(said))
    assert (reply.status, reply.ename, reply.exit_asked) == ("error", "quit", False)


@pytest.mark.parametrize(
    ("ename", "plain"),
    [
        ("<class 'ZeroDivisionError'>", "ZeroDivisionError"),
        ("<class 'json.decoder.JSONDecodeError'>", "JSONDecodeError"),
        ("ValueError", "ValueError"),
        ("", ""),
    ],
)
def test_name_of_an_error_is_that_of_its_class(ename: str, plain: str) -> None:
    assert plain_error({"ename": ename, "evalue": "x"}) == {"ename": plain, "evalue": "x"}


def test_only_a_kernel_that_can_be_believed_has_no_doubts() -> None:
    assert kind_of("ipython").doubts == ()
    assert "not been tried" in kind_of("ikotlin").doubts[0]
    assert "pipe" in BASH.doubts[0]


def test_error_that_xeus_python_forgets_is_in_the_reply() -> None:
    xeus = kind_of("xeus-python")
    assert completed(xeus.complete(OK), OK).status == "ok"
    dropped = {"status": "error", "ename": "<class 'KeyboardInterrupt'>", "evalue": "left"}
    reply = completed(xeus.complete(OK), dropped)
    assert (reply.status, reply.ename, reply.evalue) == ("error", "KeyboardInterrupt", "left")
    failed = {"status": "error", "ename": "<class 'ValueError'>", "evalue": "x"}
    assert completed(xeus.complete(failed)).ename == "ValueError"


def test_promise_that_deno_drops_is_a_nested_error() -> None:
    deno = kind_of("Deno kernel")
    rejected = {"status": "error", "ename": "RangeError", "evalue": "lost"}
    assert completed(deno.complete(OK), rejected).nested_error == ("RangeError", "lost")
    assert completed(deno.complete(OK), OK).nested_error is None
    assert completed(deno.complete(rejected)).ename == "RangeError"
