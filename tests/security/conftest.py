"""Fixtures of the tests of attacks."""

from tests.supervisor.conftest import run  # noqa: F401  a fixture
