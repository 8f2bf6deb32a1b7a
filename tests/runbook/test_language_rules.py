"""Code whose failure a kernel does not report: what is found, and what is not."""

import pytest

from nbrun.runbook.language_rules import unseen_failures


def lines(source: str, language: str) -> list[tuple[int, str]]:
    return [(line, message) for _, line, message in unseen_failures([source], language)]


@pytest.mark.parametrize(
    ("language", "source", "line", "words"),
    [
        ("bash", "echo 'a'\nexit 3", 2, "ends the bash"),
        ("bash", "cd /x || exit 1", 1, "ends the bash"),
        ("bash", "set -euo pipefail", 1, "ends the bash"),
        ("bash", "exec bash", 1, "ends the bash"),
        ("bash", "trap 'echo failed' ERR", 1, "takes the trap"),
        ("bash", "read -r answer", 1, "nobody can type"),
        ("bash", "dump | gzip > x", 1, "pipefail"),
        ("R", "x <- 1\nsystem('false')", 2, "stopifnot"),
        ("R", "if (x) quit(status = 1)", 1, "stop()"),
        ("typescript", 'await new Deno.Command("false").output()', 1, ".success"),
        ("typescript", "if (x) Deno.exit(3)", 1, "throw an Error"),
    ],
)
def test_unseen_failure_is_found(language: str, source: str, line: int, words: str) -> None:
    ((found, message),) = lines(source, language)
    assert found == line
    assert words in message


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("bash", "echo 'exit 3'  # exit"),
        ("bash", "set -o pipefail\na | b"),
        ("bash", "a || b; (exit 3); exec 3>log; while read -r x; do echo; done < file"),
        ("bash", "cat <<E\nexit | read x\nE"),
        ("R", "stopifnot(system('x') == 0)\nok <- system2('x')"),
        ("typescript", 'const done = await new Deno.Command("x").output()'),
        ("python", "exit()"),
    ],
)
def test_safe_form_is_not_found(language: str, source: str) -> None:
    assert lines(source, language) == []


def test_pipe_is_reported_once_in_a_runbook() -> None:
    found = list(unseen_failures(["true", "a | b", "c | d"], "bash"))
    assert [(index, line) for index, line, _ in found] == [(1, 1)]
