"""What a new supervisor is asked to do, and what it answers: one line of JSON each, over pipes."""

from typing import Any, Literal

import msgspec

from nbrun.runbook.parameters.types import Given


class _Order(msgspec.Struct, frozen=True, kw_only=True, tag_field="order"):
    """Paths are text, relative ones to the folder that the supervisor is started in."""


class StartOrder(_Order, frozen=True, kw_only=True, tag="start"):
    """Start a run of `runbook`, as `nbrun start` was asked to. `attended`: somebody will decide at
    its stops; `given`: the values of parameters, with secrets as they are."""

    runbook: str
    attended: bool
    given: dict[str, Given] = {}
    undeclared: bool = False
    runs_dir: str | None = None
    kernel: str | None = None
    cwd: str | None = None
    step: bool = False
    strict: bool = False
    on_failure: Literal["ask", "stop", "wait"] = "ask"
    wait_for: float | None = None
    shell_errors: Literal["fail", "ignore"] = "fail"
    reason: str = ""
    ticket: str = ""
    sign: str | None = None
    max_output: str = ""  # what nbrun.toml says, or its own
    yes: bool = False
    yes_destructive: bool = False
    role: str | None = None
    group: str = ""


class ResumeOrder(_Order, frozen=True, kw_only=True, tag="resume"):
    """Go on with the interrupted run in the folder `directory`; with `new_runbook`, by the runbook
    as it is now. `given`: secrets of it, given again, as they are."""

    directory: str
    new_runbook: bool = False
    reason: str = ""
    given: dict[str, Given] = {}


Order = StartOrder | ResumeOrder


class _Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="answer"):
    """The one thing that a supervisor says to who started it."""


class Accepted(_Answer, frozen=True, kw_only=True, tag="accepted"):
    """The run in the folder `directory` goes on by itself from here; its socket is there."""

    directory: str


class Declined(_Answer, frozen=True, kw_only=True, tag="declined"):
    """Nothing was run. `why` is for the operator, with the exit code that goes with it."""

    why: str
    exit_code: int


Answer = Accepted | Declined

_encoder = msgspec.json.Encoder()
_orders: msgspec.json.Decoder[Order] = msgspec.json.Decoder(Order)
_answers: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


def encoded(message: Any) -> bytes:
    return _encoder.encode(message) + b"\n"


def order(line: bytes) -> Order:
    """Raises ValueError when it is none."""
    return _orders.decode(line)


def answer(line: bytes) -> Answer:
    """Raises ValueError when it is none."""
    return _answers.decode(line)
