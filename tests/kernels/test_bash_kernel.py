"""What bash_kernel hides, with the real kernel."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nbrun.kernel.messages import Died, Displayed, Replied
from tests.kernels.conftest import missing
from tests.support.kernel_session import KernelSession


@pytest.fixture
def bash(tmp_path: Path) -> Iterator[KernelSession]:
    from conformance.kernels import kernel_named

    if not kernel_named("bash").is_installed:
        missing("bash_kernel", kernel_named("bash").install)
    session = KernelSession(tmp_path, "bash")
    session.kernel.start()
    yield session
    session.kernel.shutdown()


@pytest.mark.kernels
def test_failed_command_is_reported_once(bash: KernelSession) -> None:
    assert bash.reply("false; true").shell_exits == (1,)
    shown, reply = bash.ask("(exit 3)")
    assert isinstance(shown, Displayed)
    assert (shown.output["ename"], shown.output["evalue"]) == ("ShellError", "exited with 3")
    assert (reply.shell_exits, reply.shell_failure) == ((3,), "exited with 3")
    assert bash.reply("f() { false; true; }; f || true").shell_exits == ()


@pytest.mark.kernels
def test_incomplete_cell_fails_and_the_kernel_goes_on(bash: KernelSession) -> None:
    assert bash.reply("if true").ename == "NoReply"
    assert bash.reply("echo on").status == "ok"


@pytest.mark.kernels
@pytest.mark.parametrize("ending", ["exit 3", "exec true", "set -e; false"])
def test_new_bash_ends_the_kernel(bash: KernelSession, ending: str) -> None:
    bash.kernel.execute(ending)
    died = bash.until(Died, Replied)[-1]
    assert isinstance(died, Died)
    assert "ended its bash" in died.why
