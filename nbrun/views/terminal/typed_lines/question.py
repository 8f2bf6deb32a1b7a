"""A question to an operator, and what may happen while it waits for an answer."""

from collections.abc import Callable
from dataclasses import dataclass

# Called when the watched file descriptor is readable, with a function that takes the question off
# the screen: call it before printing. The question then appears again below, with what is typed.
# Returns False if the question is withdrawn.
PollUpdates = Callable[[Callable[[], None]], bool]

# Returns what may follow at the end of a typed text, each with a description. What is offered
# replaces the last word.
Completions = Callable[[str], list[tuple[str, str]]]


@dataclass(frozen=True)
class Question:
    """A question whose answer is one text.

    `prompt` is safe to print: of control characters, it holds only newlines and colours. `secret`:
    show nothing of the answer, and keep it in no history. `history`: the name of the history that
    the arrow keys go through; "" for none.
    """

    prompt: str
    secret: bool = False
    history: str = ""
    completions: Completions | None = None
