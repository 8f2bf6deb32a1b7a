"""No form of a secret passes, however it is cut; and the kernel gets exactly what was written."""

import base64
import html
import json
import re
import shlex
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nbrun.core import events as ev
from nbrun.core.redaction import Redaction
from nbrun.core.secret_encodings import MIN_SECRET_LENGTH, secret_fault
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
    """`secret` as a cell might print it: by itself, or encoded with what stands around it."""
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
    """Whether a reader of `text` has the secret, or all but its ends in base64."""
    data = secret.encode()
    core = base64.b64encode(data).decode().rstrip("=")[:-2]
    plain = (secret, data.hex(), data.hex().upper(), secret[::-1], quote(secret))
    long = [core, core.translate(URL_SAFE)] if len(core) >= MIN_SECRET_LENGTH else []
    return any(each in text for each in (*plain, *long))


@pytest.mark.parametrize("secret", ["hunter2-hunter2", HOSTILE, KEY, "  spaced out  "])
def test_no_usual_form_of_a_secret_passes(secret: str) -> None:
    redaction = Redaction({"token": secret})
    for form in spelled(secret):
        seen = redaction.redact_text(f"before {form} after")
        assert "[secret:token" in seen, form
        assert not tells(seen, secret), seen
        assert seen.startswith("before ")
        assert seen.endswith(" after")


@given(secrets, st.integers(0), st.lists(st.integers(0, 200)))
def test_no_form_of_any_secret_passes_a_stream_however_it_is_cut(
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
def test_base64_is_found_wherever_the_secret_stands_in_it(
    form: str, before: str, after: str
) -> None:
    encoded = base64.b64encode((before + form + after).encode()).decode()
    seen = Redaction({"token": form}).redact_text(encoded)
    left = re.sub(r"\[secret:token:base64( \d)?\]", "", seen)
    assert len(left) < len(encoded) / 2, seen


@pytest.mark.parametrize("line", KEY.splitlines()[1:3])
def test_a_line_of_a_secret_of_many_is_one(line: str) -> None:
    assert line not in Redaction({"key": KEY}).redact_text(f"  ---> {line} <---")


@example(secret="0000000 ", cuts=[7], before="", after="")
@example(secret="abcabcabd", cuts=[6], before="abc", after="")
@given(secrets, st.lists(st.integers(0, 200)), st.text(), st.text())
def test_a_secret_passes_no_stream_however_it_is_cut(
    secret: str, cuts: Sequence[int], before: str, after: str
) -> None:
    redaction = Redaction({"token": secret})
    whole = before + secret + after
    seen = streamed(redaction, whole, cuts)
    assert seen == redaction.redact_text(whole)
    assert "[secret:token" in seen


def streamed(redaction: Redaction, whole: str, cuts: Sequence[int]) -> str:
    """What is recorded of a stream that brings `whole`, cut at these places."""
    ends = sorted({min(cut, len(whole)) for cut in cuts} | {0, len(whole)})
    chunks = [whole[a:b] for a, b in pairwise(ends)]
    events = [each for chunk in chunks for each in redaction.redact_event(output(chunk))]
    events += redaction.redact_event(attempt_finished())
    assert isinstance(events[-1], ev.AttemptFinished)
    return "".join(each.output["text"] for each in events[:-1] if isinstance(each, ev.Output))


@given(st.lists(st.text(max_size=8)))
def test_what_is_no_secret_comes_through_whole_and_in_order(chunks: Sequence[str]) -> None:
    redaction = Redaction({"token": "\ue000" * 8})
    events = [each for chunk in chunks for each in redaction.redact_event(output(chunk))]
    events += redaction.redact_event(run_finished())
    seen = "".join(each.output["text"] for each in events if isinstance(each, ev.Output))
    assert seen == "".join(chunks)


def test_only_what_may_be_a_beginning_is_held_back() -> None:
    redaction = Redaction({"token": "hunter2-hunter2"})
    (first,) = redaction.redact_event(output("login: hun"))
    assert isinstance(first, ev.Output)
    assert first.output["text"] == "login: "
    assert [each.output["text"] for each in redaction.redact_event(output("gry\n"))] == [  # type: ignore[union-attr]
        "hungry\n"
    ]


def test_one_stream_waits_while_the_other_goes_on() -> None:
    redaction = Redaction({"token": "hunter2-hunter2"})
    assert redaction.redact_event(output("hunter2-")) == []
    error = output(stream("warning\n", "stderr"))
    assert redaction.redact_event(error) == [error]
    (rest,) = redaction.redact_event(output("hunter2"))
    assert isinstance(rest, ev.Output)
    assert rest.output["text"] == "[secret:token]"


def test_at_the_end_what_is_held_is_let_go_of_before_the_last_event() -> None:
    redaction = Redaction({"token": "hunter2-hunter2"})
    redaction.redact_event(output("hun"))
    assert redaction.flush() == [output("hun")]
    assert redaction.flush() == []


def test_any_other_event_lets_go_what_was_held() -> None:
    redaction = Redaction({"token": "hunter2-hunter2"})
    redaction.redact_event(output("hun"))
    assert redaction.redact_event(stopped()) == [output("hun"), stopped()]
    assert redaction.redact_event(stopped()) == [stopped()]


def test_the_late_output_of_an_attempt_is_never_put_to_another() -> None:
    redaction = Redaction({"token": "hunter2-hunter2"})
    redaction.redact_event(output("hunter2-", late=True))
    told = redaction.redact_event(output("hunter2!", step="s2"))
    assert told == [output("hunter2-", late=True), output("hunter2!", step="s2")]


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
def test_no_field_of_an_event_tells_it(event: ev.Event) -> None:
    (seen,) = Redaction({"token": "hunter2-hunter2"}).redact_event(event)
    assert b"hunter2" not in msgspec.json.encode(seen)
    assert msgspec.json.decode(msgspec.json.encode(seen), type=ev.Event) == seen


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_nbruns_own_words_are_left_alone(build: Any) -> None:
    """A secret that is a word of the record's own leaves a record that can be read."""
    words = ("completed", "step_failed", "display_data", "retried", "stream", "stdout", "markdown")
    redaction = Redaction({f"s{number}": word for number, word in enumerate(words)})
    event = build()
    seen = redaction.redact_event(event)[-1]
    assert type(seen) is type(event)
    assert msgspec.json.decode(msgspec.json.encode(seen), type=ev.Event) == seen


def test_a_secret_number_is_found_as_number_and_as_text() -> None:
    redaction = Redaction({"pin": 12345678})
    (started,) = redaction.redact_event(run_started(parameters={"pin": 12345678, "n": 5}))
    assert isinstance(started, ev.RunStarted)
    assert started.parameters == {"pin": "[secret:pin]", "n": 5}
    (shown,) = redaction.redact_event(output(display(application_json={"pin": 12345678})))
    assert b"12345678" not in msgspec.json.encode(shown)
    assert redaction.redact_text("pin = 12345678") == "pin = [secret:pin]"


# ── what the kernel gets ─────────────────────────────────────────────────────────────────────


@given(secrets, st.text(), st.text())
def test_the_source_that_is_sent_is_the_one_that_was_written(
    secret: str, before: str, after: str
) -> None:
    redaction = Redaction({"token": secret}, {"token": repr(secret)}, [r"pass\w+"])
    source = f"{before}{secret} {secret!r} password1 {json.dumps(secret)}{after}"
    (started,) = redaction.redact_event(attempt_started(source=source))
    assert isinstance(started, ev.AttemptStarted)
    assert redaction.restore(started.source) == source
    (again,) = redaction.redact_event(started)
    assert again == started


def test_what_the_operator_makes_of_the_recorded_source_gets_the_secret() -> None:
    redaction = Redaction({"token": "hunter2-hunter2"})
    assert redaction.restore("login('[secret:token]', 2)") == "login('hunter2-hunter2', 2)"


def test_a_secret_that_another_process_knew_is_never_sent_as_its_placeholder() -> None:
    redaction = Redaction(unknown=["token"])
    with pytest.raises(SecretUnknownError, match="token"):
        redaction.restore("login('[secret:token]')")
    with pytest.raises(SecretUnknownError, match="token"):
        redaction.restore("login('[secret:token:repr]')")
    assert redaction.restore("'[secret:other]'") == "'[secret:other]'"


# ── patterns ─────────────────────────────────────────────────────────────────────────────────


def test_what_a_pattern_matches_is_redacted_and_a_line_waits_until_it_is_whole() -> None:
    redaction = Redaction(patterns=[r"AKIA\w{4,}"])
    assert redaction.redact_event(output("key AKIA")) == []
    (line,) = redaction.redact_event(output("1234\nkey"))
    assert isinstance(line, ev.Output)
    assert line.output["text"] == "key [redacted]\n"


def test_a_long_line_is_not_held_for_ever() -> None:
    redaction = Redaction(patterns=[r"AKIA\w{4,}"])
    assert redaction.redact_event(output("x" * 100_000))


def test_bytes_are_scrubbed_whatever_else_is_in_them() -> None:
    assert Redaction({"t": "hunter2-é"}).redact_bytes("\xff hunter2-é".encode() + b"\xff") == (
        "\xff [secret:t]".encode() + b"\xff"
    )


# ── which secrets there can be ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("value", ["short", "     a", True, ["hunter2-hunter2"], {"a": 1}, None, 1])
def test_unredactable_secret_is_refused_and_not_shown(value: Any) -> None:
    fault = secret_fault(value)
    assert fault is not None
    assert str(value) not in fault.replace("short", "") or len(str(value)) < 5


@pytest.mark.parametrize("value", ["hunter", 123456, 1.2345])
def test_secret_of_six_characters_is_accepted(value: Any) -> None:
    assert secret_fault(value) is None


# ── what is learnt while the run goes on ─────────────────────────────────────────────────────


def test_a_secret_whose_value_changes_is_known_by_both_and_sent_as_it_was_written() -> None:
    redaction = Redaction({"TOKEN": "first-token"})
    redaction.add_secrets({"TOKEN": "second-token", "KEY": "first-key"})
    redaction.add_secrets({"TOKEN": "third-token", "KEY": "first-key"})
    told = redaction.redact_text("first-token second-token third-token first-key")
    assert told == "[secret:TOKEN] [secret:TOKEN 2] [secret:TOKEN 3] [secret:KEY]"
    assert redaction.restore(told) == "first-token second-token third-token first-key"
