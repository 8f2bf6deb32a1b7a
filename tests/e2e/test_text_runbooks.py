"""Markdown runbooks with a bash kernel, from the first failure to the review."""

import json
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from nbrun.core import events as ev
from tests.e2e.test_detach import REASON
from tests.support.terminal import Desk

EXAMPLE = Path(__file__).parents[2] / "examples" / "log-cleanup.md"
RUNBOOK = """# Restart the web server

```sh {"name":"look"}
echo "looked at $((40 + 2))"
```

## Restart

```sh {"name":"restart"}
echo "once $((1 + 1))"; test -e ready
```

## Verify

```sh { name=verify tags=["confirm"] }
test -e healthy && echo healthy
```
"""
NEW_STEP = '## Tell\n\n```bash\necho "told $((2 + 3))"\n```\n\n## Verify'


@pytest.fixture
def bash_desk(desk: Desk) -> Desk:
    """Return a desk whose only kernel of bash is bash_kernel."""
    pytest.importorskip("bash_kernel")
    kernel = desk.folder / "jupyter" / "kernels" / "bash-test"
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-m", "bash_kernel", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Bash", "language": "bash"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    desk.variables["JUPYTER_PATH"] = str(desk.folder / "jupyter")
    return desk


@pytest.mark.sweep
def test_markdown_runbook_is_mended_retried_resumed_and_reviewed_by_name(bash_desk: Desk) -> None:
    desk = bash_desk
    path = desk.folder / "runbook.md"
    path.write_text(RUNBOOK)
    terminal = desk.open("start", path.name, "--kernel", "bash-test")
    terminal.until("looked at 42")
    terminal.until("STOPPED at step 2 of 3 · restart")
    assert "once 2" in terminal.text()
    assert desk.events(ev.RunStarted)[0].runbook_sha256 == sha256(path.read_bytes()).hexdigest()
    (desk.folder / "ready").touch()
    terminal.answer("step 2>", "r")
    terminal.answer(REASON, "the service was not ready")
    terminal.prompted("step 3>")
    desk.kill_supervisor()
    terminal.wait()

    path.write_text(RUNBOOK.replace("-e healthy", "-e ready").replace("## Verify", NEW_STEP))
    resumed = desk.open("resume", "--use-new-runbook", "--reason", "it looked for another file")
    resumed.until("told 5")
    resumed.answer("step 4>", "r")
    assert resumed.wait() == 3, resumed.text()
    assert desk.attempts() == [
        ("look", 1, "ok"),
        ("restart", 1, "error"),
        ("restart", 2, "ok"),
        ("tell", 1, "ok"),
        ("verify", 1, "ok"),
    ]
    assert desk.deviations() == [("retried", "restart"), ("runbook_replaced", None)]

    (replaced,) = desk.events(ev.RunbookReplaced)
    assert replaced.runbook_sha256 == sha256(path.read_bytes()).hexdigest()

    review = desk.open("review", path.name, "--plain")
    assert review.wait() == 0
    for words in ("restart", "verify", "the service was not ready"):
        assert words in review.words()


@pytest.mark.sweep
def test_example_compresses_only_old_logs(bash_desk: Desk) -> None:
    bash_desk.variables["TMPDIR"] = str(bash_desk.folder)
    done = bash_desk.command("start", str(EXAMPLE), "--kernel", "bash-test")
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = bash_desk.folder.glob("log-cleanup-*")
    found = sorted(path.name for path in folder.iterdir())
    assert found == ["app-1.log", "app-30.log.gz", "app-9.log.gz"]
