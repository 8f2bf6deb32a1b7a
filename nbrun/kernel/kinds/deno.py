"""Deno, which drops a rejected promise that no cell awaits, and sends output late."""

from nbrun.kernel.kinds.kind import Content, Interview, KernelKind, plain_error

# The property can't be seen in a listing of `globalThis`, and a cell can't replace it by mistake.
_PRELUDE = """(() => {
  const rejected = [];
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    rejected.push(event.reason);
  });
  const raise = () => {
    const [reason] = rejected.splice(0);
    if (reason !== undefined) {
      throw reason instanceof Error ? reason : new Error(String(reason));
    }
  };
  Object.defineProperty(globalThis, "__nbrunRaise", { value: raise });
})()"""
_QUESTION = "__nbrunRaise()"


def _complete(content: Content) -> Interview:
    if content.get("status") != "ok":
        return plain_error(content)
    answer = yield _QUESTION
    if answer.get("status") != "error":
        return content
    error = {name: answer.get(name, "") for name in ("ename", "evalue")}
    report = {"source": "nbrun_nested_error", **error}
    return {**content, "payload": [*content.get("payload", ()), report]}


DENO = KernelKind(
    prelude=lambda: _PRELUDE,
    # Deno queues what a cell prints, and sends it under the request that it is at by then.
    mark=lambda token: f"console.log({token!r})",
    complete=_complete,
    doubts=(
        "the exit code of a Deno.Command, unless the cell checks it",
        "an interrupt ends the whole kernel, with its variables",
    ),
)
