"""Messages between `nbrun` and a supervisor that it starts: one request, then one reply.

Each is one line of JSON: the request on the supervisor's stdin, the reply on its stdout.
"""

from typing import Any, Literal

import msgspec

from nbrun.runbook.parameters.types import Given


class _SupervisorRequest(msgspec.Struct, frozen=True, kw_only=True, tag_field="order"):
    """Paths are strings. Relative paths start at the supervisor's working directory."""


class StartRequest(_SupervisorRequest, frozen=True, kw_only=True, tag="start"):
    """Start a run of `runbook`, with the options of `nbrun start`.

    Attributes:
        attended: an operator will decide at stops.
        given: parameter values as given, secrets in clear text.
        wait_for: seconds that a stop waits for an operator to attach, or None for no limit.
        max_output: a size such as `64MiB`; empty for the value in nbrun.toml, or the default.
    """

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
    max_output: str = ""
    yes: bool = False
    yes_destructive: bool = False
    role: str | None = None
    group: str = ""


class ResumeRequest(_SupervisorRequest, frozen=True, kw_only=True, tag="resume"):
    """Resume the interrupted run in `directory`.

    Attributes:
        new_runbook: follow the runbook file as it is now, not as it was recorded.
        given: the run's secrets, entered again, in clear text.
    """

    directory: str
    new_runbook: bool = False
    reason: str = ""
    given: dict[str, Given] = {}


SupervisorRequest = StartRequest | ResumeRequest


class _SupervisorReply(msgspec.Struct, frozen=True, kw_only=True, tag_field="answer"):
    """The only message that a supervisor sends to the process that started it."""


class Accepted(_SupervisorReply, frozen=True, kw_only=True, tag="accepted"):
    """The run in `directory` has begun, and the supervisor listens on its socket."""

    directory: str


class Declined(_SupervisorReply, frozen=True, kw_only=True, tag="declined"):
    """Nothing was run. `why` is shown to the operator; `exit_code` is that of `nbrun`."""

    why: str
    exit_code: int


SupervisorReply = Accepted | Declined

_encoder = msgspec.json.Encoder()
_requests: msgspec.json.Decoder[SupervisorRequest] = msgspec.json.Decoder(SupervisorRequest)
_replies: msgspec.json.Decoder[SupervisorReply] = msgspec.json.Decoder(SupervisorReply)


def encode(message: Any) -> bytes:
    """Return `message` as one line of JSON, with its newline."""
    return _encoder.encode(message) + b"\n"


def decode_request(line: bytes) -> SupervisorRequest:
    """Parse one line from `nbrun`.

    Raises:
        ValueError: the line is not a request.
    """
    return _requests.decode(line)


def decode_reply(line: bytes) -> SupervisorReply:
    """Parse one line from a supervisor.

    Raises:
        ValueError: the line is not a reply.
    """
    return _replies.decode(line)
