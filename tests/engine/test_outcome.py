"""Tests of the outcome of an attempt."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.engine.outcome import AttemptResult, attempt_result
from nbrun.kernel.messages import Replied


def result_of(
    *,
    interrupted: bool = False,
    shell_errors_fail: bool = True,
    nested_errors_fail: bool = True,
    **reply: Any,
) -> AttemptResult:
    return attempt_result(
        Replied(request="r1", **{"status": "ok"} | reply),
        interrupted=interrupted,
        shell_errors_fail=shell_errors_fail,
        nested_errors_fail=nested_errors_fail,
    )


def test_ok_reply_is_success_with_execution_count() -> None:
    assert result_of(execution_count=7) == AttemptResult(outcome="ok", execution_count=7)


def test_error_keeps_ename_and_evalue() -> None:
    assert result_of(status="error", ename="ValueError", evalue="no host") == AttemptResult(
        outcome="error", ename="ValueError", evalue="no host"
    )


@pytest.mark.parametrize("status", ["error", "abort", "aborted"])
def test_error_without_ename_still_fails(status: str) -> None:
    assert result_of(status=status) == AttemptResult(outcome="error", ename=status)


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"status": "error", "ename": "KeyboardInterrupt", "evalue": ""},
        {"status": "error", "ename": "SystemExit", "evalue": "0"},
        {"shell_exits": (130,)},
    ],
)
def test_interrupted_attempt_ignores_reply_status(
    reply: dict[str, Any],
) -> None:
    found = result_of(interrupted=True, **reply)
    assert found.outcome == "interrupted"
    assert not found.ended_run


@pytest.mark.parametrize(
    ("exits", "shell_exit", "evalue"),
    [
        ((1,), 1, "shell command 1 of 1 exited with 1"),
        ((0, 3, 0), 3, "shell command 2 of 3 exited with 3"),
        ((0, 0, -9), -9, "shell command 3 of 3 exited with -9"),
        (
            (2, 0, 5),
            2,
            "shell command 1 of 3 exited with 2, shell command 3 of 3 exited with 5",
        ),
    ],
)
def test_any_failed_shell_command_fails_step(
    exits: tuple[int, ...], shell_exit: int, evalue: str
) -> None:
    found = result_of(shell_exits=exits)
    assert found == AttemptResult(
        outcome="error", ename="ShellError", evalue=evalue, shell_exit=shell_exit
    )


def test_many_failed_commands_are_summarized() -> None:
    evalue = result_of(shell_exits=(1,) * 1000).evalue or ""
    assert evalue.endswith("shell command 5 of 1000 exited with 1 and 995 more")


@pytest.mark.parametrize(("exits", "shell_exit"), [((), None), ((0,), 0), ((0, 0), 0)])
def test_shell_exit_is_zero_or_none(exits: tuple[int, ...], shell_exit: int | None) -> None:
    assert result_of(shell_exits=exits) == AttemptResult(outcome="ok", shell_exit=shell_exit)


def test_excused_shell_failure_is_recorded() -> None:
    assert result_of(shell_exits=(0, 4), shell_errors_fail=False) == AttemptResult(
        outcome="ok", shell_exit=4
    )


def test_cell_error_takes_precedence_over_shell_error() -> None:
    found = result_of(status="error", ename="ValueError", evalue="x", shell_exits=(1,))
    assert (found.ename, found.shell_exit) == ("ValueError", 1)


NESTED = ("ZeroDivisionError", "division by zero")


def test_nested_error_fails_step_with_its_name() -> None:
    assert result_of(nested_error=NESTED, shell_exits=(1,)) == AttemptResult(
        outcome="error",
        ename="ZeroDivisionError",
        evalue="division by zero",
        shell_exit=1,
        nested_error="ZeroDivisionError: division by zero",
    )


def test_allowed_nested_error_is_recorded() -> None:
    found = result_of(nested_error=("KeyError", ""), nested_errors_fail=False)
    assert found == AttemptResult(outcome="ok", nested_error="KeyError")


def test_cell_error_takes_precedence_over_nested_error() -> None:
    found = result_of(status="error", ename="ValueError", evalue="x", nested_error=NESTED)
    assert (found.ename, found.evalue) == ("ValueError", "x")


def test_nested_error_names_error_that_ipykernel_does_not_name() -> None:
    found = result_of(status="error", ename="NoneType", evalue="None", nested_error=NESTED)
    assert (found.ename, found.evalue) == NESTED


@pytest.mark.parametrize("limit", [None, 5.0])
@pytest.mark.parametrize(("status", "ran"), [("ok", True), ("error", False), ("abort", False)])
def test_interrupted_attempt_ran_to_end_if_kernel_replies_ok(
    limit: float | None, status: str, ran: bool
) -> None:
    reply = Replied(request="r1", status=status)
    found = attempt_result(reply, interrupted=True, shell_errors_fail=True, timeout=limit)
    assert found.outcome == ("interrupted" if limit is None else "timed_out")
    assert found.ran_to_end is ran


@pytest.mark.parametrize("evalue", ["", "0", "None"])
def test_clean_exit_ends_run_with_ok(evalue: str) -> None:
    found = result_of(status="error", ename="SystemExit", evalue=evalue)
    assert (found.outcome, found.ended_run) == ("ok", True)


def test_exit_asked_of_shell_ends_run() -> None:
    assert result_of(exit_asked=True).ended_run
    assert not result_of(status="error", ename="ValueError", exit_asked=True).ended_run


@pytest.mark.parametrize("evalue", ["1", "no such host", "00"])
def test_exit_with_status_or_message_fails(evalue: str) -> None:
    found = result_of(status="error", ename="SystemExit", evalue=evalue)
    assert (found.outcome, found.ename, found.ended_run) == ("error", "SystemExit", False)


def test_exit_after_failed_shell_command_fails() -> None:
    found = result_of(exit_asked=True, shell_exits=(1,))
    assert (found.outcome, found.ended_run) == ("error", False)


REPLIES = st.builds(
    Replied,
    request=st.just("r1"),
    status=st.sampled_from(["ok", "error", "aborted"]),
    ename=st.none() | st.sampled_from(["ValueError", "SystemExit", ""]),
    evalue=st.none() | st.sampled_from(["", "0", "1", "x"]),
    shell_exits=st.lists(st.integers(-15, 255), max_size=8).map(tuple),
    exit_asked=st.booleans(),
    nested_error=st.none() | st.just(NESTED),
)


@given(REPLIES, st.booleans(), st.booleans())
def test_error_reply_is_never_success(reply: Replied, interrupted: bool, strict: bool) -> None:
    found = attempt_result(reply, interrupted=interrupted, shell_errors_fail=strict)
    if found.outcome == "ok":
        assert not interrupted
        assert reply.status == "ok" or reply.ename == "SystemExit"
        assert not (strict and any(reply.shell_exits))
        assert reply.nested_error is None
    else:
        assert not found.ended_run
        assert found.outcome == "interrupted" or found.ename
