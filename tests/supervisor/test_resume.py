"""Resuming a run: recorded and new steps merged, and the role taken again."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.core.model import RoleTaken, Step
from nbrun.core.reducer import fold
from nbrun.core.state import RunState
from nbrun.errors import UsageError
from nbrun.supervisor.resume import merge_steps, redaction_for, retake_role, runbook_replacement
from tests.support.build_events import attempted, begun, run_started, step
from tests.support.build_notebooks import code, notebook, write
from tests.support.includes import include, planned
from tests.support.settings_files import configure


def after(*ran: str, plan: int = 4) -> RunState:
    """Return the state of a run of `plan` steps in which the steps `ran` have run."""
    state = fold(begun(plan))
    for id_ in ran:
        state.steps[id_].attempts = 1
    return state


def ids(steps: tuple[Step, ...]) -> list[str]:
    return [each.id for each in steps]


def test_merge_keeps_run_steps_and_replaces_the_others() -> None:
    new = (step(1, source="other()"), step(2, source="other()"))
    merged = merge_steps(fold([*begun(2), *attempted("s1")]), new)
    assert [each.source for each in merged] == ["step_1()", "other()"]


@pytest.mark.parametrize("mark", ["done", "already_done"])
def test_step_done_without_a_run_is_not_taken_for_another_one(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "outer.py"
    path.write_text("# %% [markdown]\n# ## Move\n\n# %%\nstop_db()\n\n# %%\nstart_db()\n")
    state = begun_from(path)
    setattr(state.steps["move"], mark, True)
    edited = path.read_text().replace("stop_db()", "stop_db(now=True)")
    path.write_text(edited)
    assert runbook_replacement(state).steps[0].source == "stop_db()"
    path.write_text(edited.replace("stop_db", "back_up()\n\n# %%\nstop_db"))
    with pytest.raises(UsageError, match=r"step 1 \(.*\) has been run"):
        runbook_replacement(state)


def test_merge_keeps_a_removed_step_that_ran_in_place() -> None:
    new = (step(1), step(2, id="new"), step(3, id="s4"))
    assert ids(merge_steps(after("s1", "s2"), new)) == ["s1", "s2", "new", "s4"]


def test_merge_drops_a_removed_step_that_did_not_run() -> None:
    assert ids(merge_steps(after("s1"), (step(1), step(2, id="s4")))) == ["s1", "s4"]


@given(
    st.sets(st.sampled_from(["s1", "s2", "s3", "s4"])),
    st.lists(st.sampled_from(["s1", "s2", "s3", "s4", "a", "b"]), unique=True),
)
def test_merge_loses_no_run_step_and_numbers_without_gaps(ran: set[str], order: list[str]) -> None:
    new = tuple(step(number, id=id_, source="new()") for number, id_ in enumerate(order, 1))
    merged = merge_steps(after(*ran), new)
    assert ran | {*order} == {*ids(merged)}
    assert len(merged) == len({*ids(merged)})
    assert [each.number for each in merged] == list(range(1, len(merged) + 1))
    assert [id_ for id_ in ids(merged) if id_ in order] == order
    for each in merged:
        assert (each.source == "new()") == (each.id not in ran)


# ── the role ─────────────────────────────────────────────────────────────────────────────────


def with_role(folder: Path, **fields: Any) -> RunState:
    plan = run_started(1, runbook=str(folder / "r.ipynb"), role=RoleTaken(name="dba", **fields))
    return fold([plan])


def test_role_with_another_unix_user_is_refused(tmp_path: Path) -> None:
    configure(tmp_path, "[roles.dba]\nunix_user = 'other'\n")
    with pytest.raises(UsageError, match="unix_user is 'other' now, but was 'postgres' when"):
        retake_role(with_role(tmp_path, keys={"unix_user": "postgres"}))
    configure(tmp_path, "[roles.ops]\n")
    with pytest.raises(UsageError, match="there is no role 'dba'"):
        retake_role(with_role(tmp_path))


def test_secrets_of_a_roles_commands_are_unknown_without_the_role(tmp_path: Path) -> None:
    state = with_role(tmp_path, env_from_cmd=("PGPASSWORD",))
    assert b"the secrets PGPASSWORD are not known" in redaction_for(state, None).redact_bytes(
        b"hunter2"
    )
    assert redaction_for(with_role(tmp_path), None).redact_bytes(b"all is well") == b"all is well"


# ── included runbooks ────────────────────────────────────────────────────────────────────────


def including(folder: Path, host: str) -> Path:
    """Write a runbook that includes another with this value, and return its path."""
    cells = [code("host = ''", id="p", tags=["parameters"]), code("act()", id="act")]
    inner = write(folder, notebook(*cells), "inner.ipynb")
    return write(folder, notebook(include(inner, host=host), code("last()", id="z")))


def begun_from(path: Path) -> RunState:
    book = planned(path)
    return fold([run_started(book.steps, runbook=str(path), includes=book.includes)])


def test_new_runbook_has_what_it_includes_now(tmp_path: Path) -> None:
    state = begun_from(including(tmp_path, "a"))
    assert runbook_replacement(state).includes == state.plan.includes
    assert runbook_replacement(state).diff == ""
    including(tmp_path, "b")
    replaced = runbook_replacement(state)
    assert replaced.includes[0].parameters == {"host": "b"}
    assert '+host = "b"' in replaced.diff
    assert ids(replaced.steps) == ["inc-p", "inc-injected-parameters", "inc-act", "z"]


def test_changed_included_file_is_refused_for_a_new_runbook(tmp_path: Path) -> None:
    state = begun_from(including(tmp_path, "a"))
    inner = tmp_path / "inner.ipynb"
    inner.write_bytes(inner.read_bytes() + b"\n")
    with pytest.raises(UsageError, match="but that file has"):
        runbook_replacement(state)


def test_values_that_the_kernel_has_already_can_not_change(tmp_path: Path) -> None:
    """Later steps would act on the old value, while their questions show the new one."""
    state = begun_from(including(tmp_path, "a"))
    state.steps["inc-injected-parameters"].attempts = 1
    including(tmp_path, "b")
    with pytest.raises(UsageError, match=r"the parameters of inner\.ipynb have changed, and"):
        runbook_replacement(state)
    including(tmp_path, "a")
    assert runbook_replacement(state).steps == state.plan.steps


def test_include_that_ran_is_not_mistaken_for_another_one_in_a_text(tmp_path: Path) -> None:
    """The ids of blocks without one depend on their place, and both includes have one source."""
    cells = [code("host = ''", id="p", tags=["parameters"]), code("act()", id="act")]
    inner = write(tmp_path, notebook(*cells), "inner.ipynb")
    digest = sha256(inner.read_bytes()).hexdigest()

    def block(host: str) -> str:
        own = {"include": f"inner.ipynb@sha256:{digest}", "parameters": {"host": host}}
        return f"# %% [markdown] nbrun={json.dumps(own)}\n# ## Drain {host}\n\n"

    last = "# %%\nlast()\n"
    path = tmp_path / "outer.py"
    path.write_text(block("a") + last)
    state = begun_from(path)
    done = state.order[:3]
    for id_ in done:
        state.steps[id_].attempts = 1
    path.write_text(block("b") + block("a") + last)
    assert ids(runbook_replacement(state).steps)[3:6] == [*done]
    path.write_text(block("b").replace("Drain b", "Drain a") + last)
    with pytest.raises(UsageError, match=r"the parameters of inner\.ipynb have changed"):
        runbook_replacement(state)
    path.write_text(block("a").replace("Drain a", "Do drain a") + last)
    with pytest.raises(UsageError, match="its include may be another one now: add id="):
        runbook_replacement(state)
