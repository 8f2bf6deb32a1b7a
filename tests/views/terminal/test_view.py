"""The terminal view: live, replayed, narrow, hostile."""

import io
import re

import pyte
import pytest
from rich.console import Console

from nbrun.core import events as ev
from nbrun.core import model
from nbrun.core.reducer import apply
from nbrun.core.state import RunState
from nbrun.journal.history import LastAttempt
from nbrun.views.render.widgets import VIEW_MIME
from nbrun.views.terminal import live_region
from nbrun.views.terminal.view import TerminalView
from nbrun.views.text.options import DisplayOptions
from tests.support import build_events
from tests.support.images import png
from tests.support.run_builder import Run, display, narrate, step, stream

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b2J\u202e[bold]x[/bold]"


@pytest.fixture(autouse=True)
def _drawn_at_once(monkeypatch):
    """The live region is drawn ten times a second; here, whenever there is something new."""
    monkeypatch.setattr(live_region, "REFRESH", 0.0)


class Screen:
    """A terminal of `width` columns, and the view that writes to it."""

    def __init__(self, width=80, *, live=True, tty=True, **kind):
        self.file = io.StringIO()
        self.console = Console(
            file=self.file,
            force_terminal=tty,
            width=width,
            height=400,
            highlight=False,
            emoji=False,
            markup=False,
            color_system="standard" if tty else None,
        )
        self.view = TerminalView(self.console, live=live and tty, **kind)
        self.state = RunState()
        self.seen = 0

    def show(self, tale):
        """Show what `tale` has come to since it was last shown."""
        for record in tale.records[self.seen :]:
            apply(self.state, record.event)
            self.view.show(self.state, record)
        self.seen = len(tale.records)
        self.view.flush()
        return self

    def close(self):
        self.view.close()
        return self

    @property
    def screen(self):
        screen = pyte.Screen(self.console.width, 400)
        pyte.Stream(screen).feed(self.file.getvalue().replace("\n", "\r\n"))
        return screen

    @property
    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self):
        return "\n".join(self.lines).rstrip()


def shown(tale, **kind):
    return Screen(**kind).show(tale).close().text


def plan(**fields):
    narration = (narrate("about", "## Stop it\n\nLook at *the queue*."),)
    return Run(step("a", "stop()", title="Stop it", narration=narration), step("b"), **fields)


# ── what is shown ────────────────────────────────────────────────────────────────────────────


def test_header_names_runbook_operator_and_record():
    tale = plan(parameters={"host": "db1", "n": 3}, reason="disk full", ticket="OPS-7")
    screen = Screen()
    screen.view.set_record_path("/var/runs/x")
    text = screen.show(tale).close().text
    for said in (
        "/srv/runbooks/restore.ipynb",
        "20261123-093000-restore-ab12",
        "2026-11-23 09:30:00 UTC by ada (uid 1000, /dev/pts/7)",
        "host = 'db1'",
        "n = 3",
        "disk full",
        "OPS-7",
        "/var/runs/x",
    ):
        assert said in text


def test_notices_are_shown():
    assert "note: upgraded from nbformat 3" in shown(plan(notices=("upgraded from nbformat 3",)))


def test_step_shows_title_markdown_source_output_and_result():
    lines = shown(plan().attempt("a", stream("stopped\n"))).splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("step 1 of 2 · Stop it ──"))
    assert lines[start].endswith("09:30:02Z")
    rest = [line for line in lines[start + 1 :] if line]
    assert rest == ["Look at the queue.", "stop()", "stopped", "ok · 1.2 s"]


def test_heading_that_is_title_is_not_shown_twice():
    narration = (narrate("n", "# Queues\n\n## Stop it"),)
    tale = Run(step("a", "stop()", title="Stop it", narration=narration)).attempt("a")
    lines = shown(tale).splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("step 1 of 1 · Stop it ──"))
    assert [line.rstrip() for line in lines[start + 1 : start + 4]] == ["Queues", "", "stop()"]


def test_heading_that_is_title_is_shown_where_title_is_cut():
    title = "Stop the queue of orders that are not yet paid"
    tale = Run(step("a", title=title, narration=(narrate("n", f"## {title}"),))).attempt("a")
    narrow = shown(tale, width=50)
    assert "step 1 of 1 · Stop the queue of orde… ─ " in narrow
    assert title in narrow
    assert shown(tale, width=100).count(title) == 1


def test_markdown_of_step_is_shown_once():
    tale = plan().failure("a").decide("retry").attempt("a", cause="operator")
    assert shown(tale).count("Look at the queue.") == 1


def test_title_names_second_attempt_and_edit():
    tale = plan().failure("a").decide("edit", source="other()")
    tale.attempt("a", source="other()", cause="operator")
    assert "step 1 of 2 · Stop it · attempt 2 · edited ─" in shown(tale)


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ({}, "ok · 1.2 s"),
        ({"duration": 3725.0}, "ok · 1 h 02 min"),
        (
            {"outcome": "error", "ename": "ValueError", "evalue": "bad"},
            "failed · 1.2 s · ValueError: bad",
        ),
        ({"outcome": "interrupted", "ename": "KeyboardInterrupt"}, "interrupted · 1.2 s"),
        ({"shell_exit": 3}, "a shell command exited with 3, which is allowed here"),
        ({"ended_run": True}, "the cell ended the run"),
    ],
)
def test_attempt_result_is_one_line(how, line):
    assert line in shown(plan().attempt("a", **how))


def test_stop_decision_and_deviation_are_shown():
    tale = plan().failure("a").decide("retry", reason="space is free")
    text = shown(tale.attempt("a", cause="operator"), width=100)
    assert "STOPPED at step 1 of 2 · Stop it" in text
    assert "this step failed" in text
    assert "ada: retry step 1 (space is free)" in text
    assert "off script: step 1 run again after it had not succeeded (space is free)" in text


def test_notes_refusals_kernel_events_and_answers_are_shown():
    tale = plan().begin("a")
    who = tale.state.plan.operator
    tale.add(
        ev.InputRequested(step="a", attempt=1, prompt="host? ", password=False),
        ev.InputAnswered(step="a", attempt=1, operator=who, answer="db1"),
        ev.InputRequested(step="a", attempt=1, prompt="password? ", password=True),
        ev.InputAnswered(step="a", attempt=1, operator=who, answer=None),
        ev.DecisionRefused(operator=who, decision="retry", why="not possible now"),
        ev.KernelInterrupted(generation=1, why="the operator pressed Ctrl-C"),
        ev.KernelDied(generation=1, why="ended by SIGKILL"),
    )
    tale.end("kernel_died").note("called the dba")
    text = shown(tale)
    for said in (
        "answer by ada: db1",
        "answer by ada: (a password, not recorded)",
        "refused: ada: retry (not possible now)",
        "interrupting the step: the operator pressed Ctrl-C",
        "ended by SIGKILL",
        "note by ada: called the dba",
    ):
        assert said in text


def test_footer_names_outcome_and_steps_not_run():
    tale = plan().failure("a").decide("skip", reason="not needed")
    tale.finish("cancelled", why="cancelled by the operator")
    text = shown(tale)
    assert "cancelled, off script at 2026-11-23 09:30:" in text
    assert "1 min 02 s" in text
    assert "step 1 passed over (not needed)" in text
    assert re.search(r"step 2 +Title of b: not run: the run was cancelled before it", text)


def test_epilogue_is_shown_only_if_reached():
    def tale():
        return Run(step("a"), epilogue=(narrate("end", "Now close the ticket."),))

    assert "Now close the ticket." in shown(tale().attempt("a").finish())
    assert "Now close the ticket." not in shown(tale().failure("a").finish("failed"))


# ── nothing is hidden ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("tty", [True, False])
def test_long_lines_are_not_lost(live, tty):
    words = " ".join(f"word{n}" for n in range(60))
    tale = plan().begin("a").output(stream(words)).output(stream("\nlast"))
    text = shown(tale.end(), width=60, live=live, tty=tty)
    flat = text.replace("\n", "").replace(" ", "")
    assert words.replace(" ", "") in flat
    assert "last" in text.splitlines()


def test_output_line_is_not_wrapped_without_terminal():
    tale = plan().attempt("a", stream("x" * 300 + "\n"))
    assert "x" * 300 in Screen(tty=False).show(tale).close().file.getvalue()


def test_chunks_of_both_streams_keep_order():
    tale = plan().begin("a")
    for text, name in (("out 1 ", "stdout"), ("out 2\n", "stdout"), ("err\n", "stderr")):
        tale.output(stream(text, name))
    lines = shown(tale.output(stream("out 3")).end()).splitlines()
    assert [line for line in lines if line.startswith(("out", "err"))] == [
        "out 1 out 2",
        "err",
        "out 3",
    ]


def test_last_update_of_display_stays_on_screen():
    tale = plan().begin("a").output(display(text_plain="0 %"), display_id="bar")
    screen = Screen().show(tale)
    assert "0 %" in screen.lines
    screen.show(tale.update("bar", {"text/plain": "50 %"}))
    assert "50 %" in screen.lines
    assert "0 %" not in screen.lines
    screen.show(tale.update("bar", {"text/plain": "100 %"}).end()).close()
    assert screen.lines.count("100 %") == 1
    assert "50 %" not in screen.lines


def test_without_region_last_state_of_display_is_printed():
    tale = plan().begin("a").output(display(text_plain="0 %"), display_id="bar")
    for done in range(1, 100):
        tale.update("bar", {"text/plain": f"{done} %"})
    lines = shown(tale.end(), live=False).splitlines()
    assert "0 %" in lines
    assert lines.count("99 %") == 1
    assert len([line for line in lines if line.endswith(" %")]) <= 3  # one in each five seconds


@pytest.mark.parametrize("wait", [True, False])
def test_clear_takes_effect_in_region(wait):
    tale = plan().begin("a").output(stream("seen\n"))
    screen = Screen().show(tale)
    assert "seen" in screen.lines
    screen.show(tale.clear(wait=wait))
    assert ("seen" in screen.lines) is wait
    lines = screen.show(tale.output(stream("next\n")).end()).close().lines
    assert "next" in lines
    assert "seen" not in lines


def test_clear_without_region_keeps_printed_output():
    tale = plan().begin("a").output(stream("seen\n")).clear(wait=False)
    assert "seen" in shown(tale.output(stream("next\n")).end(), live=False)


def test_late_output_names_its_step():
    tale = plan().attempt("a").begin("b")
    tale.output(stream("from a thread\n"), step="a", attempt=1, late=True).end()
    lines = shown(tale).splitlines()
    where = lines.index("late output of step 1 of 2 · Stop it:")
    assert lines[where + 1] == "from a thread"


def test_late_output_is_limited_and_named_as_its_own_steps():
    tale = plan().attempt("a").begin("b")
    tale.output(stream("x" * 3_000_000), step="a", attempt=1, late=True).end()
    text = shown(tale, width=100, display=DisplayOptions(max_lines=10))
    assert "… 29,990 of 30,000 lines left out here" in text
    assert "--step a" in text
    assert text.count("x" * 50) < 30


def test_output_can_be_hidden():
    tale = plan().attempt("a", stream("noise\n"), display(text_plain="more noise"))
    text = shown(tale, output=False)
    assert "noise" not in text
    assert "ok · 1.2 s" in text


# ── the live region ──────────────────────────────────────────────────────────────────────────


def test_unfinished_line_and_progress_are_shown_then_erased():
    tale = plan().begin("a").output(stream("50 percent"))
    screen = Screen().show(tale)
    assert "50 percent" in screen.lines
    assert any(line.startswith("running step 1 of 2 · Stop it · 0.") for line in screen.lines)
    screen.show(tale.output(stream(" done\n")).end()).close()
    assert "50 percent done" in screen.lines
    assert "50 percent" not in screen.lines
    assert "running" not in screen.text


def test_carriage_return_overwrites_line():
    tale = plan().begin("a").output(stream("10 %\r20 %\r30 %"))
    screen = Screen().show(tale)
    assert "30 %" in screen.lines
    screen.show(tale.output(stream("\r100 %\n")).end())
    assert "100 %" in screen.lines
    assert "30 %" not in screen.text


def test_question_has_last_line_to_itself():
    tale = plan().begin("a").output(stream("name: "))
    screen = Screen().show(tale)
    screen.view.suspend()
    assert "running" not in screen.text
    assert "name:" in screen.lines
    screen.view.resume()
    screen.view.flush()
    screen.show(tale.end()).close()
    assert "running" not in screen.text


def test_cursor_stays_visible():
    tale = plan().begin("a").output(stream("part"))
    screen = Screen().show(tale)
    assert not screen.screen.cursor.hidden
    screen.show(tale.end()).close()
    assert not screen.screen.cursor.hidden


# ── wherever it is shown ─────────────────────────────────────────────────────────────────────


def long_tale():
    tale = Run(
        step("a", "x = 1", title="A title that is a good deal longer than any line here can be"),
        parameters={"path": "/a/very/long/path/" * 6},
        reason="because " * 20,
    )
    tale.failure("a")
    return tale.decide("retry", reason="r " * 60).attempt("a", cause="operator").finish()


@pytest.mark.parametrize("width", [20, 60, 200])
def test_all_text_is_shown_at_any_width(width):
    text = shown(long_tale(), width=width)
    assert all(len(line) <= width for line in text.splitlines())
    flat = re.sub(r"\s", "", text)
    assert "Atitlethatisagooddeallongerthananylineherecanbe" in flat
    assert flat.count("/a/very/long/path/") == 6 or width == 20
    assert flat.count("because") == 20


def test_without_terminal_only_text_is_written():
    tale = plan().begin("a").output(stream("\x1b[31mred\x1b[0m\n"))
    tale.output(display(text_plain="\x1b[1mbold\x1b[0m"), display_id="d").end().stop("step_mode")
    written = Screen(tty=False).show(tale.decide("skip").finish()).close().file.getvalue()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", written)
    assert "red" in written


def test_hostile_text_is_escaped_everywhere_on_screen():
    """It is in every place that somebody else may write to."""
    tale = Run(
        step("a", HOSTILE, title=HOSTILE, narration=(narrate("n", HOSTILE),)),
        parameters={HOSTILE: HOSTILE},
        run=HOSTILE,
        runbook=HOSTILE,
        host=HOSTILE,
        reason=HOSTILE,
        notices=(HOSTILE,),
        epilogue=(narrate("e", HOSTILE),),
    )
    tale.attempt("a", stream(HOSTILE), outcome="error", ename=HOSTILE, evalue=HOSTILE)
    tale.stop("step_failed").note(HOSTILE).decide("skip", reason=HOSTILE)
    tale.finish(why=HOSTILE)
    screen = Screen(width=120)
    screen.view.set_record_path(HOSTILE)
    written = screen.show(tale).close().file.getvalue()
    own = r"\x1b\[[0-9;]*m|\x1b\[\?25[hl]|\x1b\[2K|\x1b\[1A"  # colours and the live region's moves
    assert not re.search(r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u202e]", re.sub(own, "", written))
    assert screen.screen.title == ""
    assert "[bold]x[/bold]" in screen.text


# ── what the operator asked to see ───────────────────────────────────────────────────────────


def test_plain_draws_no_boxes_and_redraws_nothing():
    tale = (
        plan()
        .begin("a")
        .output(stream("one\n"))
        .output(display(text_html="<table><tr><td>1<td>2</table>"))
    )
    screen = Screen(display=DisplayOptions(plain=True)).show(tale)
    assert "one" in screen.lines  # before the step has ended
    written = screen.show(tale.end().stop("step_mode")).close().file.getvalue()
    assert not re.search(r"[─━│┃▀]|\x1b\[[^m]*[A-HJKhl]", written)
    assert "step 1 of 2 · Stop it · 09:30:02Z" in screen.text


@pytest.mark.parametrize(
    ("kind", "drawn"),
    [({}, True), ({"display": DisplayOptions(plain=True)}, False), ({"tty": False}, False)],
)
def test_image_is_described_without_colours(kind, drawn):
    data = {"output_type": "display_data", "data": {"image/png": png()}, "metadata": {}}
    text = shown(plan().attempt("a", data), **kind)
    assert ("▀▀▀▀" in text) is drawn
    assert ("image/png 40×40, 1 kB" in text) is not drawn


def test_no_color_shows_no_image(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    data = {"output_type": "display_data", "data": {"image/png": png()}, "metadata": {}}
    assert "image/png 40×40, 1 kB" in shown(plan().attempt("a", data))


def test_long_output_is_cut_and_names_command():
    tale = plan().attempt("a", stream("".join(f"line {n}\n" for n in range(300))))
    text = shown(tale, width=120, display=DisplayOptions(max_lines=10))
    assert "line 4" in text
    assert "line 5\n" not in text
    assert "… 290 of 300 lines (3 kB in all) left out here: nbrun log" in text
    assert "20261123-093000-restore-ab12 --step a" in text
    assert "line 5\n" in shown(tale, display=DisplayOptions(max_lines=0), live=False)


def test_region_has_bounded_height():
    tale = plan().begin("a").output(stream("".join(f"line {n}\n" for n in range(300))))
    screen = Screen().show(tale)
    seen = [line for line in screen.lines if line.startswith("line ")]
    assert 2 <= len(seen) <= 16
    assert seen[-1] == "line 299"
    text = screen.show(tale.end()).close().text
    assert text.count("line 7\n") == 1
    assert text.count("line 299\n") == 1


def test_header_of_step_has_last_time_and_impact():
    before = {"a": LastAttempt(at="2026-11-20T10:00:00.000000Z", outcome="error", duration=75.0)}
    destructive = model.Contract(impact="destructive")
    tale = Run(step("a", contract=destructive), step("b")).failure("a").decide("retry")
    text = shown(
        tale.attempt("a", cause="operator"),
        load_last_times={"/srv/runbooks/restore.ipynb": before}.__getitem__,
    )
    assert "step 1 of 2 · Title of a · destructive ─" in text
    assert text.count("last time failed · 1 min 15 s on 2026-11-20") == 1


def test_stop_shows_error_and_its_source_line():
    error = {
        "output_type": "error",
        "ename": "KeyError",
        "evalue": "'host'",
        "traceback": [
            "Cell In[1], line 3\n      2 x = {}\n----> 3 x['host']\n",
            "KeyError: 'host'",
        ],
    }
    tale = Run(step("a", "\nx = {}\nx['host']", title="Stop it"), step("b"))
    tale.begin("a").output(error).end("error", ename="KeyError", evalue="'host'")
    tale.stop("step_failed")
    lines = shown(tale).splitlines()
    at = lines.index("STOPPED at step 1 of 2 · Stop it")
    marked = ["    1 │", "    2 │ x = {}", "  → 3 │ x['host']"]
    assert lines[at + 2 :] == ["  KeyError: 'host'", *marked]
    tale.decide("edit", source="x['host']", reason="").begin("a", "x['host']", "operator")
    tale.output(error | {"traceback": ["Cell In[2], line 1\n----> 1 x['host']\n"]})
    lines = shown(
        tale.end("error", ename="KeyError").stop("step_failed"), display=DisplayOptions(plain=True)
    )
    assert lines.splitlines()[-1] == "  > 1 | x['host']"  # of what ran, not of the runbook


@pytest.mark.parametrize(
    ("ename", "evalue"),
    [
        ("ShellError", "shell command 2 of 3 exited with 4"),
        ("UsageError", "Line magic function `%x` not found."),
        ("ExceptionGroup", "two (2 sub-exceptions)"),
    ],
)
def test_stop_names_error_that_no_output_has(ename, evalue):
    run = Run(step("a")).begin("a").output(stream("ExceptionGroup as text\n", "stderr"))
    run.end("error", ename=ename, evalue=evalue).stop("step_failed")
    assert shown(run).splitlines()[-1] == f"  {ename}: {evalue}"


def failed_script(*outputs):
    source = "%%bash\nls /nonexistent\nexit 2"
    evalue = f"Command '{source.encode()!r}' returned non-zero exit status 2."
    run = Run(step("a", source)).begin("a")
    for each in outputs:
        run.output(each)
    return run.end("error", ename="CalledProcessError", evalue=evalue).stop("step_failed")


def test_stop_names_failed_script_and_its_last_words():
    warnings = "".join(f"warning {n}\n" for n in range(9))
    run = failed_script(stream(warnings, "stderr"), stream("out\n"), stream("ls: no\n", "stderr"))
    lines = shown(run).splitlines()
    assert lines[-6:] == [
        "  bash exited with 2",
        *(f"  warning {n}" for n in range(5, 9)),
        "  ls: no",
    ]


def test_stop_shows_stdout_of_failed_script_that_has_no_stderr():
    run = failed_script(stream("copying\n"), stream("no space\n"))
    assert shown(run).splitlines()[-3:] == ["  bash exited with 2", "  copying", "  no space"]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (30, 8)])
def test_resize_during_step_loses_no_output(width, height):
    tale = plan().begin("a").output(stream("x" * 100 + "\n"))
    screen = Screen().show(tale)
    screen.console.width, screen.console.height = width, height
    screen.show(tale.output(stream("after\n")).end()).close()
    assert screen.file.getvalue().count("x" * width) >= 1
    assert "after" in screen.text


@pytest.mark.parametrize("live", [True, False])
def test_widget_bar_changes_in_place_and_is_printed_at_end(live):
    state = {"_model_name": "IntProgressModel", "min": 0, "max": 2, "value": 0}
    tale = plan().begin("a").add(build_events.widgets_changed({"m": state}, step="a"))
    data = {VIEW_MIME: {"model_id": "m"}, "text/plain": "IntProgress(value=0, max=2)"}
    tale.output({"output_type": "display_data", "data": data, "metadata": {}})
    screen = Screen(live=live).show(tale)
    assert ("| 0 of 2" in screen.text) is live
    screen.show(tale.add(build_events.widgets_changed({"m": {"value": 1}}, step="a")))
    assert ("| 1 of 2" in screen.text) is live
    tale.add(build_events.widgets_changed({"m": {"value": 2}}, step="a"))
    text = screen.show(tale.end()).close().text
    assert text.count("| 2 of 2") == 1
    assert "of 2\n" in text
    assert "| 1 of 2" not in text
    assert "IntProgress" not in text


def test_kernel_and_record_events_are_shown_during_step():
    made = Run(step("a")).begin("a").output(stream("before\n"))
    made.add(
        build_events.kernel_suspended(),
        build_events.kernel_continued(),
        build_events.output_capped("a"),
        build_events.seal_failed(1, "the agent is gone"),
        build_events.forwarding_failed("syslog", 1, "no such socket"),
        build_events.forwarding_resumed("syslog", 2),
        build_events.trace_failed(),
        build_events.role_refreshed(),
        build_events.role_not_refreshed(why="AccessDenied"),
    )
    text = Screen(tty=False).show(made).close().file.getvalue()
    text = " ".join(text.split())
    assert "the kernel is not responding" in text
    assert "the kernel's process continues" in text
    assert "refreshed: AWS arn:aws:sts::1:assumed-role/dba/ada, until 2026-11-23 10:31:04" in text
    assert "the kernel's credentials end at 2026-11-23 10:31:04 UTC: AccessDenied" in text
    assert text.index("before") < text.index("output past 1000 B is not kept")
    assert "not sealed up to line 2: the agent is gone" in text
    assert "the record from line 2 on waits to be sent to syslog: no such socket" in text
    assert "the record up to line 3 has been sent to syslog" in text
    trace = "the trace can't be sent to http://otel:4318/v1/traces: Connection refused"
    assert trace in text
