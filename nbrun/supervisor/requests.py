"""Messages between `nbrun` and a supervisor that it starts: one request, then one reply.

Each is one line of JSON: the request on the supervisor's stdin, the reply on its stdout.
"""

from pathlib import Path
from typing import Any

import msgspec

from nbrun.core.run_options import RunOptions
from nbrun.runbook.parameters.types import RawValue


class _SupervisorRequest(msgspec.Struct, frozen=True, kw_only=True, tag_field="order"):
    """Relative paths start at the supervisor's working directory."""


class StartRequest(_SupervisorRequest, frozen=True, kw_only=True, tag="start"):
    """Start a run of `runbook`, with the options of `nbrun start`.

    Attributes:
        address: where the file `runbook` was fetched from, without credentials; empty for a file
            that the operator has named.
        attended: an operator will decide at stops.
        undoes: the folder of the ended run whose undos are the runbook; None to run the file.
        given: parameter values as given, secrets in clear text.
        step_timeout: seconds that a step may take if the runbook does not say otherwise; None for
            what the settings say.
        bound: cancel the run when the process that sends this request is gone.
        by_program: a program starts the run on behalf of its account. The run stops before its
            first step, and before each later one until somebody decides otherwise.
    """

    runbook: Path
    attended: bool
    undoes: Path | None = None
    address: str = ""
    options: RunOptions = RunOptions()
    given: dict[str, RawValue] = {}
    step_timeout: float | None = None
    bound: bool = False
    by_program: bool = False


class ResumeRequest(_SupervisorRequest, frozen=True, kw_only=True, tag="resume"):
    """Resume the interrupted run in `directory`.

    Attributes:
        new_runbook: follow the runbook file as it is now, not as it was recorded.
        fetched: that file, if the runbook is at an address; None if it is where the record says.
        foreign: the operator knows that this account did not begin the run.
        given: the run's secrets, entered again, in clear text.
    """

    directory: Path
    new_runbook: bool = False
    fetched: Path | None = None
    foreign: bool = False
    reason: str = ""
    given: dict[str, RawValue] = {}


SupervisorRequest = StartRequest | ResumeRequest


class _SupervisorReply(msgspec.Struct, frozen=True, kw_only=True, tag_field="answer"):
    """The only message that a supervisor sends to the process that started it."""


class Accepted(_SupervisorReply, frozen=True, kw_only=True, tag="accepted"):
    """The run in `directory` has begun, and the supervisor listens on its socket."""

    directory: Path


class Declined(_SupervisorReply, frozen=True, kw_only=True, tag="declined"):
    """Nothing was run. `why` is shown to the operator; `exit_code` is that of `nbrun`."""

    why: str
    exit_code: int


SupervisorReply = Accepted | Declined


def is_bound(request: SupervisorRequest) -> bool:
    """Return True if the run ends with the sender, which keeps the pipe open for as long."""
    return isinstance(request, StartRequest) and request.bound


def _path_to_text(value: Any) -> str:
    """Encode a path as text. msgspec expects NotImplementedError for other types."""
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"no JSON for {type(value)}")


def _text_to_path(kind: type, value: Any) -> Any:
    """Decode a path. msgspec expects NotImplementedError for other types."""
    if kind is Path:
        return Path(value)
    raise NotImplementedError(f"no {kind} in JSON")


_encoder = msgspec.json.Encoder(enc_hook=_path_to_text)
_requests: msgspec.json.Decoder[SupervisorRequest] = msgspec.json.Decoder(
    SupervisorRequest, dec_hook=_text_to_path
)
_replies: msgspec.json.Decoder[SupervisorReply] = msgspec.json.Decoder(
    SupervisorReply, dec_hook=_text_to_path
)


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
