"""Kernels and interpreters that the tests here need."""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest


def missing(name: str, install: str) -> NoReturn:
    """Skip the test, or fail it in CI: .ci/run installs what is needed."""
    text = f"{name} is not installed: {install}"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)


def program(name: str, install: str) -> str:
    beside = Path(sys.executable).parent  # of this environment, which may not be on PATH
    return shutil.which(name, path=f"{beside}:{os.environ['PATH']}") or missing(name, install)
