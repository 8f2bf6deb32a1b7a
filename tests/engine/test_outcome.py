"""How an attempt ended."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.engine.outcome import AttemptResult, attempt_result
from nbrun.kernel.messages import Replied


def verdict(
    *, interrupted: bool = False, shell_errors_fail: bool = True, **reply: Any
) -> AttemptResult:
    return attempt_result(
        Replied(request="r1", **{"status": "ok"} | reply),
        interrupted=interrupted,
        shell_errors_fail=shell_errors_fail,
    )


def test_a_reply_of_ok_is_a_success_with_its_execution_count() -> None:
    assert verdict(execution_count=7) == AttemptResult(outcome="ok", execution_count=7)


def test_an_error_keeps_its_name_and_its_words() -> None:
    assert verdict(status="error", ename="ValueError", evalue="no host") == AttemptResult(
        outcome="error", ename="ValueError", evalue="no host"
    )


@pytest.mark.parametrize("status", ["error", "abort", "aborted"])
def test_a_kernel_that_gives_no_name_to_its_error_still_fails(status: str) -> None:
    assert verdict(status=status) == AttemptResult(outcome="error", ename=status)


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"status": "error", "ename": "KeyboardInterrupt", "evalue": ""},
        {"status": "error", "ename": "SystemExit", "evalue": "0"},
        {"shell_exits": (130,)},
    ],
)
def test_an_interrupted_attempt_is_interrupted_however_the_kernel_answers(
    reply: dict[str, Any],
) -> None:
    found = verdict(interrupted=True, **reply)
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
def test_any_shell_command_that_fails_fails_the_step(
    exits: tuple[int, ...], shell_exit: int, evalue: str
) -> None:
    found = verdict(shell_exits=exits)
    assert found == AttemptResult(
        outcome="error", ename="ShellError", evalue=evalue, shell_exit=shell_exit
    )


def test_a_loop_of_failing_commands_is_told_shortly() -> None:
    evalue = verdict(shell_exits=(1,) * 1000).evalue or ""
    assert evalue.endswith("shell command 5 of 1000 exited with 1 and 995 more")


@pytest.mark.parametrize(("exits", "shell_exit"), [((), None), ((0,), 0), ((0, 0), 0)])
def test_shell_commands_that_succeed_are_told_from_none_at_all(
    exits: tuple[int, ...], shell_exit: int | None
) -> None:
    assert verdict(shell_exits=exits) == AttemptResult(outcome="ok", shell_exit=shell_exit)


def test_a_failing_shell_command_that_is_excused_is_recorded_all_the_same() -> None:
    assert verdict(shell_exits=(0, 4), shell_errors_fail=False) == AttemptResult(
        outcome="ok", shell_exit=4
    )


def test_an_error_of_the_cell_is_told_before_that_of_its_shell() -> None:
    found = verdict(status="error", ename="ValueError", evalue="x", shell_exits=(1,))
    assert (found.ename, found.shell_exit) == ("ValueError", 1)


@pytest.mark.parametrize("evalue", ["", "0", "None"])
def test_a_clean_exit_ends_the_run_and_fails_nothing(evalue: str) -> None:
    found = verdict(status="error", ename="SystemExit", evalue=evalue)
    assert (found.outcome, found.ended_run) == ("ok", True)


def test_an_exit_that_was_asked_of_the_shell_ends_the_run() -> None:
    assert verdict(exit_asked=True).ended_run
    assert not verdict(status="error", ename="ValueError", exit_asked=True).ended_run


@pytest.mark.parametrize("evalue", ["1", "no such host", "00"])
def test_an_exit_with_a_status_or_a_message_is_a_failure(evalue: str) -> None:
    found = verdict(status="error", ename="SystemExit", evalue=evalue)
    assert (found.outcome, found.ename, found.ended_run) == ("error", "SystemExit", False)


def test_an_exit_after_a_failed_shell_command_is_a_failure() -> None:
    found = verdict(exit_asked=True, shell_exits=(1,))
    assert (found.outcome, found.ended_run) == ("error", False)


REPLIES = st.builds(
    Replied,
    request=st.just("r1"),
    status=st.sampled_from(["ok", "error", "aborted"]),
    ename=st.none() | st.sampled_from(["ValueError", "SystemExit", ""]),
    evalue=st.none() | st.sampled_from(["", "0", "1", "x"]),
    shell_exits=st.lists(st.integers(-15, 255), max_size=8).map(tuple),
    exit_asked=st.booleans(),
)


@given(REPLIES, st.booleans(), st.booleans())
def test_success_is_never_claimed_of_what_the_reply_calls_an_error(
    reply: Replied, interrupted: bool, strict: bool
) -> None:
    found = attempt_result(reply, interrupted=interrupted, shell_errors_fail=strict)
    if found.outcome == "ok":
        assert not interrupted
        assert reply.status == "ok" or reply.ename == "SystemExit"
        assert not (strict and any(reply.shell_exits))
    else:
        assert not found.ended_run
        assert found.outcome == "interrupted" or found.ename
