"""An order with what the team has set down: whose word counts."""

from pathlib import Path

import pytest

from nbrun.core.run_options import RunOptions
from nbrun.supervisor import kernel_plan
from nbrun.supervisor.prepare import MAX_OUTPUT, Checked, check
from nbrun.supervisor.requests import StartRequest
from tests.support.build_notebooks import code, notebook, write


def checked(order: StartRequest) -> Checked:
    return check(order, kernel_plan.of(order))


@pytest.mark.parametrize(
    ("team", "asked", "limit"),
    [
        ("", None, MAX_OUTPUT),
        ("[journal]\nmax_output = '2MiB'", None, 2**21),
        ("[journal]\nmax_output = 0", None, 0),
        ("[journal]\nmax_output = 0", 1024, 1024),
        ("[journal]\nmax_output = '2MiB'", 0, 0),
    ],
)
def test_how_much_output_is_kept_is_the_orders_word_then_the_teams_then_nbruns(
    tmp_path: Path, team: str, asked: int | None, limit: int
) -> None:
    (tmp_path / "nbrun.toml").write_text(team)
    book = write(tmp_path, notebook(code("1")))
    order = StartRequest(runbook=book, attended=False, options=RunOptions(max_output=asked))
    assert checked(order).policy.max_output == limit
