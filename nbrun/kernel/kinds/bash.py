"""bash_kernel, which reports the status of a cell's last command and hides that its bash exited.

A trap counts failed commands as `set -e` would, and nbrun asks for the first of their statuses
after each cell. A new bash, which the kernel starts silently after `exit`, does not know the
question.
"""

from importlib import resources
from typing import Any

from nbrun.kernel.kinds.kind import Content, Interview, KernelKind, ShellLostError

_QUESTION = '__nbrun_same && (exit "${__nbrun_failed:-0}")'  # 127 in another bash
_FORGET = "__nbrun_same && __nbrun_failed="
_LOST = (
    "the step ended its bash, by exit, exec or set -e, and the kernel started a new one without "
    "its variables, functions and folder"
)
_EARLIER = "a command exited with {}, though the last one succeeded"


def _prelude() -> str:
    return resources.files("nbrun.kernel.kinds").joinpath("bash_prelude.sh").read_text("utf-8")


def _complete(content: Content) -> Interview:
    failed = _status(content)
    earlier = _status((yield _QUESTION))
    if earlier and _status((yield _FORGET)):
        raise ShellLostError(_LOST)
    if failed:
        return _failed(content, failed, f"exited with {failed}")
    if earlier and content.get("status") == "ok":
        return _failed(content, earlier, _EARLIER.format(earlier))
    return content


def _status(reply: Content) -> int:
    """Return the exit status in a reply: 0 if it names none.

    bash_kernel replies with an empty `ename` and the status as `evalue`.
    """
    text = str(reply.get("evalue", ""))
    is_exit = reply.get("status") == "error" and not reply.get("ename") and text.isdecimal()
    return int(text) if is_exit else 0


def _failed(content: Content, status: int, described: str) -> Content:
    """Return a reply that is `ok` for the kernel, with a failed shell command."""
    kept: dict[str, Any] = {k: v for k, v in content.items() if k not in ("ename", "evalue")}
    exits = {"source": "nbrun_shell_exits", "exits": [status], "described": described}
    return {**kept, "status": "ok", "payload": [*content.get("payload", ()), exits]}


def _read_error(content: Content) -> Content:
    status = _status({**content, "status": "error"})
    named = {"ename": "ShellError", "evalue": f"exited with {status}"} if status else {}
    return {**content, **named}


BASH = KernelKind(
    prelude=_prelude,
    complete=_complete,
    read_error=_read_error,
    own_programs=("pexpect/bashrc.sh",),  # its bash, with this file of settings
    doubts=("a failure in a pipe before its last command, without `set -o pipefail`",),
)
