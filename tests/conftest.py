"""Fixtures and settings of all tests."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.other_users import other_users  # noqa: F401  a fixture
from tests.support.shared_desk import shared_desk  # noqa: F401  a fixture
from tests.support.sts_server import moto, sts  # noqa: F401  fixtures
from tests.support.terminal import Desk

# A busy machine is not a defect. Benchmarks measure time, tests do not.
settings.register_profile("nbrun", deadline=None)
settings.load_profile("nbrun")


# Commands honour signals that were ignored when they began. A test that runs below nohup, or in the
# background of a script, must not hand that down.
for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what nbrun notes for this account out of the account's own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Return a workspace of an operator, which is closed after the test."""
    made = Desk(tmp_path)
    yield made
    made.close()
