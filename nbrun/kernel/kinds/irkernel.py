"""IRkernel, R's kernel, which does not say with which status a cell asked it to exit."""

from nbrun.kernel.kinds.kind import Content, Interview, KernelKind

_QUIT = (
    "the step called quit(), and the kernel does not say with which status: to fail, call stop()"
)


def _complete(content: Content) -> Interview:
    yield from ()
    payload = [entry for entry in content.get("payload") or () if isinstance(entry, dict)]
    if content.get("status") == "ok" and any(e.get("source") == "ask_exit" for e in payload):
        return {**content, "status": "error", "ename": "quit", "evalue": _QUIT, "payload": []}
    return content


IRKERNEL = KernelKind(
    complete=_complete,
    doubts=("the status that system() and system2() return, unless the cell checks it",),
)
