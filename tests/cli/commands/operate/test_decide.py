"""`nbrun decide` on runs that take no decision, and its arguments."""

import io
import json

import msgspec
import pytest

from nbrun.cli.commands.operate import approve, decide
from nbrun.cli.commands.operate.decide import DecideOptions
from nbrun.core import decisions
from nbrun.core.choices import options as choices
from nbrun.core.choices.options import Arguments, named_decision
from nbrun.core.model import Contract
from nbrun.errors import ExitCode, UsageError
from tests.support.build_events import OPERATOR, decision_proposed, step, steps
from tests.support.run_builder import Run
from tests.support.run_states import state_of, stopped_by_failure

RUN = "20261123-093000-restore-ab12"


@pytest.fixture
def failed():
    return state_of(stopped_by_failure(2))


def test_ended_run_takes_no_decision_and_says_how_it_stands(keep, tale, runs_dir, capsys):
    keep(tale)
    options = DecideOptions(run=RUN, decision="retry", json=True, runs_dir=runs_dir)
    assert decide.decide(options) == ExitCode.USAGE
    told = json.loads(capsys.readouterr().out)
    assert (told["result"], told["seq"]) == ("refused", -1)
    assert "the run has ended" in told["why"]
    assert told["status"]["outcome"] == "completed, off script"
    with pytest.raises(UsageError, match="the run has ended"):
        decide.decide(DecideOptions(run=RUN, decision="retry", runs_dir=runs_dir))


def test_interrupted_run_takes_no_decision(keep, runs_dir):
    keep(Run(*steps(2)).failure("s1"))
    with pytest.raises(UsageError, match=f"nbrun resume {RUN}"):
        decide.decide(DecideOptions(run=RUN, decision="retry", runs_dir=runs_dir))


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("run", Arguments(), decisions.Run()),
        ("run", Arguments(argument="3"), decisions.Run(step="s3")),
        ("run", Arguments(argument="s3", typed="db1"), decisions.Run(step="s3", typed="db1")),
        ("jump", Arguments(argument="1", reason="why"), decisions.Jump(step="s1", reason="why")),
        ("edit", Arguments(source="a()"), decisions.Edit(source="a()")),
        (
            "edit",
            Arguments(argument="1", source="a()", confirmed=True),
            decisions.Edit(step="s1", source="a()", confirmed=True),
        ),
        ("insert", Arguments(source="a()"), decisions.Insert(source="a()")),
        (
            "settle",
            Arguments(argument="did-not-happen"),
            decisions.Settle(finding="did_not_happen"),
        ),
        ("note", Arguments(argument="a text"), decisions.AddNote(text="a text")),
        ("answer", Arguments(argument=""), decisions.Answer(text="")),
        ("approve", Arguments(), decisions.Approve(binding="")),
    ],
)
def test_named_decision_is_the_one_that_the_prompt_makes(failed, name, given, expected):
    assert named_decision(failed, name, given) == expected


def test_every_decision_has_a_name(failed):
    needs = {"jump": "1", "undo": "1", "settle": "unknown", "note": "x"}
    for name in choices.NAMES:
        source = "a()" if name in ("edit", "insert") else None
        made = named_decision(failed, name, Arguments(argument=needs.get(name, ""), source=source))
        assert decisions.decision_name(made) == name


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("jum", Arguments(), "is not a decision: one of run, retry"),
        ("detach", Arguments(), "is not a decision"),
        ("jump", Arguments(), "jump needs a step: 1 to"),
        ("jump", Arguments(argument="9"), "no step '9': 1 to 3"),
        ("jump", Arguments(argument="1" * 5000), "no step"),
        ("retry", Arguments(argument="2"), "retry takes nothing after it"),
        ("edit", Arguments(), "edit needs the code"),
        ("skip", Arguments(source="x"), "skip runs no code of yours"),
        ("settle", Arguments(argument="yes"), "happened, did-not-happen or unknown"),
    ],
)
def test_wrong_arguments_are_refused_in_words(failed, name, given, why):
    with pytest.raises(UsageError, match=why):
        named_decision(failed, name, given)


def test_source_is_read_from_a_file_or_stdin(tmp_path, monkeypatch):
    path = tmp_path / "fix.py"
    path.write_bytes("print('é')\n".encode())
    assert decide._read_source(str(path)) == "print('é')\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a()")))
    assert decide._read_source("-") == "a()"
    path.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="is not UTF-8"):
        decide._read_source(str(path))
    with pytest.raises(UsageError, match="can't be read"):
        decide._read_source(str(tmp_path))


def test_approval_of_a_program_asks_what_the_step_asks(monkeypatch, capsys):
    asking = step(1, contract=Contract(confirm="is db2 in sync?", typed="db1"))
    program = msgspec.structs.replace(OPERATOR, channel="program")
    proposed = decision_proposed("retry", "s1", by=program)
    state = state_of([*stopped_by_failure(1, (asking,)), proposed])
    typed = iter(["db2", "db1", "y"])
    monkeypatch.setattr(approve.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(approve, "_ask", lambda _question: next(typed))
    with pytest.raises(UsageError, match="that does not match: nothing was approved"):
        approve._confirm(state)
    approve._confirm(state)
    assert "is db2 in sync?" in capsys.readouterr().out
