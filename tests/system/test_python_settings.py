"""Settings of Python: which variables nbrun's own interpreter gets, and which only the kernel."""

import os

import pytest

from nbrun.system import python_settings


def test_settings_are_hidden_and_restored_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONWARNINGS", "PYTHONDEVMODE", "PYTHON_COLORS", "PYTHONINSPECT"):
        monkeypatch.setenv(name, "error")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    before = dict(os.environ)
    hidden = python_settings.environment_without_settings()
    own = {name for name in hidden if name.startswith("PYTHON")}
    assert own - {"PYTHONDONTWRITEBYTECODE"} == {"PYTHONPATH"}
    monkeypatch.setattr(os, "environ", hidden)
    python_settings.restore_settings()
    assert hidden == before
