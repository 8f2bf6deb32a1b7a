"""Fixtures and settings of all tests."""

from hypothesis import settings

from tests.support.other_users import other_users  # noqa: F401  a fixture
from tests.support.sts_server import moto, sts  # noqa: F401  fixtures

# A busy machine is not a defect. Benchmarks measure time, tests do not.
settings.register_profile("nbrun", deadline=None)
settings.load_profile("nbrun")
