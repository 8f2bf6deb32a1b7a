"""Editors that misbehave: the text survives, and the problem has words."""

from pathlib import Path

import pytest

from nbrun.views.terminal import editor
from nbrun.views.terminal.editor import Edited

TEXT = editor.to_bytes("a()")


@pytest.fixture
def edit_with(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.delenv("VISUAL", raising=False)

    def edit(command: str) -> Edited:
        monkeypatch.setenv("EDITOR", command)
        return editor.edit(TEXT, ".py")

    return edit


@pytest.mark.parametrize(
    ("command", "content", "problem"),
    [
        ("sh -c 'echo more >>\"$0\"'", TEXT + b"more\n", ""),
        ("sh -c 'echo more >>\"$0\"; exit 3'", TEXT + b"more\n", "sh ended with exit code 3"),
        ("sh -c 'kill -9 $$'", TEXT, "sh ended with signal 9"),
        ("rm", TEXT, "the editor removed its file"),
        ("vim 'unclosed", TEXT, "EDITOR: No closing quotation"),
        ("/nowhere/editor", TEXT, "/nowhere/editor: No such file or directory"),
        ("/tmp", TEXT, "/tmp: Permission denied"),
    ],
)
def test_editor_never_loses_the_text(
    edit_with: object, command: str, content: bytes, problem: str
) -> None:
    edited = edit_with(command)  # type: ignore[operator]
    assert edited.content == content
    assert edited.problem.startswith(problem)
    assert bool(edited.problem) == bool(problem)


def test_editor_whose_path_has_a_quote_and_a_space_is_found(
    edit_with: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "o'brien's tools"
    folder.mkdir()
    program = folder / "ed"
    program.write_text('#!/bin/sh\necho more >>"$1"\n')
    program.chmod(0o755)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    assert edit_with(str(program)) == Edited(TEXT + b"more\n")  # type: ignore[operator]


def test_full_temporary_folder_is_a_problem_with_words(
    edit_with: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    edited = edit_with("true")  # type: ignore[operator]
    assert edited.problem == "no file can be written for the editor: No such file or directory"


def test_source_may_have_a_byte_order_mark_and_windows_newlines() -> None:
    assert editor.to_source("\ufeffa()\r\nb()\r\n".encode()) == "a()\nb()"
    assert editor.to_source(editor.to_bytes("'\udc80'")) == "'\udc80'"
