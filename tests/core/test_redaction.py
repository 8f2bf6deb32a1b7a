"""Tests that no form of a secret passes, and that the kernel receives the original source."""

import base64
import csv
import html
import io
import json
import re
import shlex
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, get_args
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import msgspec
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from nbrun.core import events as ev
from nbrun.core.model import Contract, Identity, Narration, Operator, Policy, RoleTaken, Step
from nbrun.core.redaction import unredacted
from nbrun.core.redaction.common_words import common_secrets
from nbrun.core.redaction.redactor import Redaction
from nbrun.core.redaction.secret_encodings import MIN_SECRET_LENGTH, secret_fault
from nbrun.errors import SecretUnknownError
from tests.support.build_events import (
    BUILDERS,
    attempt_failed,
    attempt_finished,
    attempt_started,
    decided,
    display,
    output,
    run_finished,
    run_started,
    step,
    stopped,
    stream,
)

KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhk+/iG9w0BAQEFAASC\nq83vEjRWeJCrze8=\n-----END KEY-----"
HOSTILE = "pa\"ss'wo\\rd $(id) é☃ {x}</b>&%2F+/="

URL_SAFE = str.maketrans("+/", "-_")
PLACEHOLDER = re.compile(r"\[secret:token(?::[a-z0-9 ]+)?\]")
secrets = st.text(min_size=MIN_SECRET_LENGTH).filter(
    lambda text: len(text.strip()) >= MIN_SECRET_LENGTH
)


def spelled(secret: str) -> list[str]:
    """Return `secret` as a cell might print it: as it is, or encoded within other text."""
    data = secret.encode()
    in_url = [quote(secret), quote(secret, safe=""), quote_plus(secret)]
    in_base64 = [
        base64.b64encode(before + data + after)
        for before in (b"", b"u", b"us", b"user:")
        for after in (b"", b"!", b"!!")
    ]
    return [
        secret,
        repr(secret),
        repr(data),
        repr({"token": secret}),
        json.dumps({"token": secret}),
        json.dumps([secret], ensure_ascii=False),
        json.dumps(json.dumps({"token": secret})),
        json.dumps(secret).replace("/", "\\/"),
        shlex.quote(secret),
        "'" + secret.replace("'", "'\\''") + "'",
        html.escape(secret),
        html.escape(secret).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        escape(secret, {'"': "&quot;"}),
        *in_url,
        *(re.sub("%..", lambda match: match[0].lower(), each) for each in in_url),
        *(each.decode() for each in in_base64),
        *(each.decode().rstrip("=") for each in in_base64),
        *(each.decode().translate(URL_SAFE) for each in in_base64),
        *(each.decode().translate(URL_SAFE).rstrip("=") for each in in_base64),
        data.hex(),
        data.hex().upper(),
        secret[::-1],
    ]


def tells(text: str, secret: str) -> bool:
    """Return True if a reader of `text` has the secret, or all of it but its ends in base64."""
    data = secret.encode()
    core = base64.b64encode(data).decode().rstrip("=")[:-2]
    plain = (secret, data.hex(), data.hex().upper(), secret[::-1], quote(secret))
    long = [core, core.translate(URL_SAFE)] if len(core) >= MIN_SECRET_LENGTH else []
    return any(each in text for each in (*plain, *long))


@pytest.mark.parametrize("secret", ["hunter2-hunter2", HOSTILE, KEY, "  spaced out  "])
def test_common_encodings_of_secret_are_redacted(secret: str) -> None:
    redaction = Redaction({"token": secret})
    for form in spelled(secret):
        seen = redaction.redact_text(f"before {form} after")
        assert "[secret:token" in seen, form
        assert not tells(seen, secret), seen
        assert seen.startswith("before ")
        assert seen.endswith(" after")


@pytest.mark.parametrize(
    "secret", ["hunter2-Hunter2", HOSTILE, "tab\t é\x85\x1b 🔑 word", "a'b\"c,d'e"]
)
def test_forms_of_sql_csv_yaml_and_letter_case_are_redacted(secret: str) -> None:
    row = io.StringIO()
    csv.writer(row, quoting=csv.QUOTE_ALL).writerow([secret])
    doubled = secret.replace("'", "''")
    documents = [
        yaml.safe_dump({"token": secret}, width=1_000, default_style=style, allow_unicode=unicode)
        for style in (None, "'", '"')
        for unicode in (True, False)
    ]
    cased = (secret.upper(), secret.lower())
    for form in (row.getvalue(), f"SELECT '{doubled}'", *documents, *cased):
        seen = Redaction({"token": secret}).redact_text(form)
        assert "[secret:token" in seen, form
        assert not tells(seen, secret), seen


@given(secrets, st.integers(0), st.lists(st.integers(0, 200)))
def test_any_form_is_redacted_in_stream_cut_anywhere(
    secret: str, which: int, cuts: Sequence[int]
) -> None:
    forms = spelled(secret)
    form = forms[which % len(forms)]
    seen = streamed(Redaction({"token": secret}), f"before {form} after", cuts)
    assert "[secret:token" in seen
    assert not tells(PLACEHOLDER.sub("[]", seen), secret)
    assert seen.startswith("before ")
    assert seen.endswith(" after")


@pytest.mark.parametrize("form", ["hunter2-hunter2", "☃☃☃☃ é \"'\\ ☃☃"])
@pytest.mark.parametrize("before", ["", "a", "ab"])
@pytest.mark.parametrize("after", ["", "c", "cd"])
def test_base64_is_redacted_at_any_offset(form: str, before: str, after: str) -> None:
    encoded = base64.b64encode((before + form + after).encode()).decode()
    seen = Redaction({"token": form}).redact_text(encoded)
    left = re.sub(r"\[secret:token:base64( \d)?\]", "", seen)
    assert len(left) < len(encoded) / 2, seen


@pytest.mark.parametrize("line", KEY.splitlines()[1:3])
def test_line_of_multiline_secret_is_redacted(line: str) -> None:
    assert line not in Redaction({"key": KEY}).redact_text(f"  ---> {line} <---")


@example(secret="0000000 ", cuts=[7], before="", after="")
@example(secret="abcabcabd", cuts=[6], before="abc", after="")
@given(secrets, st.lists(st.integers(0, 200)), st.text(), st.text())
def test_secret_is_redacted_in_stream_cut_anywhere(
    secret: str, cuts: Sequence[int], before: str, after: str
) -> None:
    redaction = Redaction({"token": secret})
    whole = before + secret + after
    seen = streamed(redaction, whole, cuts)
    assert seen == redaction.redact_text(whole)
    assert "[secret:token" in seen


def streamed(redaction: Redaction, whole: str, cuts: Sequence[int]) -> str:
    """Return what is recorded of a stream `whole`, cut at the given places."""
    ends = sorted({min(cut, len(whole)) for cut in cuts} | {0, len(whole)})
    chunks = [whole[a:b] for a, b in pairwise(ends)]
    events = [each for chunk in chunks for each in redaction.redact_event(output(chunk))]
    events += redaction.redact_event(attempt_finished())
    assert isinstance(events[-1], ev.AttemptFinished)
    return "".join(each.output["text"] for each in events[:-1] if isinstance(each, ev.Output))


@given(st.lists(st.text(max_size=8)))
def test_other_text_passes_complete_and_in_order(chunks: Sequence[str]) -> None:
    redaction = Redaction({"token": "\ue000" * 8})
    events = [each for chunk in chunks for each in redaction.redact_event(output(chunk))]
    events += redaction.redact_event(run_finished())
    seen = "".join(each.output["text"] for each in events if isinstance(each, ev.Output))
    assert seen == "".join(chunks)


def test_only_possible_beginning_of_secret_is_held_back() -> None:
    redaction = Redaction({"token": "hunter2-hunter2"})
    (first,) = redaction.redact_event(output("login: hun"))
    assert isinstance(first, ev.Output)
    assert first.output["text"] == "login: "
    assert [each.output["text"] for each in redaction.redact_event(output("gry\n"))] == [  # type: ignore[union-attr]
        "hungry\n"
    ]


def test_held_stream_does_not_delay_the_other() -> None:
    redaction = Redaction({"token": "hunter2-hunter2"})
    assert redaction.redact_event(output("hunter2-")) == []
    error = output(stream("warning\n", "stderr"))
    assert redaction.redact_event(error) == [error]
    (rest,) = redaction.redact_event(output("hunter2"))
    assert isinstance(rest, ev.Output)
    assert rest.output["text"] == "[secret:token]"


def test_flush_returns_held_text() -> None:
    redaction = Redaction({"token": "hunter2-hunter2"})
    redaction.redact_event(output("hun"))
    assert redaction.flush() == [output("hun")]
    assert redaction.flush() == []


def test_other_event_releases_held_text_first() -> None:
    redaction = Redaction({"token": "hunter2-hunter2"})
    redaction.redact_event(output("hun"))
    assert redaction.redact_event(stopped()) == [output("hun"), stopped()]
    assert redaction.redact_event(stopped()) == [stopped()]


def test_held_late_output_stays_with_its_attempt() -> None:
    redaction = Redaction({"token": "hunter2-hunter2"})
    redaction.redact_event(output("hunter2-", late=True))
    history = redaction.redact_event(output("hunter2!", step="s2"))
    assert history == [output("hunter2-", late=True), output("hunter2!", step="s2")]


IT = "hunter2-hunter2"
ERROR = {"output_type": "error", "ename": "E", "evalue": IT, "traceback": [f"at {IT}"]}


@pytest.mark.parametrize(
    "event",
    [
        output(display(text_plain=f"= {IT}", text_html=f"<b>{IT}</b>")),
        output(ERROR),
        output(display(application_json={IT: [1, {"name": IT}]})),
        attempt_failed(evalue=f"no such user: {IT}"),
        attempt_started(source=f"login('{IT}')"),
        decided("edit", source=f"x = '{IT}'", reason=IT),
        run_started(
            [step(1, source=f"'{IT}'", metadata={"a": IT})],
            metadata={"x": [IT]},
            parameters={"other": [IT]},
            reason=IT,
        ),
    ],
    ids=lambda event: type(event).__name__,
)
def test_every_event_field_is_redacted(event: ev.Event) -> None:
    (seen,) = Redaction({"token": "hunter2-hunter2"}).redact_event(event)
    assert b"hunter2" not in msgspec.json.encode(seen)
    assert msgspec.json.decode(msgspec.json.encode(seen), type=ev.Event) == seen


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_fields_that_nbrun_reads_are_not_redacted(build: Any) -> None:
    """A secret that equals one of the record's own words must leave the record readable."""
    words = ("completed", "step_failed", "display_data", "retried", "stream", "stdout", "markdown")
    redaction = Redaction({f"s{number}": word for number, word in enumerate(words)})
    event = build()
    seen = redaction.redact_event(event)[-1]
    assert type(seen) is type(event)
    assert msgspec.json.decode(msgspec.json.encode(seen), type=ev.Event) == seen


WORDS = (
    "python",
    "postgres",
    "jupyter",
    "boolean",
    "metadata",
    "completed",
    "/srv/postgres",
    "4711",
)


def test_paths_kernels_and_ids_stay_though_a_secret_is_part_of_them() -> None:
    redaction = Redaction({f"s{number}": word for number, word in enumerate(WORDS)})
    schema = {"parameters": {"properties": {"postgres": {"type": "boolean", "default": "python"}}}}
    spec = {"name": "python3", "display_name": "Python"}
    event = run_started(
        [step(1, contract=Contract(typed="postgres", approve="postgres"))],
        runbook="/srv/postgres/failover.ipynb",
        cwd="/srv/postgres",
        kernelspec="python3",
        operator=Operator(uid=1, name="postgres", via="/dev/pts/1"),
        metadata={"kernelspec": spec, "nbrun": schema, "title": "postgres"},
        policy=Policy(sign="/srv/postgres/key", forward=("python3", "send.py")),
        role=RoleTaken(
            name="postgres",
            keys={"unix_user": "postgres"},
            env={"HOST": "postgres"},
            identities=(Identity(kind="unix", who="postgres"),),
        ),
        versions={"python": "3.11"},
        reason="postgres fails",
    )
    (seen,) = redaction.redact_event(event)
    assert isinstance(seen, ev.RunStarted)
    assert seen.role is not None
    assert event.role is not None
    for name in ("runbook", "cwd", "kernelspec", "operator", "policy", "versions"):
        assert getattr(seen, name) == getattr(event, name)
    assert seen.steps[0].contract == event.steps[0].contract
    assert (seen.role.name, seen.role.keys) == ("postgres", {"unix_user": "postgres"})
    assert seen.role.identities == event.role.identities
    assert seen.metadata["kernelspec"] == spec
    shown = {"type": "boolean", "default": "[secret:s0]"}
    assert seen.metadata["nbrun"] == {"parameters": {"properties": {"postgres": shown}}}
    # Text that nbrun only shows is redacted.
    assert seen.metadata["title"] == "[secret:s1]"
    assert seen.role.env == {"HOST": "[secret:s1]"}
    assert seen.reason == "[secret:s1] fails"


def test_keys_of_outputs_stay_though_a_secret_equals_them() -> None:
    words = ("metadata", "traceback", "text/html", "stdout", "children", "jupyter", "description")
    redaction = Redaction({f"s{number}": word for number, word in enumerate(words)})
    view = "application/vnd.jupyter.widget-view+json"
    (seen,) = redaction.redact_event(output(display(**{view: {"model_id": "a"}, "text/html": "x"})))
    assert isinstance(seen, ev.Output)
    assert list(seen.output["data"]) == [view, "text/html"]
    assert "metadata" in seen.output
    (seen,) = redaction.redact_event(output(ERROR | {"evalue": "of stdout"}))
    assert isinstance(seen, ev.Output)
    assert list(seen.output) == ["output_type", "ename", "evalue", "traceback"]
    assert seen.output["evalue"] == "of [secret:s3]"
    models = {"m1": {"children": ["m2"], "description": "of stdout"}}
    (changed,) = redaction.redact_event(ev.WidgetsChanged(step="s1", attempt=1, models=models))
    assert isinstance(changed, ev.WidgetsChanged)
    assert changed.models == {"m1": {"children": ["m2"], "description": "of [secret:s3]"}}


def test_common_secret_is_found_by_word_or_in_runbook() -> None:
    secrets = {"a": "postgres", "b": "IMPORTLIB", "c": "hunter2", "d": 443443, "e": "correct horse"}
    assert common_secrets(secrets, ["port = 443443", "'hunter'"]) == ["a", "b", "d"]


def test_secret_number_is_redacted_as_number_and_text() -> None:
    redaction = Redaction({"pin": 12345678})
    (started,) = redaction.redact_event(run_started(parameters={"pin": 12345678, "n": 5}))
    assert isinstance(started, ev.RunStarted)
    assert started.parameters == {"pin": "[secret:pin]", "n": 5}
    (shown,) = redaction.redact_event(output(display(application_json={"pin": 12345678})))
    assert b"12345678" not in msgspec.json.encode(shown)
    assert redaction.redact_text("pin = 12345678") == "pin = [secret:pin]"


# ── restored sources ─────────────────────────────────────────────────────────────────────────


@given(secrets, st.text(), st.text())
def test_restored_source_equals_original(secret: str, before: str, after: str) -> None:
    redaction = Redaction({"token": secret}, {"token": repr(secret)}, [r"pass\w+"])
    source = f"{before}{secret} {secret!r} password1 {json.dumps(secret)}{after}"
    (started,) = redaction.redact_event(attempt_started(source=source))
    assert isinstance(started, ev.AttemptStarted)
    assert redaction.restore(started.source) == source
    (again,) = redaction.redact_event(started)
    assert again == started


def test_placeholder_in_edited_source_is_restored() -> None:
    redaction = Redaction({"token": "hunter2-hunter2"})
    assert redaction.restore("login('[secret:token]', 2)") == "login('hunter2-hunter2', 2)"


@pytest.mark.parametrize("source", ["tell('[secret:notify.urls 1]')", "tell('json://t0ken')"])
def test_secret_of_nbruns_own_is_redacted_and_never_sent_to_a_kernel(source: str) -> None:
    redaction = Redaction({"token": "hunter2-hunter2"})
    redaction.add_secrets({"notify.urls 1": "json://t0ken"}, withheld=True)
    assert redaction.redact_text("json://t0ken") == "[secret:notify.urls 1]"
    recorded = redaction.redact_text(source)
    with pytest.raises(SecretUnknownError, match=r"notify.urls 1 is not sent to a kernel"):
        redaction.restore(recorded)
    assert redaction.restore("[secret:token]") == "hunter2-hunter2"


def test_restore_raises_for_unknown_secret() -> None:
    redaction = Redaction(unknown=["token"])
    with pytest.raises(SecretUnknownError, match="token"):
        redaction.restore("login('[secret:token]')")
    with pytest.raises(SecretUnknownError, match="token"):
        redaction.restore("login('[secret:token:repr]')")
    assert redaction.restore("'[secret:other]'") == "'[secret:other]'"


# ── patterns ─────────────────────────────────────────────────────────────────────────────────


def test_pattern_match_is_redacted_across_chunks_of_a_line() -> None:
    redaction = Redaction(patterns=[r"AKIA\w{4,}"])
    assert redaction.redact_event(output("key AKIA")) == []
    (line,) = redaction.redact_event(output("1234\nkey"))
    assert isinstance(line, ev.Output)
    assert line.output["text"] == "key [redacted]\n"


def test_very_long_line_is_not_held_back() -> None:
    redaction = Redaction(patterns=[r"AKIA\w{4,}"])
    assert redaction.redact_event(output("x" * 100_000))


def test_bytes_are_redacted_with_invalid_utf8_kept() -> None:
    assert Redaction({"t": "hunter2-é"}).redact_bytes("\xff hunter2-é".encode() + b"\xff") == (
        "\xff [secret:t]".encode() + b"\xff"
    )


# ── acceptable secrets ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("value", ["short", "     a", True, ["hunter2-hunter2"], {"a": 1}, None, 1])
def test_unredactable_secret_is_refused_and_not_shown(value: Any) -> None:
    fault = secret_fault(value)
    assert fault is not None
    assert str(value) not in fault.replace("short", "") or len(str(value)) < 5


@pytest.mark.parametrize("value", ["hunter", 123456, 1.2345])
def test_secret_of_six_characters_is_accepted(value: Any) -> None:
    assert secret_fault(value) is None


# ── secrets added during the run ─────────────────────────────────────────────────────────────


def test_changed_secret_redacts_and_restores_both_values() -> None:
    redaction = Redaction({"TOKEN": "first-token"})
    redaction.add_secrets({"TOKEN": "second-token", "KEY": "first-key"})
    redaction.add_secrets({"TOKEN": "third-token", "KEY": "first-key"})
    history = redaction.redact_text("first-token second-token third-token first-key")
    assert history == "[secret:TOKEN] [secret:TOKEN 2] [secret:TOKEN 3] [secret:KEY]"
    assert redaction.restore(history) == "first-token second-token third-token first-key"


def test_no_word_of_a_fixed_choice_is_redacted() -> None:
    """A redacted word of a `Literal` would leave a record that can't be decoded."""
    parts = [Contract, Identity, Step, Narration, *get_args(ev.Event)]
    fields = {
        (part, field.name)
        for part in parts
        for field in msgspec.structs.fields(part)
        if "Literal" in str(field.type)
    }
    assert {name for part, name in fields if part is not ev.Stopped} <= unredacted.FIELDS
