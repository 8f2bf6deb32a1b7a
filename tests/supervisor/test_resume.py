"""The runbook as it was recorded and as it is now, made into one plan."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.core.model import RoleTaken, Step
from nbrun.core.reducer import fold
from nbrun.core.state import RunState
from nbrun.errors import UsageError
from nbrun.supervisor.resume import merge_steps, redaction_for, retake_role
from tests.support.build_events import attempted, begun, run_started, step


def after(*ran: str, plan: int = 4) -> RunState:
    """A plan of plain steps of which those were run, whatever the order."""
    state = fold(begun(plan))
    for id_ in ran:
        state.steps[id_].attempts = 1
    return state


def ids(steps: tuple[Step, ...]) -> list[str]:
    return [each.id for each in steps]


def test_what_was_run_stays_as_it_was_and_the_rest_is_new() -> None:
    new = (step(1, source="other()"), step(2, source="other()"))
    made = merge_steps(fold([*begun(2), *attempted("s1")]), new)
    assert [each.source for each in made] == ["step_1()", "other()"]


def test_what_was_run_and_is_gone_stays_behind_what_it_followed() -> None:
    new = (step(1), step(2, id="new"), step(3, id="s4"))
    assert ids(merge_steps(after("s1", "s2"), new)) == ["s1", "s2", "new", "s4"]


def test_what_was_not_run_and_is_gone_is_gone() -> None:
    assert ids(merge_steps(after("s1"), (step(1), step(2, id="s4")))) == ["s1", "s4"]


@given(
    st.sets(st.sampled_from(["s1", "s2", "s3", "s4"])),
    st.lists(st.sampled_from(["s1", "s2", "s3", "s4", "a", "b"]), unique=True),
)
def test_nothing_that_was_run_is_lost_and_numbers_have_no_holes(
    ran: set[str], order: list[str]
) -> None:
    new = tuple(step(number, id=id_, source="new()") for number, id_ in enumerate(order, 1))
    made = merge_steps(after(*ran), new)
    assert ran | {*order} == {*ids(made)}
    assert len(made) == len({*ids(made)})
    assert [each.number for each in made] == list(range(1, len(made) + 1))
    assert [id_ for id_ in ids(made) if id_ in order] == order
    for each in made:
        assert (each.source == "new()") == (each.id not in ran)


# ── its role ─────────────────────────────────────────────────────────────────────────────────


def with_role(folder: Path, **fields: Any) -> RunState:
    plan = run_started(1, runbook=str(folder / "r.ipynb"), role=RoleTaken(name="dba", **fields))
    return fold([plan])


def test_a_kernel_does_not_change_its_unix_user_with_the_roles(tmp_path: Path) -> None:
    (tmp_path / "nbrun.toml").write_text("[roles.dba]\nunix_user = 'other'\n")
    with pytest.raises(UsageError, match="unix_user is 'other' now, but was 'postgres' when"):
        retake_role(with_role(tmp_path, keys={"unix_user": "postgres"}))
    (tmp_path / "nbrun.toml").write_text("[roles.ops]\n")
    with pytest.raises(UsageError, match="there is no role 'dba'"):
        retake_role(with_role(tmp_path))


def test_without_the_role_what_its_commands_printed_is_not_known(tmp_path: Path) -> None:
    state = with_role(tmp_path, env_from_cmd=("PGPASSWORD",))
    assert b"the secrets PGPASSWORD are not known" in redaction_for(state, None).scrub(b"hunter2")
    assert redaction_for(with_role(tmp_path), None).scrub(b"all is well") == b"all is well"
