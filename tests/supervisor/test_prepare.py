"""A request to start a run, checked together with the settings of nbrun.toml."""

from pathlib import Path

import pytest

from nbrun.core.run_options import RunOptions
from nbrun.supervisor import kernel_plan
from nbrun.supervisor.prepare import MAX_OUTPUT, CheckedRequest, check
from nbrun.supervisor.requests import StartRequest
from tests.support.build_notebooks import code, notebook, write
from tests.support.settings_files import configure


def checked(request: StartRequest) -> CheckedRequest:
    return check(request, kernel_plan.plan_kernel(request))


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
def test_output_limit_from_request_then_config_then_default(
    tmp_path: Path, team: str, asked: int | None, limit: int
) -> None:
    configure(tmp_path, team)
    book = write(tmp_path, notebook(code("1")))
    request = StartRequest(runbook=book, attended=False, options=RunOptions(max_output=asked))
    assert checked(request).policy.max_output == limit


def test_unmatched_variable_is_in_the_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBRUN_PARAM_DAYZ", "7")
    monkeypatch.setenv("NBRUN_PARAM_DAYS", "7")
    book = write(tmp_path, notebook(code("days = 1", tags=["parameters"], id="p")))
    found = checked(StartRequest(runbook=book, attended=False))
    assert found.notices() == ("NBRUN_PARAM_DAYZ is set, and this runbook has no such parameter",)
