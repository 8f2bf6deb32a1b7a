"""Rules of `nbrun check` for what a kernel calls a success although it may be a failure.

Each kind of kernel reports failures in its own way (docs/kernels.md). A rule names the safe form.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nbrun.runbook.source_scanner import LANGUAGES, Statement, statements


@dataclass(frozen=True)
class _Rule:
    """A form of a statement that hides a failure, and the message with the safe form."""

    form: re.Pattern[str]
    message: str


_COMMAND = r"(?:^|[;&|{]|\bthen\b|\bdo\b|\belse\b)\s*"
_PIPE = re.compile(r"(?<![|>])\|(?![|])")
_PIPEFAIL = re.compile(r"\bset\b.*\bpipefail\b")
_PIPE_MESSAGE = (
    "of a pipe, only the last command's failure is seen: write `set -o pipefail` in a setup step"
)
_RULES: Mapping[str, tuple[_Rule, ...]] = MappingProxyType(
    {
        "bash": (
            _Rule(
                re.compile(rf"{_COMMAND}(?:exit\b|exec\s+[^\d<>\s]|set\s+-(?:\w*e|o\s+errexit))"),
                "ends the bash of the kernel, with all variables, and the run stops: to fail, end "
                "the step with `false` or `(exit 3)`",
            ),
            _Rule(
                re.compile(rf"{_COMMAND}trap\s.*\bERR\b", re.DOTALL),
                "takes the trap by which nbrun sees failed commands: check the status instead",
            ),
            _Rule(
                re.compile(rf"{_COMMAND}read\s(?!.*<)", re.DOTALL),
                "waits for a line that nobody can type: use a parameter",
            ),
        ),
        "R": (
            _Rule(
                re.compile(r"^system2?\("),
                "its exit status is not seen: write `stopifnot(system(…) == 0)`",
            ),
            _Rule(
                re.compile(r"(?:^|\{\s*|\)\s*)(?:quit|q)\("),
                "fails the step, whatever its status: to fail, call stop()",
            ),
        ),
        "typescript": (
            _Rule(
                re.compile(
                    r"^(?:await\s+)?new Deno\.Command\(.*\)\.(?:output|outputSync)\(\)$", re.S
                ),
                "its exit code is not seen: check `.success` of what it returns",
            ),
            _Rule(
                re.compile(r"\bDeno\.exit\("),
                "ends the kernel, with all variables: to fail, throw an Error",
            ),
        ),
    }
)


def unseen_failures(cells: Iterable[str], language: str) -> Iterator[tuple[int, int, str]]:
    """Yield the index of a cell, the line in it, and the message of each finding.

    `cells` are the sources of the code cells, in order.
    """
    if language not in LANGUAGES:
        return
    piped = False  # reported, or every failure in a pipe is seen from here on
    for index, source in enumerate(cells):
        for statement in statements(source, language):
            yield from ((index, line, text) for line, text in _of_statement(statement, language))
            is_pipe = language == "bash" and not piped and _PIPE.search(statement.shape)
            if is_pipe:
                yield index, statement.line, _PIPE_MESSAGE
            piped = piped or bool(is_pipe) or bool(_PIPEFAIL.search(statement.shape))


def _of_statement(statement: Statement, language: str) -> Iterator[tuple[int, str]]:
    for rule in _RULES.get(language, ()):
        match = rule.form.search(statement.shape)
        if match:
            yield statement.line + statement.text.count("\n", 0, match.start()), rule.message
