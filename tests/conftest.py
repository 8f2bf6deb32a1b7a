"""What every test is given."""

from hypothesis import settings

from tests.support.other_users import other_users  # noqa: F401  a fixture
from tests.support.sts_server import moto, sts  # noqa: F401  fixtures

# A machine that is busy is no defect: what takes time is measured elsewhere.
settings.register_profile("nbrun", deadline=None)
settings.load_profile("nbrun")
