"""The fixture of a run that is served without an engine."""

from tests.supervisor.conftest import run

__all__ = ["run"]
