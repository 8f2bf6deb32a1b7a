"""Kernels that a provisioner of another package starts (jupyter-existing-provisioner)."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from nbrun.errors import RunbookError, UnreachableKernelError, UsageError
from nbrun.kernel.jupyter_adapter import find_kernelspec, starts_here
from nbrun.kernel.messages import Replied
from nbrun.kernel.roles.roles import Role
from nbrun.supervisor.kernel_plan import check_role, provisioner_notices
from tests.support.kernel_session import KernelSession, printed_text

EXISTING = "existing-provisioner"


def install(folder: Path, name: str, provisioner: str) -> None:
    """Install ipykernel's kernelspec under another name, with a provisioner."""
    path = folder / "kernels" / name
    path.mkdir(parents=True)
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": name,
        "language": "python",
        "metadata": {"kernel_provisioner": {"provisioner_name": provisioner}},
    }
    (path / "kernel.json").write_text(json.dumps(spec))


@pytest.fixture
def kernelspecs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    for name, provisioner in (
        ("existing", EXISTING),
        ("local", "local-provisioner"),
        ("unknown", "no-such-provisioner"),
    ):
        install(tmp_path / "jupyter", name, provisioner)


@pytest.fixture
def existing(kernelspecs: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start a kernel that nbrun did not start, for the provisioner to connect to."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    monkeypatch.setenv("EXISTING_CONNECTION_FILE", manager.connection_file)
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.mark.sweep
def test_provisioner_of_the_kernelspec_starts_the_kernel(
    existing: Any, own_session: KernelSession, tmp_path: Path
) -> None:
    session = KernelSession(tmp_path, "existing")
    info = session.kernel.start()
    assert info.process is None, "no process of this machine is taken for the kernel's"
    text = printed_text(session.ask("import os; print(os.getpid())"))
    assert int(text) == existing.provisioner.pid
    session.kernel.execute("import time\nprint('on', flush=True)\ntime.sleep(0.2)\n1 / 0")
    assert session.until(Replied)[-1].ename == "ZeroDivisionError"
    session.kernel.shutdown()


def test_kernel_that_can_not_be_found_again_is_not_called_gone(
    existing: Any, own_session: KernelSession, tmp_path: Path
) -> None:
    session = KernelSession(tmp_path, "existing")
    info = session.kernel.start()
    another = KernelSession(tmp_path, "existing")
    with pytest.raises(UnreachableKernelError, match="its provisioner started it"):
        another.kernel.adopt(info, lambda: False)
    session.kernel.shutdown()


def test_missing_provisioner_is_named_before_the_run(kernelspecs: None) -> None:
    with pytest.raises(RunbookError, match="'no-such-provisioner', which is not installed"):
        find_kernelspec("unknown")


def test_role_is_refused_where_a_provisioner_decides(kernelspecs: None) -> None:
    role = Role("dba", (), {"PGHOST": "db1"}, {})
    check_role(role, "local")
    with pytest.raises(UsageError, match=f"started by the provisioner '{EXISTING}'"):
        check_role(role, "existing")


def test_start_says_what_nbrun_can_not_do_for_such_a_kernel(kernelspecs: None) -> None:
    assert provisioner_notices("local") == ()
    (notice,) = provisioner_notices("existing")
    assert "does not find it again" in notice


def test_local_provisioner_is_known_as_one(kernelspecs: None) -> None:
    assert starts_here(find_kernelspec("local"))
    assert starts_here(find_kernelspec("python3"))
    assert not starts_here(find_kernelspec("existing"))
