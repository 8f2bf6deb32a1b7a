"""The conversation at a stop: from the menu to a decision with all that it needs."""

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import msgspec
from rich.columns import Columns
from rich.console import Console, RenderableType
from rich.text import Text

from nbrun.core import decisions
from nbrun.core.decisions import Decision
from nbrun.core.deviations import deviation_kinds, implied_deviations, unified_diff
from nbrun.core.events import Record
from nbrun.core.guards import decision_refusal
from nbrun.core.planner import needs_confirmation, step_label, target_step
from nbrun.core.proposals import required_approval
from nbrun.core.state import RunState
from nbrun.views.render.source import highlight
from nbrun.views.terminal import menu, replay
from nbrun.views.terminal.line_input import Keyboard
from nbrun.views.terminal.menu import Chosen
from nbrun.views.terminal.view import TerminalView
from nbrun.views.text import phrases
from nbrun.views.text.header_footer import facts
from nbrun.views.text.options import DisplayOptions
from nbrun.views.text.sanitize import plain

News = Callable[[], bool | None]

_PATIENCE = 3  # ends of file in a row that mean that nobody is there


class _Moot(Exception):  # noqa: N818  no error: the question has gone away
    pass


class Dialogue:
    """Asks an operator (`console.Asker`). `watch` is readable when the run has news; `records`
    gives the run's records so far, for looking back at them as `display` says.
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
        self._drafts: dict[str, str] = {}
        self._ends = 0

    # ── the three questions ──────────────────────────────────────────────────────────────────

    def at_stop(self, state: RunState, news: News) -> Decision | None:
        self._show(Columns([Text(choice, no_wrap=True) for choice in menu.menu(state)], (0, 3)))
        try:
            while True:
                decision = self._once(state, news)
                if decision is not None:
                    return decision
        except _Moot:
            return None

    def for_input(self, state: RunState, news: News) -> Decision | None:
        wanted = state.input_wanted
        if wanted is None:
            return None
        asked = plain(wanted.prompt) or "the cell asks for input: "
        try:
            return decisions.Answer(text=self._ask(asked, news, secret=wanted.password))
        except _Moot:
            return None

    def about_kill(self, state: RunState, news: News) -> Decision | None:
        running = step_label(state, state.attempt.step) if state.attempt else "the step"
        self._say(f"{running} has not stopped yet. Killing the kernel loses all its variables.")
        try:
            return decisions.KillKernel() if self._confirm("kill the kernel?", news) else None
        except _Moot:
            return None

    # ── one line and what it leads to ────────────────────────────────────────────────────────

    def _once(self, state: RunState, news: News) -> Decision | None:
        chosen = menu.parse(self._ask(menu.question(state), news), state)
        if isinstance(chosen, str):
            self._say(chosen)
            return None
        decision = self._decision(chosen, state, news)
        if decision is None:
            return None
        why_not = decision_refusal(state, decision)
        if why_not is not None:
            self._say(why_not)
            return None
        gated = self._through_gate(decision, state, news)
        return None if gated is None else self._with_reason(gated, state, news)

    def _through_gate(self, decision: Decision, state: RunState, news: News) -> Decision | None:
        """Put the question of the step that `decision` runs; None when the answer is no.

        At the stop that puts it, the choice itself is the answer, but for what has to be typed.
        """
        target = target_step(state, decision)
        if target is None or not (target.step.contract.manual or needs_confirmation(state, target)):
            return decision
        contract, stop = target.step.contract, state.stop
        asked = stop is not None and stop.reason == "confirm" and stop.step == target.step.id
        if contract.confirm and not asked:
            self._say(plain(f"{step_label(state, target.step.id)}: {contract.confirm}"))
        if contract.typed:
            typed = self._ask(plain(f"type {contract.typed} to confirm: "), news)
            if typed != contract.typed:
                self._say("that is something else: nothing was done")
                return None
            return msgspec.structs.replace(decision, typed=typed)
        if asked or not contract.confirm or self._confirm("go on?", news):
            return decision
        return None

    def _decision(self, chosen: Chosen, state: RunState, news: News) -> Decision | None:
        match chosen.choice.name:
            case "help":
                self._show(facts(menu.explained(state)))
            case "view":
                self._look_back(chosen.argument, state)
            case "note":
                return decisions.AddNote(text=chosen.argument or self._ask("note: ", news))
            case "edit" | "edit-other":
                return self._edit(chosen.argument or None, state, news)
            case "insert":
                source = self._written("insert", "", state, news)
                return decisions.Insert(source=source) if source else None
            case "cancel":
                return decisions.Cancel() if self._confirm("end the run here?", news) else None
            case "run-other":
                return decisions.Run(step=chosen.argument)
            case "jump":
                return decisions.Jump(step=chosen.argument)
            case _:
                return chosen.choice.sample
        return None

    def _with_reason(self, decision: Decision, state: RunState, news: News) -> Decision:
        """Why, wherever the choice leaves the script; Enter for no reason. Ctrl-C goes back."""
        kinds = {deviation.kind for deviation in implied_deviations(state, decision)}
        needed = bool(deviation_kinds(state, decision) & {*state.plan.policy.need_reason})
        if (
            not kinds
            and not needed
            and not isinstance(decision, decisions.Cancel | decisions.Settle)
        ):
            return decision
        if kinds:
            told = ", ".join(sorted(kind.replace("_", " ") for kind in kinds))
            self._say(f"this takes the run off script: {told}")
        if required_approval(state, decision) is not None:
            self._say("it waits until another person approves it")
        reason = self._reason(news, needed=needed)
        self._drafts.clear()
        return msgspec.structs.replace(decision, reason=reason.strip())

    def _reason(self, news: News, *, needed: bool) -> str:
        if not needed:
            return self._ask("reason (Enter for none, Ctrl-C to go back): ", news)
        while not (reason := self._ask("reason (needed; Ctrl-C to go back): ", news)).strip():
            pass
        return reason

    # ── writing code ─────────────────────────────────────────────────────────────────────────

    def _edit(self, step: str | None, state: RunState, news: News) -> Decision | None:
        target = state.steps[step] if step else state.current
        if target is None:
            return None
        source = self._written(
            target.step.id, target.last_source or target.step.source, state, news
        )
        return decisions.Edit(source=source, step=step) if source else None

    def _written(self, key: str, before: str, state: RunState, news: News) -> str | None:
        """A source from the operator's editor, shown again before it runs; None to run nothing.

        What was written is the next edit's draft, until a decision is made: it is not lost when
        the kernel dies meanwhile, or by a wrong key.
        """
        source = self._edited(self._drafts.get(key, before), state)
        if source is None or not source.strip() or source == before:
            self._say("nothing was changed")
            return None
        self._drafts[key] = source
        self._show(highlight(unified_diff(before, source), "diff"))
        return source if self._confirm("run this?", news) else None

    def _edited(self, source: str, state: RunState) -> str | None:
        """`source` after $VISUAL, $EDITOR or the platform's editor; None when it was not saved."""
        import click

        info = state.kernel_info.language_info if state.kernel_info else {}
        suffix = str(info.get("file_extension") or ".txt")
        try:
            with _interrupts_left_to_the_editor():
                edited = click.edit(source + "\n", extension=suffix)
        except click.ClickException as error:
            self._say(f"{error.format_message()}: set EDITOR to the editor you want")
            return None
        return source if edited is None else edited.rstrip("\n")

    # ── looking ──────────────────────────────────────────────────────────────────────────────

    def _look_back(self, what: str, state: RunState) -> None:
        if what == "left":
            self._show(facts(_left(state)))
            return
        current = state.current
        target = current.step.id if what in ("", "source") and current else None
        step = target or menu.step_id(what, state)
        if step is None:
            self._say(f"nothing is called {plain(what)!r}: view, view N, view source, view left")
        elif what == "source" or not state.steps[step].attempts:
            self._say(plain(f"{phrases.step(state, step)}, as the runbook has it:"))
            self._show(highlight(state.steps[step].step.source, self._language(state)))
        else:
            view = TerminalView(self._console, live=False, buffered=True, display=self._display)
            replay.replay(self._records(), view, step=step)

    def _language(self, state: RunState) -> str:
        return state.kernel_info.language if state.kernel_info else "python"

    # ── asking and saying ────────────────────────────────────────────────────────────────────

    def _ask(self, question: str, news: News, *, secret: bool = False) -> str:
        while True:
            try:
                line = self._keyboard.ask(question, self._watch, news, secret=secret)
            except EOFError:
                self._ends += 1
                if self._ends >= _PATIENCE:
                    raise
                self._say("\n(end of file; to end the run, choose cancel)")
                continue
            self._ends = 0
            if line is None:
                raise _Moot
            return line

    def _confirm(self, question: str, news: News) -> bool:
        """Only a typed yes is a yes."""
        return self._ask(f"{question} [y/N] ", news).strip().lower() in ("y", "yes")

    def _say(self, text: str) -> None:
        self._show(Text(text))

    def _show(self, shown: RenderableType) -> None:
        self._console.print(shown)


def _left(state: RunState) -> list[tuple[str, str]]:
    """The steps not passed yet, by number and title."""
    steps = [state.steps[id_] for id_ in state.order]
    return [
        (step_label(state, step.step.id), step.step.title) for step in steps if not step.passed
    ] or [("nothing", "every step was passed")]


@contextmanager
def _interrupts_left_to_the_editor() -> Iterator[None]:
    """Ctrl-C in an editor is the editor's; a handler, unlike SIG_IGN, is not inherited."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
