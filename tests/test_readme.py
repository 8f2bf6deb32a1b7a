"""The docs agree with the command line."""

import re
import shlex
from pathlib import Path
from typing import get_args

import pytest
import typer
from typer.testing import CliRunner

from nbrun.cli.main import app
from nbrun.core import events as ev
from nbrun.core.run_options import NestedErrors, OnFailure, ShellErrors
from nbrun.errors import ExitCode

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PAGES = sorted((ROOT / "docs").glob("*.md"))
COMMANDS = (
    *("approve", "reject", "start", "plan", "check", "new", "attach", "watch", "resume", "cancel"),
    *("log", "runs", "review", "verify", "seal", "export", "schema", "trust", "undo"),
    *("status", "decide", "mcp", "handover"),
)
WIDE = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}
# The page that documents each command.
PAGE_OF = {name: ROOT / f"docs/{name}.md" for name in COMMANDS} | {
    "schema": ROOT / "docs/record.md",
    "reject": ROOT / "docs/approve.md",
}


def help_of(*command):
    result = CliRunner().invoke(app, [*command, "--help"], env=WIDE)
    assert result.exit_code == 0
    return result.stdout


def options_in(text):
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text))


def tree():
    return typer.main.get_command(app)


def parameters_of(command):
    """Return the parameters of a command."""
    return tree().commands[command].params


def lines_of(text):
    """Return every command line that a page shows: in a block, or in running text."""
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.M | re.S)
    blocks += re.findall(r"^    (.*)$", text, re.M)
    shown = re.findall(r"^(?:\$ |)((?:\.venv/bin/)?nbrun [^\n`]*)$", "\n".join(blocks), re.M)
    return shown + re.findall(r"`(nbrun [^`]+)`", text)


def test_commands_listed_here_are_those_of_the_program():
    assert set(tree().commands) == set(COMMANDS)


def test_readme_names_every_command():
    for command in COMMANDS:
        assert f"nbrun {command}" in README


@pytest.mark.parametrize("command", COMMANDS)
def test_docs_name_every_option_shown_in_help(command):
    shown = options_in(help_of(command))
    assert "--help" in shown
    known = options_in(README) | options_in(PAGE_OF[command].read_text("utf-8"))
    assert shown - known == set()


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "schema"])
def test_page_of_a_command_names_all_its_options(command):
    declared = {option for each in parameters_of(command) for option in each.opts}
    page = options_in(PAGE_OF[command].read_text("utf-8"))
    assert {option for option in declared if option.startswith("--")} - page == set()


@pytest.mark.parametrize(
    ("option", "choices"),
    [
        ("--on-failure", OnFailure),
        ("--shell-errors", ShellErrors),
        ("--nested-errors", NestedErrors),
    ],
)
def test_row_of_an_option_names_all_its_choices(option, choices):
    row = re.search(rf"^\| (`{option} [^|]*)\|", PAGE_OF["start"].read_text("utf-8"), re.M)
    assert set(re.findall(r"`(?:--[a-z-]+ )?([a-z]+)`", row[1])) == set(get_args(choices))


def test_readme_names_options_of_the_program_itself():
    assert options_in(help_of()) - options_in(README) - {"-h", "--help"} == set()


def test_option_tables_name_no_unknown_option():
    """Each row of a table of options begins with an option."""
    for command, page in PAGE_OF.items():
        rows = re.findall(r"^\| (`-[^|]*)\|", page.read_text("utf-8"), re.M)
        written = set().union(*map(options_in, rows))
        assert written <= options_in(help_of(command)), command


@pytest.mark.sweep
@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "examples/README.md", *PAGES], ids=lambda page: page.name
)
def test_command_lines_in_docs_are_valid(page):
    """Options must be known and arguments not too many. `--help` at the end runs nothing."""
    for line in lines_of(page.read_text("utf-8")):
        words = shlex.split(line)[1:]
        words = [word for word in words if word not in ("[OPTIONS]", "COMMAND")]
        result = CliRunner().invoke(app, [*words, "--help"], env=WIDE)
        assert result.exit_code == 0, (line, result.output)
        command = [word for word in words[:1] if not word.startswith("-")]
        unknown = options_in(" ".join(words)) - options_in(help_of(*command))
        assert not unknown, line


def test_command_lines_are_found_in_the_readme():
    found = lines_of(README)
    assert "nbrun start examples/certificate-rotation.ipynb -p days=900" in found
    assert ".venv/bin/nbrun start examples/certificate-rotation.ipynb -p days=900" in found


def test_every_link_leads_to_a_file_and_a_heading():
    for page in (ROOT / "README.md", *PAGES):
        for target, anchor in re.findall(r"\]\(([^)#:]*)(#[^)]*)?\)", page.read_text("utf-8")):
            path = page.parent / target if target else page
            assert path.is_file(), (page.name, target)
            headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.M)
            anchors = {f"#{heading.lower().replace(' ', '-')}" for heading in headings}
            assert not anchor or anchor in anchors, (page.name, target, anchor)


def test_readme_links_to_every_page():
    for page in PAGES:
        assert f"(docs/{page.name}" in README


def test_readme_lists_all_exit_codes():
    rows = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.M)}
    assert rows == {code.value for code in ExitCode}


@pytest.mark.parametrize("mark", ["example", "test"])
def test_setup_commands_are_marked_and_one_line(mark):
    """`.ci/run` takes these commands from the README and runs them."""
    blocks = re.findall(rf"^<!-- {mark} -->\n```sh\n(.*?)\n```$", README, re.M | re.S)
    assert len(blocks) == 1
    assert "\n" not in blocks[0]
    assert blocks[0].startswith("python3 -m venv .venv && ")


def test_record_page_describes_every_event_and_field():
    rows = re.findall(
        r"^\| ((?:`[a-z_.]+`(?:, )?)+) \|(.*)\|$",
        (ROOT / "docs/record.md").read_text("utf-8"),
        re.M,
    )
    told = {tag: text for tags, text in rows for tag in re.findall(r"`([a-z_.]+)`", tags)}
    for event in get_args(ev.Event):
        text = told[event.__struct_config__.tag]
        missing = [name for name in event.__struct_fields__ if f"`{name}`" not in text]
        assert not missing, (event, missing)
