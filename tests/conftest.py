"""Fixtures and settings of all tests."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.other_users import other_users  # noqa: F401  a fixture
from tests.support.sts_server import moto, sts  # noqa: F401  fixtures

# A busy machine is not a defect. Benchmarks measure time, tests do not.
settings.register_profile("nbrun", deadline=None)
settings.load_profile("nbrun")


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what nbrun notes for this account out of the account's own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield
