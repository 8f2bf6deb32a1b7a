"""The menu at a stop, and the parsing of typed lines."""

import msgspec
import pytest

from nbrun.core import events as ev
from nbrun.core import model
from nbrun.views.terminal import menu
from nbrun.views.terminal.menu import Selection
from tests.support.build_events import (
    crashed,
    decision_proposed,
    kernel_idle,
    kernel_reattached,
    operator,
    run_resumed,
    stopped,
)
from tests.support.run_builder import Run, step

THREE = (step("a"), step("b"), step("c", tags=("skip-execution",)))


@pytest.fixture
def stepping():
    """A stop before step 1, which has not run."""
    return Run(*THREE, policy=model.Policy(step=True)).stop("step_mode").state


@pytest.fixture
def failed():
    """A stop at step 1, which has failed."""
    return Run(*THREE).failure("a").state


@pytest.fixture
def dead():
    """A stop at step 1 without a kernel."""
    tale = Run(*THREE).begin("a").add(ev.KernelDied(generation=1, why="killed"))
    return tale.end("kernel_died").stop("kernel_died").state


def name(line, state):
    """The name of the choice that `line` is; None when it is none."""
    chosen = menu.parse(line, state)
    return chosen.choice.name if isinstance(chosen, Selection) else None


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("r", "run"),
        ("run", "run"),
        ("g", "continue"),
        ("go", "continue"),
        ("continue", "continue"),
        ("e", "edit"),
        ("edit", "edit"),
        ("s", "skip"),
        ("skip", "skip"),
        ("i", "insert"),
        ("insert", "insert"),
        ("k", "restart"),
        ("restart", "restart"),
        ("n", "note"),
        ("note", "note"),
        ("v", "view"),
        ("view", "view"),
        ("c", "cancel"),
        ("cancel", "cancel"),
        ("?", "help"),
        ("h", "help"),
        ("help", "help"),
        ("  SKIP  ", "skip"),
    ],
)
def test_letters_and_words_are_parsed(stepping, line, meant):
    assert name(line, stepping) == meant


def test_r_is_retry_after_failure(failed):
    assert name("r", failed) == "retry"
    assert name("retry", failed) == "retry"


@pytest.fixture
def unseen():
    """Resumed, and stopped at an attempt that nobody saw end."""
    tale = Run(step("a"), step("b"))
    tale.begin("a").add(*crashed(running="a"), run_resumed(), kernel_reattached(), kernel_idle())
    return tale.add(stopped("indeterminate", "a")).state


def test_indeterminate_attempt_allows_only_settling(unseen):
    assert menu.labels(unseen) == [
        "n note",
        "happened",
        "not",
        "unknown",
        "v view",
        "d detach",
        "c cancel",
        "? help",
    ]
    assert menu.prompt(unseen) == "did step 1 happen? "
    for line in ("r", "s", "g", "r 2", "j 2", "k", "i"):
        assert "nobody saw end" in menu.parse(line, unseen), line
    for line in ("h", "y", "yes", "hap"):
        parsed = menu.parse(line, unseen)
        assert isinstance(parsed, str) or parsed.choice.name == "help", line


@pytest.fixture
def by_hand():
    """A stop at step 1, which is for a person to do."""
    manual = step("a", "Do it.", contract=model.Contract(manual=True))
    return Run(manual, *THREE[1:]).stop("manual").state


@pytest.fixture
def put_up():
    """A stop at step 1, where a skip of it waits for an approval."""
    return Run(*THREE).failure("a").add(decision_proposed(step="a")).state


def test_waiting_decision_allows_only_withdrawal(put_up):
    assert menu.labels(put_up) == [
        "w withdraw",
        "n note",
        "v view",
        "d detach",
        "c cancel",
        "? help",
    ]
    assert menu.prompt(put_up) == "step 1, waiting> "
    for line in ("r", "s", "e", "r 2", "e 2", "j 2", "k", "i"):
        assert "skip waits for an approval: withdraw it first" in menu.parse(line, put_up), line


@pytest.fixture
def can_be_undone():
    """A stop at step 2, which has failed; step 1 has an undo."""
    undo = step("u", "back()")
    return (
        Run(msgspec.structs.replace(THREE[0], undo=undo), *THREE[1:])
        .attempt("a")
        .failure("b")
        .state
    )


def test_u_undoes_what_ran_last_or_the_step_that_is_named(can_be_undone, failed):
    for line in ("u", "undo", "u 1", "undo a"):
        chosen = menu.parse(line, can_be_undone)
        assert (chosen.choice.name, chosen.argument) == ("undo", "a"), line
    assert "u undo step 1" in menu.labels(can_be_undone)
    assert menu.parse("u 2", can_be_undone).startswith("step 2 has no undo")
    assert menu.parse("u", failed) == "nothing that ran has an undo that is left to run"
    assert not any(label.startswith("u ") for label in menu.labels(failed))


@pytest.fixture
def by_program():
    """A stop at step 1, where a program of the operator's account has proposed a skip of it."""
    program = operator()
    program = msgspec.structs.replace(program, channel="program")
    return Run(*THREE).failure("a").add(decision_proposed(step="a", by=program)).state


def test_proposal_of_program_leaves_every_choice_to_the_operator(by_program, failed):
    added = [label for label in menu.labels(by_program) if label not in menu.labels(failed)]
    assert added == ["w withdraw", "a approve", "reject"]
    assert set(menu.labels(failed)) < set(menu.labels(by_program))
    assert menu.prompt(by_program) == "step 1> "
    assert name("r", by_program) == "retry"
    assert menu.parse("a", failed) == "no program has proposed anything"


def test_every_choice_has_letter_and_words(
    stepping, failed, unseen, by_hand, put_up, can_be_undone, by_program
):
    for choice in menu.CHOICES:
        for word in (choice.letter.replace("N", "2"), *choice.words):
            line = f"{word} 2" if choice.name == "jump" and word in choice.words else word
            stops = (stepping, failed, unseen, by_hand, put_up, can_be_undone, by_program)
            possible = [name(line, at) for at in stops]
            assert choice.name in possible, line


@pytest.mark.parametrize("line", ["", "   ", "\t"])
def test_empty_line_chooses_nothing(stepping, line):
    assert menu.parse(line, stepping) == "type a choice; ? explains the choices"


@pytest.mark.parametrize("line", ["z", "ski", "skipp", "retr", "yes", "1", "rr", "\x1b[A", "r3"])
def test_words_are_never_completed(stepping, line):
    assert "is not a choice here" in menu.parse(line, stepping)


def test_unknown_word_is_quoted_and_escaped(stepping):
    assert "\x1b" not in menu.parse("\x1b[2J", stepping)


@pytest.mark.parametrize(
    ("line", "meant", "of"),
    [
        ("r 2", "run-other", "b"),
        ("run 2", "run-other", "b"),
        ("run b", "run-other", "b"),
        ("e 2", "edit-other", "b"),
        ("edit b", "edit-other", "b"),
        ("j 2", "jump", "b"),
        ("jump  2", "jump", "b"),
    ],
)
def test_other_step_is_named_by_number_or_id(failed, line, meant, of):
    chosen = menu.parse(line, failed)
    assert isinstance(chosen, Selection)
    assert (chosen.choice.name, chosen.argument) == (meant, of)


@pytest.mark.parametrize("called", ["0", "4", "9", "-1", "2.0", "²", "nowhere", "1 2", "9" * 5000])
def test_unknown_step_is_refused(failed, called):
    for word in ("run", "edit", "jump"):
        assert "which step? There are 1 to 3" in menu.parse(f"{word} {called}", failed)


def test_jump_needs_step(failed):
    assert "which step" in menu.parse("jump", failed)


@pytest.mark.parametrize("line", ["skip 2", "cancel now", "retry please", "g 2"])
def test_argument_is_refused_where_none_is_taken(failed, line):
    assert "takes nothing after it" in menu.parse(line, failed)


def test_note_keeps_text_as_typed(failed):
    chosen = menu.parse("note  The DBA said: GO  ahead ", failed)
    assert chosen.argument == "The DBA said: GO  ahead"


@pytest.mark.parametrize("line", ["run", "g"])
def test_failed_step_refuses_run(failed, line):
    assert "has failed" in menu.parse(line, failed)


def test_step_without_failure_refuses_retry(stepping):
    assert "has not failed" in menu.parse("retry", stepping)


def test_excluded_step_refuses_run(failed):
    assert "skip-execution" in menu.parse("r 3", failed)


@pytest.mark.parametrize("line", ["r", "e", "i", "r 2", "e 2"])
def test_dead_kernel_refuses_to_run(dead, line):
    assert "restart it first" in menu.parse(line, dead)


def test_dead_kernel_allows_other_choices(dead):
    assert [name(line, dead) for line in ("k", "s", "n", "c", "j 2")] == [
        "restart",
        "skip",
        "note",
        "cancel",
        "jump",
    ]


def test_strict_run_refuses_off_script_choices():
    state = Run(*THREE, policy=model.Policy(strict=True)).failure("a").state
    for line in ("retry", "skip", "edit", "insert", "restart", "jump 2", "run 2"):
        assert "--strict" in menu.parse(line, state), line
    assert name("note x", state) == "note"
    assert name("cancel", state) == "cancel"


def test_menu_shows_only_possible_choices(stepping, failed, dead):
    def letters(state):
        return [choice.split()[0] for choice in menu.labels(state)]

    assert letters(stepping) == [
        "r",
        "x",
        "g",
        "e",
        "s",
        "r",
        "e",
        "j",
        "i",
        "k",
        "n",
        "v",
        "d",
        "c",
        "?",
    ]
    assert "r run" in menu.labels(stepping)
    assert "r retry" in menu.labels(failed)
    assert "r run" not in menu.labels(failed)
    assert "r retry" not in menu.labels(dead)


def test_help_explains_every_choice(failed):
    rows = dict(menu.help_rows(failed))
    assert len(rows) == len(menu.CHOICES)
    assert rows["s, skip"] == "skip this step"
    assert rows["r, run"].startswith("not now: step 1 has failed")


def test_prompt_names_current_step(failed):
    assert menu.prompt(failed) == "step 1> "


def test_prompt_at_end_names_no_step():
    state = Run(step("a")).attempt("a").state
    assert menu.prompt(state) == "> "


# ── completion ───────────────────────────────────────────────────────────────────────────────


def completed(text, tale):
    return [word for word, _ in menu.completions(text, tale.state)]


def test_only_possible_choices_complete():
    tale = Run(step("a"), step("b", title="Second")).failure("a")
    assert completed("re", tale) == ["retry", "restart"]
    assert completed("w", tale) == []
    assert "r" not in completed("r", tale)
    assert {"retry", "skip", "note"} <= {*completed("", tale)}
    assert completed("not", tale) == ["note"]


@pytest.mark.parametrize("word", ["r", "run", "e", "edit", "j", "jump", "v", "view"])
def test_step_numbers_complete_with_their_titles(word):
    tale = Run(step("a"), step("b", title="Second\x1b[2J")).failure("a")
    assert ("2", "Second^[[2J") in menu.completions(f"{word} ", tale.state)
    assert completed(f"{word} 2", tale) == ["2"]


def test_reasons_and_code_do_not_complete():
    tale = Run(step("a"), step("b")).failure("a")
    assert completed("n ", tale) == completed("i ", tale) == completed("skip ", tale) == []


@pytest.mark.parametrize("line", ["r\n2", "s\nbecause", "g\n", "j\n2\n", "\ng\ny"])
def test_several_lines_choose_only_a_cell_or_a_note(line):
    state = Run(step("a"), step("b")).failure("a").state
    chosen = menu.parse(line, state)
    assert isinstance(chosen, str) or "\n" not in line.strip()
    assert menu.parse("n one\ntwo", state) == Selection(menu._BY_NAME["note"], "one\ntwo")
