"""The output notebook: valid for any run, and the same bytes from the same events."""

import errno
import hashlib
import json
import os
import stat
import tempfile
import tracemalloc
from unittest.mock import patch

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from nbrun.core import events as ev
from nbrun.core import model
from nbrun.views.export import cell_store, notebook
from nbrun.views.export.outputs import Outputs
from nbrun.views.render.widgets import VIEW_MIME
from tests.support import build_events
from tests.support.build_events import approval_rejected, decision_proposed
from tests.support.run_builder import OPERATOR, Run, at, display, narrate, step, stream

TEXT = st.text(max_size=12)
MARKUP = "# <b>x</b> | `a` *b* [c](d) <script>alert(1)</script> &amp; ![i](j) $x$ ~~s~~\n> q\n- z"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
MIMES = st.sampled_from(
    ["text/plain", "text/html", "image/png", "application/json", "application/vnd.x+json"]
)
BUNDLES = st.dictionaries(MIMES, JSON, max_size=3)
OUTPUTS = st.one_of(
    st.builds(stream, TEXT, st.sampled_from(["stdout", "stderr", "odd"])),
    st.builds(lambda data: {"output_type": "display_data", "data": data, "metadata": {}}, BUNDLES),
    st.builds(
        lambda data, count: {
            "output_type": "execute_result",
            "data": data,
            "metadata": {},
            "execution_count": count,
        },
        BUNDLES,
        st.none() | st.integers(0, 9),
    ),
    st.builds(
        lambda name, lines: {
            "output_type": "error",
            "ename": name,
            "evalue": name,
            "traceback": lines,
        },
        TEXT,
        st.lists(TEXT, max_size=3),
    ),
)
DISPLAYS = st.sampled_from(["d1", "d2"])
IDS = ("nbrun-1", "nbrun-2", "nbrun-head", "nbrun-not-run", "nbrun-not-run-1", "x" * 64)


@st.composite
def tales(draw):
    """A run that wanders: attempts with outputs, decisions, notes, deaths, an end or none."""
    tale = Run(
        step(
            IDS[0],
            draw(TEXT),
            title=draw(TEXT),
            tags=draw(st.sampled_from([(), ("skip-execution",), ("nbrun-not-run", "setup")])),
            narration=(narrate(IDS[1], draw(TEXT)), narrate(IDS[2], draw(TEXT), "raw")),
        ),
        step(IDS[3], draw(TEXT), metadata={"nbrun": {"impact": "none"}, "own": draw(JSON)}),
        step(IDS[5], draw(TEXT), metadata={"nbrun": "odd"}),
        epilogue=(narrate(IDS[4], draw(TEXT)),),
        parameters=draw(st.dictionaries(TEXT, JSON, max_size=2)),
        metadata={"nbrun": draw(JSON)},
        reason=draw(TEXT),
        ticket=draw(TEXT),
    )
    for _ in range(draw(st.integers(0, 5))):
        wander(draw, tale)
    if draw(st.booleans()):
        tale.finish(draw(st.sampled_from(["completed", "cancelled", "failed"])), why=draw(TEXT))
    return tale


def wander(draw, tale):
    """One attempt of whatever comes next, and what is decided after it."""
    current = tale.state.current
    tale.begin(current.step.id if current else "inserted-1", draw(st.none() | TEXT), "operator")
    for _ in range(draw(st.integers(0, 4))):
        match draw(st.sampled_from(["output", "output", "display", "update", "clear"])):
            case "output":
                tale.output(draw(OUTPUTS), late=draw(st.booleans()))
            case "display":
                shown = {"output_type": "display_data", "data": draw(BUNDLES), "metadata": {}}
                tale.output(shown, display_id=draw(DISPLAYS))
            case "update":
                tale.update(draw(DISPLAYS), draw(BUNDLES))
            case "clear":
                tale.clear(wait=draw(st.booleans()))
    tale.end(
        draw(st.sampled_from(["ok", "error", "interrupted", "timed_out"])),
        execution_count=draw(st.none() | st.integers(0, 9)),
        ename=draw(st.none() | TEXT),
        evalue=draw(st.none() | TEXT),
    )
    tale.stop("step_mode")
    tale.note(draw(TEXT))
    tale.decide(draw(st.sampled_from(["run", "skip", "cancel"])), reason=draw(TEXT))


def built(tale, ending=None):
    return json.loads(notebook.build(tale.records, ending))


def code_cells(document):
    return [cell for cell in document["cells"] if cell["cell_type"] == "code"]


def sources(document):
    return [cell["source"] for cell in document["cells"]]


# ── whatever happened ────────────────────────────────────────────────────────────────────────


@pytest.mark.sweep
@given(tales())
@settings(max_examples=120, deadline=None)
def test_notebook_is_valid_for_any_run(tale):
    document = built(tale)
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    nbformat.validate(nbformat.from_dict(document))
    ids = [cell["id"] for cell in document["cells"]]
    assert len(ids) == len(set(ids))


@given(tales())
@settings(max_examples=40, deadline=None)
def test_attempts_are_cells_in_order_run(tale):
    ran = [r.event for r in tale.records if isinstance(r.event, ev.AttemptStarted)]
    cells = [c for c in code_cells(built(tale)) if c["metadata"]["nbrun"]["outcome"] != "not_run"]
    told_of = [(c["metadata"]["nbrun"]["step"], c["metadata"]["nbrun"]["attempt"]) for c in cells]
    assert told_of == [(event.step, event.attempt) for event in ran]
    assert [c["source"] for c in cells] == [event.source for event in ran]


@given(tales())
@settings(max_examples=40, deadline=None)
def test_same_events_give_same_bytes(tale):
    assert notebook.build(tale.records) == notebook.build(iter(list(tale.records)))


@pytest.mark.sweep
@given(tales(), st.none() | st.text("0123456789abcdef", min_size=64, max_size=64))
@settings(max_examples=60, deadline=None)
def test_unrecorded_end_gives_bytes_of_recorded_end(tale, digest):
    if tale.state.finished is None:
        before = list(tale.records)
        prospective = notebook.build(before, tale.ending("failed"))
        tale.finish("failed", notebook_sha256=digest)
        assert prospective == notebook.build(tale.records)


@given(tales())
@settings(max_examples=60, deadline=None)
def test_stored_cell_shows_same_outputs_as_cell_in_memory(tale):
    folded = Outputs()
    for record in tale.records:
        if isinstance(record.event, ev.Output | ev.OutputUpdated | ev.OutputCleared):
            folded.take(record.event)
    for cell in code_cells(built(tale)):
        own = cell["metadata"]["nbrun"]
        if own.get("attempt") and own["step"] != "inserted-1":  # which these tales run again
            assert cell["outputs"] == folded.of(own["step"], own["attempt"])


def test_late_changes_reach_stored_cells():
    tale = Run(step("a"), step("b"), step("c"))
    tale.begin("a").output(stream("one\n")).output(display(**{"text/plain": "0 %"}), display_id="d")
    tale.end("ok").attempt("b", stream("two\n"))
    tale.begin("c").update("d", {"text/plain": "99 %"})
    tale.output(stream("one more\n"), step="a", late=True)
    tale.end("ok")
    tale.update("d", {"text/plain": "100 %"})
    first, second, third = code_cells(built(tale))
    assert [output.get("text") or output["data"] for output in first["outputs"]] == [
        ["one\n"],
        {"text/plain": "100 %"},
        ["one more\n"],
    ]
    assert second["outputs"][0]["text"] == ["two\n"]
    assert third["outputs"] == []


def test_waiting_clear_survives_storing_of_cell():
    tale = Run(step("a"), step("b"), step("c"))
    tale.begin("a").output(stream("old\n")).clear(wait=True).end("ok")
    tale.attempt("b").begin("c").output(stream("new\n"), step="a", late=True).end("ok")
    assert code_cells(built(tale))[0]["outputs"][0]["text"] == ["new\n"]


def test_captured_output_reaches_stored_cell_that_displays_its_widget():
    made = build_events.widgets_changed({"o": {"_model_name": "OutputModel"}}, step="a")
    view = display(**{"text/plain": "Output()", VIEW_MIME: {"model_id": "o"}})
    run = Run(step("a"), step("b"), step("c"))
    run.begin("a").add(made).output(view).end("ok").attempt("b")
    run.begin("c").output(stream("one\n"), widget="o").output(stream("two\n"), widget="o")
    run.output(stream("of c\n")).output(stream("hidden\n"), widget="never displayed").end("ok")
    first, _, third = code_cells(built(run))
    assert [output["text"] for output in first["outputs"]] == [["one\n", "two\n"]]
    assert [output["text"] for output in third["outputs"]] == [["of c\n", "hidden\n"]]


def test_many_displays_show_their_newest_bundles():
    tale = Run(step("a"), step("b"))
    tale.begin("a")
    for number in range(300):
        tale.output(display(**{"text/plain": "old"}), display_id=f"d{number}")
    tale.end("ok").begin("b")
    for number in range(0, 300, 2):
        tale.update(f"d{number}", {"text/plain": f"new {number}"})
    tale.end("ok")
    shown = [output["data"]["text/plain"] for output in code_cells(built(tale))[0]["outputs"]]
    assert shown == [f"new {n}" if n % 2 == 0 else "old" for n in range(300)]


def test_memory_does_not_grow_with_number_of_steps():
    def peak(steps):
        tale = Run(*(step(f"s{number}") for number in range(steps)))
        for number in range(steps):
            tale.attempt(f"s{number}", stream("x" * 400_000))
        tracemalloc.start()
        for piece in notebook.chunks(tale.records):
            assert piece
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(40) < 2 * peak(4)


@pytest.mark.sweep
@given(tales(), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_spooled_stream_texts_give_same_bytes(tale, most):
    whole = notebook.build(tale.records)
    with patch.object(cell_store, "_MAX_STREAM_TEXT", most):
        assert notebook.build(tale.records) == whole


def test_spooled_stream_texts_survive_late_output_and_clear():
    tale = Run(step("a"), step("b"), step("c"))
    tale.begin("a").output(display(**{"text/plain": "0 %"}), display_id="d")
    for name in ("stdout", "stderr", "stderr", "stdout", "stdout", "stdout"):
        tale.output(stream(f'"{name}"\n\\ \u2028 é', name))
    tale.end("ok").begin("b").output(stream("old\n")).clear(wait=True).end("ok").begin("c")
    for text in ("late", "later"):
        tale.output(stream(text), step="a", late=True).output(stream(text), step="b", late=True)
    tale.update("d", {"text/plain": "1 %"}).end("ok")
    whole = notebook.build(tale.records)
    with patch.object(cell_store, "_MAX_STREAM_TEXT", 0):
        assert notebook.build(tale.records) == whole
    assert code_cells(json.loads(whole))[1]["outputs"][0]["text"] == ["late", "later"]


def test_memory_does_not_grow_with_steps_never_run():
    steps = 3_000
    tale = Run(*(step(f"s{number}") for number in range(steps)))
    tracemalloc.start()
    size = sum(map(len, notebook.chunks(tale.records)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 300 * steps
    assert peak < 800 * steps


def test_memory_does_not_grow_with_length_of_stream():
    tale = Run(step("a")).begin("a")
    for _ in range(40):
        tale.output(stream("x" * 1_000_000))
    tale.end("ok")
    tracemalloc.start()
    size = sum(map(len, notebook.chunks(tale.records)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 40_000_000
    assert peak < 10_000_000


def test_unwritable_temporary_file_raises_os_error(monkeypatch):
    class Full(tempfile.SpooledTemporaryFile):
        def write(self, _content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", Full)
    with pytest.raises(OSError, match="No space"):
        built(Run(step("a")).attempt("a", stream("x")))


# ── what a cell says ─────────────────────────────────────────────────────────────────────────


def test_attempt_cell_has_metadata_of_attempt():
    tale = Run(step("check", "check()", tags=("setup",), metadata={"nbrun": {"impact": "none"}}))
    tale.attempt("check", stream("fine\n"), execution_count=3, shell_exit=0)
    (cell,) = code_cells(built(tale))
    assert cell["execution_count"] == 3
    assert cell["outputs"] == [{"output_type": "stream", "name": "stdout", "text": ["fine\n"]}]
    assert cell["metadata"] == {
        "nbrun": {
            "impact": "none",
            "step": "check",
            "attempt": 1,
            "outcome": "ok",
            "started": at(2),
            "finished": at(4),
            "duration": 1.25,
            "operator": {"uid": 1000, "name": "ada", "via": "/dev/pts/7"},
            "deviations": [],
            "shell_exit": 0,
        },
        "tags": ["setup"],
    }


def test_failed_attempt_and_retry_are_both_cells():
    tale = Run(step("a", "a()")).failure("a").decide("retry", reason="the disk is free again")
    tale.attempt("a", source="a()", cause="operator")
    first, second = (cell["metadata"]["nbrun"] for cell in code_cells(built(tale)))
    assert (first["outcome"], first["ename"], first["evalue"]) == (
        "error",
        "ValueError",
        "no such host",
    )
    assert (second["outcome"], second["deviations"]) == ("ok", ["retried"])


def test_edit_is_deviation_of_its_attempt_cell():
    tale = Run(step("a", "old()")).failure("a").decide("edit", source="new()")
    tale.attempt("a", source="new()", cause="operator")
    cell = code_cells(built(tale))[1]
    assert cell["source"] == "new()"
    assert cell["metadata"]["nbrun"]["deviations"] == ["retried", "edited"]


def test_attempt_without_end_has_no_outcome():
    (cell,) = code_cells(built(Run(step("a")).begin("a")))
    assert cell["metadata"]["nbrun"]["outcome"] is None
    assert cell["execution_count"] is None


def test_inserted_cell_is_code_cell():
    tale = Run(step("a")).stop("step_mode").decide("insert", source="peek()")
    tale.attempt("inserted-1", source="peek()", cause="operator")
    cell = code_cells(built(tale))[0]
    assert cell["source"] == "peek()"
    assert cell["metadata"]["nbrun"]["deviations"] == ["inserted"]


def test_late_output_is_in_cell_of_its_attempt():
    tale = Run(step("a"), step("b")).attempt("a", stream("now\n")).attempt("b")
    tale.output(stream("late\n"), step="a", attempt=1, late=True)
    first, second = code_cells(built(tale))
    assert "".join(first["outputs"][0]["text"]) == "now\nlate\n"
    assert second["outputs"] == []


def test_display_update_reaches_earlier_attempt():
    tale = Run(step("a"), step("b")).begin("a")
    tale.output(display(text_plain="0 %"), display_id="bar").end()
    tale.begin("b").update("bar", {"text/plain": "100 %"}).end()
    cell = code_cells(built(tale))[0]
    assert cell["outputs"][0]["data"] == {"text/plain": "100 %"}


def test_markdown_of_step_is_once_before_first_attempt():
    tale = Run(step("a", "a()", narration=(narrate("about-a", "About *a*"),)))
    tale.failure("a").decide("retry").attempt("a", cause="operator")
    assert sources(built(tale)).count("About *a*") == 1
    assert sources(built(tale)).index("About *a*") < sources(built(tale)).index("a()")


def test_skipped_step_keeps_its_markdown():
    tale = Run(step("a", "a()", narration=(narrate("about-a", "About a"),)), step("b", "b()"))
    tale.stop("step_mode").decide("skip").attempt("b")
    order = sources(built(tale))
    assert order.index("About a") < order.index("b()")


def test_epilogue_is_only_in_notebook_of_run_that_reached_it():
    def ended(tale):
        return sources(built(tale))

    def tale():
        return Run(step("a"), epilogue=(narrate("end", "Roll back: …"),))

    assert "Roll back: …" in ended(tale().attempt("a").finish())
    assert "Roll back: …" not in ended(tale().failure("a").finish("failed"))


# ── what people said ─────────────────────────────────────────────────────────────────────────


def text_of(markdown):
    """What a Markdown reader shows of a cell: the text of its inline tokens, and the markup."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(markdown)
    inline = [child for token in tokens for child in token.children or []]
    kinds = {child.type for child in inline} | {token.type for token in tokens}
    return " ".join(child.content for child in inline if child.content), kinds


@pytest.mark.parametrize("word", MARKUP.split())
def test_reason_is_escaped_word_by_word(word):
    tale = Run(step("a")).failure("a").decide("skip", reason=f"x {word} x")
    remark = next(source for source in sources(built(tale)) if source.startswith("**skip"))
    assert f"x {word} x" in text_of(remark)[0]


@pytest.mark.parametrize(
    "line", ["- z", "+ z", "1. z", "12) z", "===", "---", "    z()", "> z", "# z", "```", "-", ""]
)
def test_note_starts_no_list_heading_or_rule(line):
    tale = Run(step("a")).note(f"said\n{line}\nmore")
    note = next(source for source in sources(built(tale)) if source.startswith("**Note"))
    text, kinds = text_of(note)
    assert line.strip() in text
    assert kinds <= {
        *("paragraph_open", "paragraph_close", "blockquote_open", "blockquote_close", "inline"),
        *("text", "text_special", "hardbreak", "softbreak", "strong_open", "strong_close"),
    }


def test_markup_in_reason_title_and_parameter_is_escaped():
    markup = MARKUP + "\n| a | b |\n|---|---|\n<script>alert(1)</script>"
    tale = Run(step("a", title=markup), parameters={"p|q": markup}, reason=markup, ticket=markup)
    tale.failure("a").note(markup).decide("retry", reason=markup)
    tale.attempt("a", cause="operator").finish(why=markup)
    ours = [c for c in built(tale)["cells"] if c["cell_type"] == "markdown"]
    active = {"html_inline", "html_block", "link_open", "image", "code_inline", "s_open"}
    for cell in ours:
        _, kinds = text_of(cell["source"])
        assert not kinds & active, cell["source"]
    head = ours[0]["source"]
    rows = [line for line in head.splitlines() if line.startswith("|")]
    assert all(line.replace("\\|", "").count("|") == 3 for line in rows)


def test_decision_note_and_kernel_events_are_cells_in_order():
    tale = Run(step("a", title="Stop it"))
    tale.failure("a").note("called the dba")
    tale.decide("retry", reason="she agreed").begin("a", cause="operator")
    tale.add(ev.KernelDied(generation=1, why="killed"))
    tale.end("kernel_died").stop("kernel_died").decide("restart", reason="again")
    tale.add(ev.KernelRestarted(generation=2, kernelspec="python3", why="again"))
    remarks = [source for source in sources(built(tale)) if source.startswith("**")]
    assert [remark.split("**")[1] for remark in remarks] == [
        "Note",
        "retry · step 1 of 1 · Stop it",
        "The kernel died",
        "restart · step 1 of 1 · Stop it",
        "The kernel was restarted",
    ]
    assert "> called the dba" in remarks[0]
    assert "ada (uid 1000, /dev/pts/7)" in remarks[1]


def test_proposal_cell_has_diff_and_rejection():
    tale = Run(step("a", "drop()")).failure("a")
    tale.add(decision_proposed("edit", "a", "drop(1)", kinds=("edited",), reason="too *broad*"))
    tale.add(approval_rejected("a", "no", decision="edit"))
    waits, rejected = [source for source in sources(built(tale)) if "pproval**" in source]
    assert waits.startswith("**Put up for approval**: edit step 1, by ada (uid 1000, /dev/pts/7),")
    assert "> too \\*broad\\*" in waits
    assert "> \\+drop(1)" in waits
    assert "edit step 1 rejected by grace" in rejected


def test_attempt_cell_names_operator_who_decided():
    other = model.Operator(uid=7, name="bob", via="/dev/pts/8")
    tale = Run(step("a")).failure("a")
    tale.add(ev.Decided(operator=other, decision="retry"), ev.Resumed())
    tale.attempt("a", cause="operator")
    first, second = (cell["metadata"]["nbrun"]["operator"] for cell in code_cells(built(tale)))
    assert (first["name"], second["name"]) == (OPERATOR.name, "bob")


# ── head and foot ────────────────────────────────────────────────────────────────────────────


def test_header_names_runbook_operator_and_outcome():
    tale = Run(step("a"), parameters={"host": "db1", "n": 3}, reason="disk full", ticket="OPS-7")
    tale.attempt("a").finish()
    cell = built(tale)["cells"][0]
    assert cell["id"] == "nbrun-head"
    for said in (
        "| Runbook | /srv/runbooks/restore.ipynb |",
        '| Parameter host | "db1" |',
        "| Parameter n | 3 |",
        "| Started | 2026-11-23 09:30:00 UTC by ada (uid 1000, /dev/pts/7) |",
        "| Reason | disk full |",
        "| Ticket | OPS-7 |",
        "| Ended | completed, on script: every step was passed |",
        "| Took | 1 min 02 s |",
    ):
        assert said in cell["source"]
    assert "Git commit" not in cell["source"]


def test_header_of_unfinished_run_says_not_yet():
    assert "| Ended | not yet |" in built(Run(step("a")).attempt("a"))["cells"][0]["source"]


def test_metadata_has_outcome_of_run():
    tale = Run(step("a"), parameters={"n": 1}, metadata={"nbrun": {"own": 1}, "kept": 2})
    tale.failure("a").decide("skip").finish()
    metadata = built(tale)["metadata"]
    assert metadata["kept"] == 2
    assert metadata["language_info"]["name"] == "python"
    assert metadata["nbrun"] == {
        "own": 1,
        "run": "20261123-093000-restore-ab12",
        "outcome": "completed",
        "off_script": True,
        "parameters": {"n": 1},
    }


def test_steps_never_run_are_listed_with_reason():
    tale = Run(
        step("a"),
        step("b", tags=("skip-execution",)),
        step("c", "c()", tags=("keep",)),
        step("d"),
    )
    tale.attempt("a").stop("step_mode").decide("skip").failure("d").finish("failed")
    document = built(tale)
    where = sources(document).index("## Steps that were never run")
    never = document["cells"][where + 1 :]
    assert [cell["metadata"]["nbrun"]["step"] for cell in never] == ["b", "c"]
    assert [cell["metadata"]["nbrun"]["why"] for cell in never] == [
        "not run: the runbook tags it skip-execution",
        "not run: skipped",
    ]
    assert never[1]["metadata"]["tags"] == ["keep", "nbrun-not-run"]
    assert never[1]["source"] == "# step 3: not run: skipped\nc()"
    assert never[1]["execution_count"] is None


def test_complete_run_has_no_list_of_steps_never_run():
    assert not any("never run" in s for s in sources(built(Run(step("a")).attempt("a").finish())))


def test_rerun_of_output_notebook_is_valid():
    """Its cells have the ids and the tags that are given here."""
    tale = Run(step("nbrun-not-run-1", tags=("nbrun-not-run",)), step("nbrun-3"))
    nbformat.validate(nbformat.from_dict(built(tale.finish("failed"))))


def test_cell_ids_are_unique_whatever_the_runbook_uses():
    taken = tuple(narrate("nbrun-1" + "-2" * n, "x") for n in range(28))
    tale = Run(step("a", narration=(narrate("nbrun-29", "y"), *taken))).attempt("a")
    ids = [cell["id"] for cell in built(tale)["cells"]]
    assert len(ids) == len(set(ids))
    assert all(len(id_) <= 64 for id_ in ids)


# ── writing it ───────────────────────────────────────────────────────────────────────────────


def test_save_sets_owner_only_mode_under_any_umask(tmp_path):
    before = os.umask(0)
    try:
        digest = notebook.save(tmp_path / "run.ipynb", (b"content",))
    finally:
        os.umask(before)
    path = tmp_path / "run.ipynb"
    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert digest == hashlib.sha256(b"content").hexdigest()


@pytest.mark.parametrize(
    "failing", ["nbrun.views.export.notebook.sync_file", "pathlib.Path.replace"]
)
def test_failed_save_leaves_old_file_and_nothing_else(tmp_path, monkeypatch, failing):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    path = tmp_path / "run.ipynb"
    notebook.save(path, (b"old",))
    monkeypatch.setattr(failing, full)
    with pytest.raises(OSError, match="No space"):
        notebook.save(path, (b"new",))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_save_does_not_disturb_reader_of_old_file(tmp_path):
    path = tmp_path / "run.ipynb"
    notebook.save(path, (b"old",))
    with path.open("rb") as reader:
        notebook.save(path, (b"new",))
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"
