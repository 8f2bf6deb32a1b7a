"""The kernels of the suite: how each is found and installed, and its sources for each case."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.paths import jupyter_path

LINES = 5000  # that the source `lines` prints


@dataclass(frozen=True)
class KernelUnderTest:
    """One kernel, with sources in its language. An empty source: the language has no such thing.

    Attributes:
        spec: the name of its kernelspec.
        package: the package whose version the table shows, with the registry that it is from.
        install: the commands that install it.
        suffix: of the file that an editor gets.
        parameters: declares `text`, `count` (an int), `flag` and `items`.
        show: prints `text`, and on the next line `count + 1`, `flag` and `items` joined by `-`.
        shown: the second of these lines for 41, true and "a b", "c".
        lines: prints `line 1` to `line 5000`.
        fails: fails with `error`, a name and a text.
        hides: fails so that the kernel itself replies `ok`.
        sleeps: prints `asleep` and waits ten minutes.
        keeps: sets the variable `kept` to 41.
        recalls: prints `kept 41`.
        asks: asks `name?` and prints `got` and the answer.
        shows_token: prints `length`, the length of `token`, and `token`.
        known: why a case does not hold, by the name of the case.
    """

    spec: str
    title: str
    package: str
    install: str
    language: str
    suffix: str
    parameters: str
    token: str
    show: str
    shown: str
    lines: str
    fails: str
    error: tuple[str, str]
    hides: str
    sleeps: str
    keeps: str
    recalls: str
    asks: str
    shows_token: str
    known: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def metadata(self) -> dict[str, object]:
        """The metadata of a notebook of this kernel."""
        named = {"name": self.spec, "display_name": self.title, "language": self.language}
        return {"kernelspec": named, "language_info": {"name": self.language}}

    @property
    def is_installed(self) -> bool:
        return self.spec in KernelSpecManager().find_kernel_specs()


def search_path() -> str:
    """Return JUPYTER_PATH for a run whose home is another folder than this process's."""
    return os.pathsep.join(str(Path(folder)) for folder in jupyter_path())


_PYTHON = KernelUnderTest(
    spec="python3",
    title="ipykernel",
    package="ipykernel (PyPI)",
    install="comes with nbrun",
    language="python",
    suffix=".py",
    parameters='text: str = ""\ncount: int = 0\nflag: bool = False\nitems: list[str] = []',
    token='token = ""',
    show='print(text)\nprint(count + 1, flag, "-".join(items))',
    shown="42 True a b-c",
    lines=f"for i in range(1, {LINES + 1}): print('line', i)",
    fails='raise ValueError("boom")',
    error=("ValueError", "boom"),
    hides="!false\nprint('after')",
    sleeps="print('asleep', flush=True)\nimport time; time.sleep(600)",
    keeps="kept = 41",
    recalls="print('kept', kept)",
    asks="answer = input('name? ')\nprint('got', answer)",
    shows_token="print('length', len(token), token)",
)
_XEUS = KernelUnderTest(
    **{
        **{name: getattr(_PYTHON, name) for name in KernelUnderTest.__dataclass_fields__},
        "spec": "xpython",
        "title": "xeus-python",
        "package": "xeus-python (PyPI)",
        "install": "pip install xeus-python",
    }
)
_BASH = KernelUnderTest(
    spec="bash",
    title="bash_kernel",
    package="bash_kernel (PyPI)",
    install="pip install bash_kernel && python -m bash_kernel.install --sys-prefix",
    language="bash",
    suffix=".sh",
    parameters="text=''\ndeclare -i count=0\nflag=false\nitems=()",
    token="token=''",
    show='printf \'%s\\n\' "$text"\necho "$((count + 1)) $flag $(IFS=-; echo "${items[*]}")"',
    shown="42 true a b-c",
    lines=f'for ((i = 1; i <= {LINES}; i++)); do echo "line $i"; done',
    fails="(exit 3)",
    error=("ShellError", "exited with 3"),
    hides="false\necho after",
    sleeps="echo asleep\nsleep 600",
    keeps="kept=41",
    recalls='echo "kept $kept"',
    asks="",
    shows_token='echo "length ${#token} $token"',
    known={"input": "there is no input: a step that runs `read` waits until it is interrupted"},
)
_DENO = KernelUnderTest(
    spec="deno",
    title="Deno",
    package="deno (PyPI)",
    install="pip install deno && deno jupyter --install",
    language="typescript",
    suffix=".ts",
    parameters='let text: string = "";\nconst count: number = 0;\nlet flag: boolean = false;\n'
    "let items: string[] = [];",
    token='let token = "";',
    show='console.log(text);\nconsole.log(`${count + 1} ${flag} ${items.join("-")}`);',
    shown="42 true a b-c",
    lines=f"for (let i = 1; i <= {LINES}; i++) console.log(`line ${{i}}`);",
    fails='throw new RangeError("boom")',
    error=("RangeError", "boom"),
    hides='Promise.reject(new Error("lost"));\nconsole.log("after")',
    sleeps='console.log("asleep");\nawait new Promise((done) => setTimeout(done, 600_000));',
    keeps="let kept = 41;",
    recalls="console.log(`kept ${kept}`)",
    asks='const answer = prompt("name? ");\nconsole.log(`got ${answer}`)',
    shows_token="console.log(`length ${token.length} ${token}`)",
    known={
        "interrupt keeps variables": "an interrupt ends the kernel; a restart runs the setup again",
    },
)
_R = KernelUnderTest(
    spec="ir",
    title="IRkernel",
    package="r-cran-irkernel (Debian)",
    install="apt-get install r-cran-irkernel",
    language="R",
    suffix=".r",
    parameters='text <- ""\ncount <- 0L\nflag <- FALSE\nitems <- c("x")',
    token='token <- ""',
    show='cat(text, "\\n", sep = "")\n'
    'cat(paste(count + 1L, flag, paste(items, collapse = "-")), "\\n", sep = "")',
    shown="42 TRUE a b-c",
    lines=f'for (i in 1:{LINES}) cat("line ", i, "\\n", sep = "")',
    fails='stop("boom")',
    error=("ERROR", "Error in eval(expr, envir, enclos): boom\n"),
    hides='cat("before\\n")\nquit(status = 3)',
    sleeps='cat("asleep\\n")\nflush.console()\nSys.sleep(600)',
    keeps="kept <- 41",
    recalls='cat("kept", kept, "\\n")',
    asks='answer <- readline("name? ")\ncat("got", answer, "\\n")',
    shows_token='cat("length", nchar(token), token, "\\n")',
)

KERNELS = (_PYTHON, _BASH, _DENO, _R, _XEUS)


def kernel_named(name: str) -> KernelUnderTest:
    return next(each for each in KERNELS if name in (each.spec, each.title))
