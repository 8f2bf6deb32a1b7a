"""Kernels for the tests of this folder, and kernelspecs that do not work."""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kernel_session import KernelSession


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelSession]:
    """Share one kernel among the tests of a module that do not end it."""
    made = KernelSession(tmp_path_factory.mktemp("kernel"))
    made.kernel.start()
    yield made
    made.kernel.shutdown()


@pytest.fixture
def own_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KernelSession]:
    """Return a kernel of the test's own, not started, which must leave no directory behind."""
    sockets = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))  # the path of a socket must be short
    monkeypatch.setattr(tempfile, "tempdir", str(sockets))
    made = KernelSession(tmp_path)
    yield made
    made.kernel.shutdown()
    assert list(sockets.iterdir()) == [], "a kernel's folder was left behind"
    sockets.rmdir()


@pytest.fixture
def broken_kernelspecs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install kernelspecs whose program is missing, or exits at once."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    programs = {
        "missing": ["/nowhere/python", "{connection_file}"],
        "ending": [sys.executable, "-c", "import sys; sys.exit('\\none\\n\\ntwo\\nno licence')"],
    }
    for name, argv in programs.items():
        folder = tmp_path / "jupyter" / "kernels" / name
        folder.mkdir(parents=True)
        spec = {"argv": argv, "display_name": name, "language": "python"}
        (folder / "kernel.json").write_text(json.dumps(spec))
