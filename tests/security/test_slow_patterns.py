"""Patterns and schemas of a notebook or a team that would be matched for years."""

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbrun import config
from nbrun.core.redaction import redactor
from nbrun.core.redaction.redactor import Redaction
from nbrun.errors import RunbookError, SlowPatternError
from nbrun.runbook.parameters import schema
from nbrun.runbook.parameters.schema import parameters_in, schema_fault
from nbrun.system.time_limit import processor_time_limit
from tests.support import build_events
from tests.support.build_notebooks import PYTHON, code, notebook, write
from tests.support.in_process import Command

SLOW = r"^(.*?,){25}P$"  # exponential also for `regex`, which knows shortcuts for `^(a+)+$`
TEXT = "1," * 40 + "!"
DOUBLING = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(60)}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(schema, "_SECONDS", 0.3)
    monkeypatch.setattr(redactor, "_MATCH_SECONDS", 0.3)
    began = time.process_time()
    yield
    assert time.process_time() - began < 20


def with_schema(own: Any, **defs: Any) -> dict[str, Any]:
    return {"nbrun": {"parameters": {"properties": {"host": own}, "$defs": defs}}}


@pytest.mark.parametrize(
    ("own", "value"),
    [
        ({"pattern": "^(a+)+$"}, "a" * 5000 + "b"),
        ({"pattern": SLOW}, TEXT),
        ({"patternProperties": {SLOW: {}}}, {TEXT: 1}),
        ({"patternProperties": {"(a|a)*c": {}}, "additionalProperties": False}, {"a" * 60: 1}),
        ({"patternProperties": {"(a|a)*c": {}}, "unevaluatedProperties": False}, {"a" * 60: 1}),
        (
            {"allOf": [{"$schema": "http://json-schema.org/draft-07/schema#", "pattern": SLOW}]},
            TEXT,
        ),
        ({"$ref": "#/$defs/d0"}, "x"),
        ({"$ref": "#/$defs/itself"}, "x"),
    ],
    ids=lambda part: re.sub(r"\W+", " ", json.dumps(part))[:40],
)
def test_schema_of_a_notebook_is_checked_with_a_bound(own: dict[str, Any], value: Any) -> None:
    defs = DOUBLING | {"d60": {"type": "string"}, "itself": {"$ref": "#/$defs/itself"}}
    host = parameters_in(with_schema(own, **defs))["host"]
    try:
        fault = schema_fault(host, value)
    except RunbookError as error:
        assert "host" in str(error)
    else:
        assert fault is not None


def test_schema_nested_too_deep_is_an_error_in_words() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"not": deep}
    with pytest.raises(RunbookError, match="nested too deep"):
        parameters_in(with_schema(deep))


def test_slow_schema_ends_the_command_with_its_name(tmp_path: Path, nbrun: Command) -> None:
    metadata = PYTHON | with_schema({"$ref": "#/$defs/d0", "default": "x"}, **DOUBLING, d60={})
    write(tmp_path, notebook(code("host = 'x'", tags=["parameters"]), metadata=metadata))
    status, _, err = nbrun("plan", "runbook.ipynb")
    assert status == 2
    assert "host takes more than 0.3 s to check: simplify its patterns and references" in err


def test_time_limit_ends_a_search_and_then_is_gone() -> None:
    with pytest.raises(SlowPatternError), processor_time_limit(0.2):
        re.search(SLOW, TEXT)
    with processor_time_limit(0.1):
        pass
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass  # a timer that is left over would end this


def test_time_limit_in_another_thread_does_nothing() -> None:
    entered: list[bool] = []

    def enter() -> None:
        with processor_time_limit(0.1):
            entered.append(True)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered == [True]


def test_text_that_a_pattern_takes_too_long_on_is_withheld() -> None:
    redacting = Redaction(patterns=[SLOW, "AKIA[A-Z]{4}"])
    text = f"{TEXT} AKIAABCD\n"
    assert redacting.redact_text(text) == redactor._WITHHELD + "\n"
    assert redacting.redact_text("it is AKIAABCD") == "it is [redacted]"


@pytest.mark.sweep
def test_many_slow_texts_take_less_time_each() -> None:
    redacting = Redaction(patterns=[SLOW])
    for _ in range(20):
        assert redacting.redact_text(TEXT) == redactor._WITHHELD
    began = time.process_time()
    redacting.redact_text(TEXT)
    assert time.process_time() - began < 0.25


def test_source_that_a_pattern_takes_too_long_on_reaches_the_kernel_whole() -> None:
    redacting = Redaction(patterns=[SLOW])
    (event,) = redacting.redact_event(build_events.attempt_started(source=TEXT))
    assert event.source == "[redacted:1]"  # type: ignore[union-attr]
    assert redacting.restore("[redacted:1]") == TEXT


def test_patterns_of_a_team_mean_what_they_meant(tmp_path: Path) -> None:
    file = tmp_path / "nbrun.toml"
    file.write_text(r"""[redact]
patterns = ['AKIA[A-Z0-9]{16}', '(?<=key=)\S+', 'xx+y?']
""")
    redacting = Redaction(patterns=config.load(file).redact_patterns)
    assert redacting.redact_text("key=abc AKIA0123456789ABCDEF xxy x") == (
        "key=[redacted] [redacted] [redacted] x"
    )
