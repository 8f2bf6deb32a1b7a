"""Recognizing the steps of a run after its text runbook was edited."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.core.model import Check, Inclusion, Step
from nbrun.errors import RunbookError
from nbrun.runbook.loader import plan, validate
from nbrun.runbook.text_formats.realign import realigned
from tests.runbook.text_formats.conftest import Read

PATH = Path("runbook.md")
DF, FREE, CURL = "df -h /var | tail -1", "free -m", "curl -sf http://localhost/health"


def section(*sources: str, name: str = "check") -> list[Step]:
    """Return the steps of a section, with the ids that their places give them."""
    ids = [name, *(f"{name}_{n}" for n in range(2, len(sources) + 1))]
    return [
        Step(id=id_, number=n, title=id_, source=source)
        for n, (id_, source) in enumerate(zip(ids, sources, strict=True), 1)
    ]


def ids(recorded: list[Step], run: int, new: list[Step]) -> list[str]:
    """Return the ids of `new` after the first `run` steps of `recorded` were run."""
    done = [step.id for step in recorded[:run]]
    return [step.id for step in realigned(PATH, recorded, done, new)]


def test_step_put_before_others_is_new_and_they_stay_themselves() -> None:
    assert ids(section(DF, FREE), 1, section(CURL, DF, FREE)) == ["check_4", "check", "check_2"]


def test_checks_and_undos_move_with_their_steps() -> None:
    """With one id for the checks of two steps, one would pass by the check of the other."""

    def parts(*sources: str) -> list[Step]:
        return [
            msgspec.structs.replace(
                each,
                check=Check(id=f"check_of_{each.number}", source=f"is {each.source}"),
                undo=msgspec.structs.replace(each, id=f"undo_of_{each.number}"),
            )
            for each in section(*sources)
        ]

    found = realigned(PATH, parts(DF, FREE), ["check_2"], parts(CURL, DF, FREE))
    moved = {
        each.source: [part.id for part in (each, each.check, each.undo) if part] for each in found
    }
    assert moved[DF] == ["check", "check_of_1", "undo_of_1"]
    assert moved[FREE] == ["check_2", "check_of_2", "undo_of_2"]
    assert not {*moved[CURL]} & {*moved[DF], *moved[FREE]}


def test_edited_step_is_recognized_by_its_place() -> None:
    edited = DF.replace("-1", "-2")
    assert ids(section(DF, FREE), 1, section(edited, FREE)) == ["check", "check_2"]
    assert ids(section(DF, "false"), 2, section(DF, "true")) == ["check", "check_2"]


def test_edited_step_is_recognized_beside_a_new_one_after_it() -> None:
    new = section(DF, FREE + " -h", CURL)
    assert ids(section(DF, FREE), 2, new) == ["check", "check_2", "check_3"]


def test_removed_step_lends_its_id_to_no_other() -> None:
    assert ids(section(DF, FREE), 2, section(FREE)) == ["check_2"]
    assert ids(section(DF, FREE), 1, [*section(FREE), *section(CURL, name="x")]) == ["check_2", "x"]


def test_step_below_a_renamed_heading_is_recognized() -> None:
    new = section(DF, FREE, name="look")
    assert ids(section(DF, FREE), 2, new) == ["check", "check_2"]


def test_section_at_another_place_keeps_its_ids() -> None:
    one, two = section(DF), section(FREE, name="look")
    assert ids([*one, *two], 2, [*two, *one]) == ["look", "check"]


@pytest.mark.parametrize(
    "new",
    [
        section(CURL, DF + " # now"),
        section(DF + " #1", DF + " #2"),
        section("a", "b"),
        section(DF + " # now", name="renamed"),
    ],
    ids=["new before edited", "two alike", "two others", "edited below a renamed heading"],
)
def test_step_that_was_run_and_may_be_another_now_is_refused(new: list[Step]) -> None:
    message = r'runbook\.md: step 1 \(check\) has been run.*add id="check" to its block'
    with pytest.raises(RunbookError, match=message):
        ids(section(DF), 1, new)


def test_id_in_the_file_says_which_step_it_is() -> None:
    new = section(CURL, DF + " # now")
    named = Step(id="check", number=2, title="", source=new[1].source, metadata={"id": "check"})
    first = Step(id="check_2", number=1, title="", source=CURL)
    assert ids(section(DF), 1, [first, named]) == ["check_2", "check"]


def test_step_that_was_not_run_is_replaced_by_anything() -> None:
    assert ids(section(DF, FREE), 0, section("a", "b", "c")) == ["check", "check_2", "check_3"]


def test_check_of_a_new_step_gets_an_id_of_its_own() -> None:
    checked = Step(id="check", number=1, title="", source=DF, check=Check(id="c", source="x"))
    new = Step(id="check", number=1, title="", source=CURL, check=Check(id="c", source="y"))
    moved = Step(id="check_2", number=2, title="", source=DF, check=Check(id="c_2", source="x"))
    found = realigned(PATH, [checked], ["check"], [new, moved])
    assert [(step.id, step.check and step.check.id) for step in found] == [
        ("check_3", "c_3"),
        ("check", "c"),
    ]


def test_names_of_the_file_are_in_the_steps(read: Read) -> None:
    text = '```sh id="a"\n1\n```\n```sh name=b\n2\n```\n```sh\n3\n```\n'
    steps = plan(validate(read(text))).steps
    assert [sorted({"id", "name"} & step.metadata.keys()) for step in steps] == [
        ["id"],
        ["name"],
        [],
    ]


def included(cell: str, file: str, *sources: str) -> list[Step]:
    """Return the steps of a runbook that a cell includes."""
    by = Inclusion(cell=cell, path=file)
    return [
        msgspec.structs.replace(step, id=f"{cell}-{step.id}", included=by)
        for step in section(*sources)
    ]


def test_steps_of_an_included_text_are_recognized_among_themselves() -> None:
    recorded = [*section(DF), *included("drain", "drain.md", DF, FREE)]
    new = [*section(DF), *included("drain", "drain.md", CURL, DF, FREE)]
    assert ids(recorded, 3, new) == ["check", "drain-check_4", "drain-check", "drain-check_2"]


def test_steps_of_an_included_notebook_keep_the_ids_of_its_cells() -> None:
    recorded = included("drain", "drain.ipynb", DF, FREE)
    new = included("drain", "drain.ipynb", CURL, DF, FREE)
    assert ids(recorded, 2, new) == [step.id for step in new]


def test_include_that_took_the_place_of_one_that_was_run_is_refused() -> None:
    recorded = included("drain", "drain.md", DF)
    shifted = [*included("drain", "tell.md", CURL), *included("drain_2", "drain.md", DF)]
    renamed = included("other", "drain.md", DF)
    for new in (shifted, renamed):
        with pytest.raises(RunbookError, match=r'add id="drain" to the region that includes'):
            ids(recorded, 1, new)
        assert ids(recorded, 0, new)


SOURCES = st.lists(st.sampled_from(["a", "b", "c", DF, DF + " -1", FREE]), min_size=1, max_size=5)


@given(before=SOURCES, after=SOURCES, run=st.integers(0, 5))
def test_no_step_runs_again_with_the_same_source(
    before: list[str], after: list[str], run: int
) -> None:
    """A recorded step that was run is in the file at most once, and under its id if it is there."""
    recorded, new = section(*before), section(*after)
    try:
        found = ids(recorded, run, new)
    except RunbookError:
        return
    assert len({*found}) == len(found)
    for source in {*before}:
        done = [step.id for step in recorded[:run] if step.source == source]
        places = [id_ for id_, step in zip(found, new, strict=True) if step.source == source]
        fresh = [id_ for id_ in places if id_ not in {step.id for step in recorded}]
        # A source is new only as often as the file has it more often than the record.
        assert len(fresh) <= max(0, len(places) - min(len(done), len(places)))
