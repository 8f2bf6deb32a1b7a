"""Text that a stranger wrote, in messages, JSON and sources: it never acts on a terminal."""

import html
import json
import re
import unicodedata
from pathlib import Path

import pytest

from nbrun.supervisor import requests
from nbrun.supervisor.requests import Declined
from nbrun.views.render import safe_html, source
from nbrun.views.text.sanitize import plain, visible_source
from tests.support.build_notebooks import PYTHON, code, notebook, write
from tests.support.in_process import Command
from tests.support.run_builder import Run, step

HOSTILE = "\x1b]0;owned\x07\x9b31m\u202egnirts\u3164"
LINE = "\nnbrun: completed"  # a second line that looks like nbrun's own


def is_harmless(text: str) -> bool:
    return not {each for each in text if unicodedata.category(each) in {"Cc", "Cf"}} - {"\n"} and (
        "\u3164" not in text
    )


@pytest.mark.parametrize(
    "words",
    [
        ["plan", HOSTILE + LINE],
        ["start", "runbook.ipynb", "-f", HOSTILE + LINE],
        ["start", "runbook.ipynb", "-p", HOSTILE + LINE],
        ["start", "runbook.ipynb", "--group", HOSTILE],
        ["start", "runbook.ipynb", "--on-error", HOSTILE],
        ["start", "runbook.ipynb", "--kernel", HOSTILE],
        ["start", "runbook.ipynb", "--" + HOSTILE],
        ["start", "runbook.ipynb", HOSTILE],
        ["log", HOSTILE],
        [HOSTILE],
    ],
    ids=lambda words: " ".join(words[:3:2]).encode("unicode_escape").decode(),
)
def test_error_quotes_an_argument_harmlessly(
    tmp_path: Path, nbrun: Command, words: list[str]
) -> None:
    write(tmp_path, notebook(code("1")))
    status, out, err = nbrun(*words)
    assert status == 2, err
    assert out == ""
    assert err
    assert is_harmless(err), err
    assert "\nnbrun: " not in err


def test_error_quotes_the_metadata_of_a_notebook_harmlessly(tmp_path: Path, nbrun: Command) -> None:
    write(tmp_path, notebook(code("1", metadata={"nbrun": {HOSTILE + LINE: 1}})))
    status, _, err = nbrun("plan", "runbook.ipynb")
    assert (status, is_harmless(err)) == (2, True), err
    assert "gnirts" in err
    assert "\nnbrun: " not in err


def test_supervisor_that_declines_cannot_act_on_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nbrun.cli import main

    reply = requests.decode_reply(requests.encode(Declined(why=HOSTILE + LINE, exit_code=2)))

    def declined(**_options: object) -> None:
        from nbrun.supervisor.spawn import DeclinedError

        assert isinstance(reply, Declined)
        raise DeclinedError(reply.why, reply.exit_code)

    monkeypatch.setattr("nbrun.cli.main.app", declined)
    with pytest.raises(SystemExit):
        main.main()
    err = capsys.readouterr().err
    assert is_harmless(err), err
    assert "\nnbrun: " not in err


@pytest.mark.parametrize(
    "words",
    [
        ["plan", "runbook.ipynb", "--json"],
        ["check", "runbook.ipynb", "--json"],
        ["review", "runbook.ipynb", "--json"],
        ["runs", "--json"],
        ["verify", "last", "--json"],
    ],
    ids=lambda words: words[0],
)
def test_json_escapes_what_acts_on_a_terminal(
    tmp_path: Path, nbrun: Command, words: list[str]
) -> None:
    hostile = code(f"# {HOSTILE}\npassword = 'hunter2-hunter2'", id="a", tags=["x" + HOSTILE])
    path = write(tmp_path, notebook(hostile, metadata=PYTHON | {"title": HOSTILE}))
    folder = tmp_path / "runs" / f"20261123-093000-{HOSTILE}-ab12"
    folder.mkdir(parents=True)
    run = Run(step("a", HOSTILE), runbook=str(path), parameters={"host": HOSTILE})
    run.failure("a").decide("skip", reason=HOSTILE).finish().write(folder / "journal.jsonl")
    runs_dir = [] if words[0] in ("plan", "check") else ["--runs-dir", "runs"]
    _, out, err = nbrun(*words, *runs_dir)
    assert out, err
    assert is_harmless(out), out
    decoded = json.dumps([json.loads(out)], ensure_ascii=False)
    assert "\u202e" in decoded or words[0] == "check"


BLANK = (
    0x00AD, 0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180E, 0x200B, 0x2060, 0x2800, 0x3164,
    0xFEFF, 0xFFA0, 0xFFF0, 0x1BCA0, 0x1D159, 0x1D173, 0xE0041, 0xE0100,
)  # fmt: skip


@pytest.mark.parametrize("code_point", BLANK, ids=hex)
def test_blank_letter_in_a_source_is_visible(code_point: int) -> None:
    text, shown = f"admin{chr(code_point)} = 1", f"admin<U+{code_point:04X}> = 1"
    assert visible_source(text) == plain(text) == shown
    assert source.highlight(text, "python").plain == shown
    spans = re.compile("<[^>]*>")
    assert html.unescape(spans.sub("", safe_html.source(text, "python"))) == shown


@pytest.mark.parametrize("letter", ["\ufe0f", "\ufe00", "\u200d", "\u200c"])
def test_selector_or_joiner_after_a_letter_is_visible(letter: str) -> None:
    assert visible_source(f"admin{letter} = 1") == f"admin<U+{ord(letter):04X}> = 1"


@pytest.mark.parametrize("text", ["⚠\ufe0f stop", "1\ufe0f\u20e3", "👩\u200d🚀", "می\u200cخواهم"])
def test_emoji_and_joined_scripts_stay(text: str) -> None:
    assert visible_source(text) == plain(text) == text
