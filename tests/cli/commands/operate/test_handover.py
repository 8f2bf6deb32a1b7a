"""`nbrun handover` says why a run without a supervisor can't be handed over."""

import pytest

from nbrun.cli.commands.operate import handover
from nbrun.errors import UsageError
from tests.support.run_builder import Run, step

RUN = "20261123-093000-restore-ab12"


def offer(runs_dir):
    return handover.offer(RUN, runs_dir, to="bob", reason="", foreign=True)


def test_ended_run_is_not_offered(keep, runs_dir):
    keep(Run(step("a", "a()")).attempt("a").finish())
    with pytest.raises(UsageError, match="the run has ended: see nbrun log"):
        offer(runs_dir)


def test_interrupted_run_is_not_offered(keep, runs_dir):
    keep(Run(step("a", "a()")).attempt("a").stop("paused"))
    with pytest.raises(UsageError, match=r"was interrupted\. To continue it: nbrun resume"):
        offer(runs_dir)
