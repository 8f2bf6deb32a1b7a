"""Tests of the names of failed scripts of cell magics."""

import pytest

from nbrun.views.text.script_failures import script_failure

FAILED = "returned non-zero exit status 2."


@pytest.mark.parametrize(
    ("source", "how", "expected"),
    [
        ("%%bash\nexit 2", FAILED, "bash exited with 2"),
        ("\n%%sh -e\nx", "died with <Signals.SIGKILL: 9>.", "sh was ended by SIGKILL"),
        ("%%sh\nx", "died with unknown signal 34.", "sh was ended by signal 34"),
        ("%%script --out x perl -w\nx", FAILED, "perl exited with 2"),
        ("%%script --bg perl -w\nx", FAILED, "perl exited with 2"),
        ("%%time\n%%bash\nexit 2", FAILED, "bash exited with 2"),
    ],
)
def test_script_of_cell_magic_says_how_it_ended(source: str, how: str, expected: str) -> None:
    assert script_failure(source, f"Command 'b'{source}'' {how}") == expected


@pytest.mark.parametrize("source", ["subprocess.run(['false'])", "%%time\nrun()", "%%bash\nx"])
def test_failed_program_of_python_keeps_its_command(source: str) -> None:
    assert script_failure(source, f"Command '['false']' {FAILED}") == ""
