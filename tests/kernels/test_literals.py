"""Literals that the real interpreters evaluate: each value arrives exactly, and nothing runs."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbrun.errors import ParameterError
from nbrun.runbook.parameters.literals import DIALECTS, literal
from tests.kernels.conftest import program
from tests.support.parameter_values import hostile, nested, text

_NEEDS_NODE = pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not installed")
FEW = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
MANY = st.lists(nested, min_size=40, max_size=80)
WORDS = st.lists(text | hostile, min_size=40, max_size=80)


def written(values: list[Any], language: str) -> tuple[list[str], list[Any]]:
    """Return the literals of those of `values` that the language can express, and these values."""
    literals, kept = [], []
    for value in values:
        try:
            literals.append(literal(DIALECTS[language], value))
            kept.append(value)
        except ParameterError:
            continue
    return literals, kept


def evaluated(command: list[str], script: str, path: Path) -> str:
    path.write_text(script, "ascii")
    done = subprocess.run([*command, str(path)], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode("utf-8")


def as_doubles(value: Any) -> Any:
    """Return `value` as JavaScript has it: numbers of one kind."""
    match value:
        case bool() | None | str():
            return value
        case int() | float():
            return float(value)
        case list():
            return [as_doubles(item) for item in value]
    return {key: as_doubles(item) for key, item in value.items()}


@pytest.mark.kernels
@pytest.mark.parametrize(
    ("name", "arguments", "suffix"),
    [
        pytest.param(
            "node", [], "js", marks=pytest.mark.skipif(not shutil.which("node"), reason="no node")
        ),
        ("deno", ["run", "--quiet", "--no-check"], "ts"),
    ],
)
@given(values=MANY)
@FEW
def test_javascript_reads_back_any_value(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    arguments: list[str],
    suffix: str,
    values: list[Any],
) -> None:
    command = [program(name, f"pip install {name}"), *arguments]
    literals, kept = written(values, "typescript")
    lines = "\n".join(f"found.push({each});" for each in literals)
    script = f"const found{': unknown[]' if suffix == 'ts' else ''} = [];\n{lines}\n"
    path = tmp_path_factory.mktemp("js") / f"script.{suffix}"
    found = evaluated(command, script + "console.log(JSON.stringify(found));", path)
    assert as_doubles(json.loads(found)) == as_doubles(kept)


@pytest.mark.kernels
@given(words=WORDS)
@FEW
def test_r_reads_back_any_text(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    rscript = program("Rscript", "apt-get install r-base-core")
    literals, kept = written(words, "R")
    lines = "\n".join(f'cat(utf8ToInt(enc2utf8({each})), "\\n")' for each in literals)
    path = tmp_path_factory.mktemp("r") / "script.R"
    found = evaluated([rscript, "--vanilla"], lines, path)
    codes = [[ord(char) for char in word] for word in kept]
    assert [[int(code) for code in line.split()] for line in found.splitlines()] == codes


@pytest.mark.kernels
@given(words=WORDS)
@FEW
def test_interactive_bash_reads_back_any_text(
    tmp_path_factory: pytest.TempPathFactory, words: list[str]
) -> None:
    bash = program("bash", "apt-get install bash")
    literals, kept = written(words, "bash")
    lines = "\n".join(f"v={each}\nprintf '%s\\0' \"$v\"" for each in literals)
    script = f"set -o history -o histexpand\n{lines}\n"  # as in the bash of a kernel
    path = tmp_path_factory.mktemp("bash") / "script.sh"
    assert evaluated([bash, "--norc"], script, path).split("\0")[:-1] == kept
