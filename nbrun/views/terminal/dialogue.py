"""The dialogue at a stop: from the menu to a decision, with its confirmation and its reason."""

from collections.abc import Callable, Iterable

import msgspec
from rich.columns import Columns
from rich.console import Console, RenderableType
from rich.text import Text

from nbrun.core import decisions, undo
from nbrun.core.approval import pending_approval
from nbrun.core.choices import needs
from nbrun.core.choices.options import find_step
from nbrun.core.decisions import Decision
from nbrun.core.deviations import unified_diff
from nbrun.core.events import Record
from nbrun.core.guards import decision_refusal
from nbrun.core.planner import needs_confirmation, step_label, target_step
from nbrun.core.proposals import proposed_decision
from nbrun.core.state import RunState
from nbrun.views.render.source import highlight
from nbrun.views.terminal import editor, menu, replay
from nbrun.views.terminal.menu import Selection
from nbrun.views.terminal.typed_lines.keyboard import Keyboard
from nbrun.views.terminal.typed_lines.question import PollUpdates, Question
from nbrun.views.terminal.view import TerminalView
from nbrun.views.text import phrases
from nbrun.views.text.header_footer import facts
from nbrun.views.text.options import DisplayOptions
from nbrun.views.text.sanitize import plain, visible, visible_but_colours

_NOTE = Question("note: ", history="reasons")
_REASON = Question("reason (Enter for none, Ctrl-C to go back): ", history="reasons")
_REQUIRED_REASON = Question("reason (required; Ctrl-C to go back): ", history="reasons")

_ASK_WHY = decisions.Cancel | decisions.Settle | decisions.Reject

_MAX_ENDS = 3  # ends of file in a row after which nobody is assumed to be there


class _QuestionWithdrawn(Exception):  # noqa: N818  not an error
    """The question no longer needs an answer: the kernel died, or somebody else decided."""


class Dialogue:
    """Ask an operator for decisions, as a console requires (see `console.Asker`).

    `watch` is a file descriptor that is readable when the run has updates. `records` returns the
    run's records so far, for `view`.
    """

    def __init__(
        self,
        console: Console,
        keyboard: Keyboard,
        watch: int,
        records: Callable[[], Iterable[Record]],
        display: DisplayOptions,
    ) -> None:
        self._console = console
        self._keyboard = keyboard
        self._watch = watch
        self._records = records
        self._display = display
        self._drafts: dict[str, bytes] = {}  # as the editor saved them
        self._ends = 0

    # ── the three questions ──────────────────────────────────────────────────────────────────

    def at_stop(self, state: RunState, poll: PollUpdates) -> Decision | None:
        """Ask what to do at a stop. Return None if the stop has ended meanwhile."""
        self._show(Columns([Text(choice, no_wrap=True) for choice in menu.labels(state)], (0, 3)))
        try:
            while True:
                decision = self._read_decision(state, poll)
                if decision is not None:
                    return decision
        except _QuestionWithdrawn:
            return None

    def for_input(self, state: RunState, poll: PollUpdates) -> Decision | None:
        """Ask for the input that the cell wants. Return None if it is not wanted any more."""
        wanted = state.input_wanted
        if wanted is None:
            return None
        prompt = visible_but_colours(wanted.prompt) or "the cell asks for input: "
        question = Question(prompt, secret=wanted.password)
        try:
            return decisions.Answer(text=self._ask(question, poll))
        except _QuestionWithdrawn:
            return None

    def about_kill(self, state: RunState, poll: PollUpdates) -> Decision | None:
        """Ask whether to kill the kernel. Return None for no."""
        running = step_label(state, state.attempt.step) if state.attempt else "the step"
        self._print(f"{running} has not stopped yet. Killing the kernel loses all its variables.")
        try:
            return decisions.KillKernel() if self._confirm("kill the kernel?", poll) else None
        except _QuestionWithdrawn:
            return None

    # ── from a typed line to a decision ────────────────────────────────────────────────────────

    def _read_decision(self, state: RunState, poll: PollUpdates) -> Decision | None:
        question = Question(
            menu.prompt(state),
            history="choices",
            completions=lambda text: menu.completions(text, state),
        )
        chosen = menu.parse(self._ask(question, poll), state)
        if isinstance(chosen, str):
            self._print(chosen)
            return None
        decision = self._decide(chosen, state, poll)
        if decision is None:
            return None
        why_not = decision_refusal(state, decision)
        if why_not is not None:
            self._print(why_not)
            return None
        confirmed = self._confirm_step(decision, state, poll)
        return None if confirmed is None else self._with_reason(confirmed, state, poll)

    def _confirm_step(
        self, decision: Decision, state: RunState, poll: PollUpdates
    ) -> Decision | None:
        """Ask the question of the step that `decision` runs. Return None if the answer is no.

        At a stop for confirmation, the choice itself is the answer, unless a text must be typed.
        """
        question = needs.question(state, decision)
        target = target_step(state, decision)
        if question and target is not None:
            self._print(plain(f"{step_label(state, target.step.id)}: {question}"))
        wanted = needs.typed_text(state, decision)
        if wanted:
            typed = self._ask(Question(plain(f"type {wanted} to confirm: ")), poll)
            if typed != wanted:
                self._print("that does not match: nothing was done")
                return None
            return msgspec.structs.replace(decision, typed=typed)
        return decision if not question or self._confirm("continue?", poll) else None

    def _decide(self, chosen: Selection, state: RunState, poll: PollUpdates) -> Decision | None:
        match chosen.choice.name:
            case "help":
                self._show(facts(menu.help_rows(state)))
            case "view":
                self._view(chosen.argument, state)
            case "note":
                return decisions.AddNote(text=chosen.argument or self._ask(_NOTE, poll))
            case "edit" | "edit-other":
                return self._edit(chosen.argument or None, state, poll)
            case "insert":
                return self._insert(chosen.argument, state, poll)
            case "cancel":
                return self._cancel(state, poll)
            case "run-other":
                return decisions.Run(step=chosen.argument)
            case "jump":
                return decisions.Jump(step=chosen.argument)
            case "undo":
                return self._undo(chosen.argument, state, poll)
            case "approve":
                return self._approve(state, poll)
            case _:
                return chosen.choice.sample
        return None

    def _with_reason(self, decision: Decision, state: RunState, poll: PollUpdates) -> Decision:
        """Ask for a reason if the choice leaves the script, cancels or settles."""
        needed = needs.needs_of(state, decision)
        asks = needed.off_script or needed.reason or isinstance(decision, _ASK_WHY)
        if not asks:
            return decision
        if needed.off_script:
            kinds = ", ".join(kind.replace("_", " ") for kind in needed.off_script)
            self._print(f"this takes the run off script: {kinds}")
        if needed.approval is not None:
            self._print("the decision waits until another person approves it")
        reason = self._reason(poll, needed=bool(needed.reason))
        self._drafts.clear()
        return msgspec.structs.replace(decision, reason=reason.strip())

    def _reason(self, poll: PollUpdates, *, needed: bool) -> str:
        if not needed:
            return self._ask(_REASON, poll)
        while not (reason := self._ask(_REQUIRED_REASON, poll)).strip():
            pass
        return reason

    def _undo(self, step: str, state: RunState, poll: PollUpdates) -> Decision | None:
        """Show the undo of `step`, and ask whether to run it unless its own contract asks."""
        undone_by = state.steps[step].undo
        if undone_by is None:
            return None
        self._print(plain(f"{phrases.step(state, undone_by.step.id)}:"))
        self._show(highlight(undone_by.step.source, self._language(state)))
        if needs_confirmation(state, undone_by) or self._confirm("run this undo?", poll):
            return decisions.Undo(step=step)
        return None

    def _cancel(self, state: RunState, poll: PollUpdates) -> Decision | None:
        """Ask whether to cancel, after naming the steps that can be undone before."""
        can_undo = menu.is_possible("undo", state)
        for step in undo.offered(state) if can_undo else ():
            self._print(plain(f"can be undone: {phrases.step(state, step.step.id)}"))
        if can_undo:
            self._print("to undo them, one by one, say no and choose u; nothing is undone unasked")
        return decisions.Cancel() if self._confirm("end the run here?", poll) else None

    def _approve(self, state: RunState, poll: PollUpdates) -> Decision | None:
        """Show what a program has proposed and ask. The approval covers what is shown here."""
        pending, proposal = pending_approval(state), state.proposal
        if pending is None or proposal is None:
            return None
        self._print(phrases.proposed(state, proposal))
        if changed := phrases.source_diff(state, proposal):
            self._show(highlight(changed, "diff"))
        proposed = self._confirm_step(proposed_decision(proposal), state, poll)
        if proposed is None or not self._confirm("approve this?", poll):
            return None
        return decisions.Approve(binding=pending.binding)

    # ── editing ─────────────────────────────────────────────────────────────────────────

    def _edit(self, step: str | None, state: RunState, poll: PollUpdates) -> Decision | None:
        target = state.steps[step] if step else state.current
        if target is None:
            return None
        source = self._write_source(
            target.step.id, target.last_source or target.step.source, state, poll
        )
        return decisions.Edit(source=source, step=step) if source else None

    def _insert(self, typed: str, state: RunState, poll: PollUpdates) -> Decision | None:
        """Insert a cell that was typed at the prompt, or one from the operator's editor."""
        if typed:
            self._drafts["insert"] = editor.to_bytes(typed)
            source = self._confirm_source("", typed, poll)
        else:
            source = self._write_source("insert", "", state, poll)
        return decisions.Insert(source=source) if source else None

    def _write_source(
        self, key: str, before: str, state: RunState, poll: PollUpdates
    ) -> str | None:
        """Return a source from the operator's editor, after a confirmation; None to run nothing.

        The source is the draft of the next edit of `key` until a decision is made, so that it is
        not lost if the kernel dies meanwhile or the operator presses a wrong key.
        """
        edited = editor.edit(self._drafts.get(key, editor.to_bytes(before)), _suffix(state))
        try:
            source = editor.to_source(edited.content)
        except ValueError as error:
            self._drafts[key] = edited.content
            self._print(f"{edited.problem or error}. The next edit starts from what was saved")
            return None
        if source.strip() and source != before:
            self._drafts[key] = edited.content
        if edited.problem or not source.strip() or source == before:
            self._print(edited.problem or "nothing was changed")
            if edited.came_at_once and not edited.problem:
                self._print(editor.hint_to_wait())
            return None
        return self._confirm_source(before, source, poll)

    def _confirm_source(self, before: str, source: str, poll: PollUpdates) -> str | None:
        self._show(highlight(unified_diff(before, source), "diff"))
        return source if self._confirm("run this?", poll) else None

    # ── viewing ──────────────────────────────────────────────────────────────────────────────

    def _view(self, what: str, state: RunState) -> None:
        if what == "left":
            self._show(facts(_steps_left(state)))
            return
        current = state.current
        target = current.step.id if what in ("", "source") and current else None
        step = target or find_step(state, what)
        if step is None:
            self._print(f"no step is called {plain(what)!r}: view N, view source or view left")
        elif what == "source" or not state.steps[step].attempts:
            self._print(plain(f"{phrases.step(state, step)}, as the runbook has it:"))
            self._show(highlight(state.steps[step].step.source, self._language(state)))
        else:
            view = TerminalView(self._console, live=False, buffered=True, display=self._display)
            replay.replay(self._records(), view, step=step)

    def _language(self, state: RunState) -> str:
        return state.kernel_info.language if state.kernel_info else "python"

    # ── asking and showing ────────────────────────────────────────────────────────────────────

    def _ask(self, question: Question, poll: PollUpdates) -> str:
        while True:
            try:
                line = self._keyboard.ask(question, self._watch, poll)
            except EOFError:
                self._ends += 1
                if self._ends >= _MAX_ENDS:
                    raise
                self._print("(end of file; to end the run, choose cancel)")
                continue
            self._ends = 0
            if line is None:
                raise _QuestionWithdrawn
            return line

    def _confirm(self, question: str, poll: PollUpdates) -> bool:
        """Return True only if `y` or `yes` is typed."""
        return self._ask(Question(f"{question} [y/N] "), poll).strip().lower() in ("y", "yes")

    def _print(self, text: str) -> None:
        self._show(Text(visible(text)))

    def _show(self, shown: RenderableType) -> None:
        self._console.print(shown)


def _steps_left(state: RunState) -> list[tuple[str, str]]:
    """The steps that have not been passed yet, by number and title."""
    steps = [state.steps[id_] for id_ in state.order]
    return [
        (step_label(state, step.step.id), step.step.title) for step in steps if not step.passed
    ] or [("nothing", "every step was passed")]


def _suffix(state: RunState) -> str:
    """Return the suffix of a file in the kernel's language."""
    info = state.kernel_info.language_info if state.kernel_info else {}
    return str(info.get("file_extension") or ".txt")
