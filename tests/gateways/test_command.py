"""The real command in a real terminal, with its kernel on a real Jupyter Server."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from nbrun.core import events as ev
from tests.gateways import environments, servers
from tests.gateways.servers import TOKEN, Gateway
from tests.support.build_notebooks import code
from tests.support.terminal import Desk, Terminal, files_below

pytestmark = [pytest.mark.gateway, pytest.mark.timeout(120)]

REASON = "reason (Enter for none, Ctrl-C to go back):"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A Jupyter Server instead of the gateways of all kinds."""
    if not environments.is_installed("current"):
        pytest.fail("the gateways are not installed: run python -m tests.gateways")
    with servers.gateway("server", tmp_path_factory.mktemp("server")) as made:
        yield made


@pytest.fixture
def desk(desk: Desk) -> Desk:
    desk.variables["JUPYTER_GATEWAY_AUTH_TOKEN"] = TOKEN
    return desk


def effect(desk: Desk) -> str:
    """Return code that notes each time that it runs, and tells the kernel's process."""
    return (
        f"open({str(desk.folder / 'effects')!r}, 'a').write('work\\n')\n"
        "import os, time; print('at' + ' work', os.getpid(), flush=True)\n"
    )


def waiting(desk: Desk) -> str:
    """Return code that has its effect, then waits for `release`."""
    go = str(desk.folder / "go")
    return effect(desk) + f"while not os.path.exists({go!r}): time.sleep(0.02)\nprint('do' + 'ne')"


def release(desk: Desk) -> None:
    (desk.folder / "go").touch()


def effects(desk: Desk) -> list[str]:
    return (desk.folder / "effects").read_text().splitlines()


def start(desk: Desk, gateway: Gateway, *cells: Any, options: tuple[str, ...] = ()) -> Terminal:
    desk.book(*cells)
    return desk.start("--gateway", gateway.url, *options)


def kernels_there(desk: Desk) -> list[str]:
    """Return the ids of the remote kernels that the record names, in order."""
    started = [*desk.events(ev.KernelStarted), *desk.events(ev.KernelRestarted)]
    return [each.remote.id for each in started if each.remote]


def command_lines() -> Iterator[bytes]:
    """Yield the command line of every process but the tests' servers, whose tokens are there."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            line = (folder / "cmdline").read_bytes()
            if b"IdentityProvider.token=" not in line and b".auth_token=" not in line:
                yield line


def test_run_with_parameters_input_and_a_retried_step_is_verified(
    desk: Desk, gateway: Gateway
) -> None:
    there = str(desk.folder / "there")
    terminal = start(
        desk,
        gateway,
        code("host: str = 'nowhere'", id="values", tags=["parameters"]),
        code("who = input('who is there? '); print(who, 'on', host)", id="asks"),
        code(f"import os; assert os.path.exists({there!r}), 'not' + ' yet'; print(1)", id="fails"),
        code("print('open-' + 'sesame-1', 'is told')", id="tells"),
        options=("-p", "host=db1"),
    )
    terminal.answer("who is there?", "ada")
    terminal.until("not yet")
    assert not [line for line in command_lines() if TOKEN.encode() in line]
    Path(there).touch()
    terminal.answer("step 4>", "r")
    terminal.answer(REASON, "it is there now")
    assert terminal.wait() == 3
    assert desk.printed("asks") == "ada on db1\n"
    assert [each for each in desk.attempts() if "parameters" not in each[0]] == [
        ("values", 1, "ok"),
        ("asks", 1, "ok"),
        ("fails", 1, "error"),
        ("fails", 2, "ok"),
        ("tells", 1, "ok"),
    ]
    assert desk.command("verify", "last").returncode == 0
    assert TOKEN.encode() not in bytes(terminal.raw)
    assert "is told" in terminal.text()
    assert not [path for path, data in files_below(desk.runs) if TOKEN.encode() in data]


def test_ctrl_c_interrupts_the_step_on_the_gateway(desk: Desk, gateway: Gateway) -> None:
    terminal = start(desk, gateway, code("kept = 41", id="first"), code(waiting(desk), id="work"))
    terminal.until("at work")
    terminal.press("ctrl-c")
    terminal.prompted("step 2>")
    assert desk.attempts()[-1] == ("work", 1, "interrupted")
    release(desk)
    terminal.type("r")
    terminal.answer(REASON, "")
    assert terminal.wait() == 3
    assert effects(desk) == ["work", "work"]
    assert len(kernels_there(desk)) == 1, "the interrupt left the kernel as it was"


def test_resume_finds_the_remote_kernel_and_runs_nothing_twice(
    desk: Desk, gateway: Gateway
) -> None:
    terminal = start(
        desk,
        gateway,
        code("kept = 41", id="first"),
        code(waiting(desk), id="work"),
        code("print('kept:', kept)", id="last"),
    )
    terminal.until("at work")
    desk.kill_supervisor()
    assert terminal.wait() == 6
    resumed = desk.open("resume")
    resumed.until("the kernel is still there, with its variables")
    release(desk)
    resumed.answer("did step 2 happen?", "happened")
    resumed.answer(REASON, "seen")
    assert resumed.wait() == 0
    assert desk.printed("last") == "kept: 41\n"
    assert effects(desk) == ["work"]
    assert [event.step for event in desk.events(ev.AttemptIndeterminate)] == ["work"]
    assert desk.attempts() == [("first", 1, "ok"), ("last", 1, "ok")]
    assert len(kernels_there(desk)) == 1
    assert desk.command("verify", "last").returncode == 0
    assert TOKEN.encode() not in bytes(terminal.raw) + bytes(resumed.raw)


@pytest.fixture
def mortal(tmp_path_factory: pytest.TempPathFactory, gateway: Gateway) -> Iterator[Gateway]:
    """A server of the test's own."""
    with servers.gateway("server", tmp_path_factory.mktemp("mortal")) as made:
        yield made


def test_killed_server_leaves_the_step_indeterminate(desk: Desk, mortal: Gateway) -> None:
    desk.book(code("kept = 41", id="first"), code(waiting(desk), id="work"))
    desk.configure(
        f"[gateway]\nurl = '{mortal.url}'\nreconnect = '1s'\n"
        "token = '@env:JUPYTER_GATEWAY_AUTH_TOKEN'\n"
    )
    terminal = desk.start()
    terminal.until("at work")
    mortal.kill()
    terminal.until("the kernel is out of reach")
    terminal.answer("did step 2 happen?", "unknown")
    terminal.answer(REASON, "the server is gone")
    terminal.answer("step 2>", "c")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer(REASON, "")
    assert terminal.wait() == 5
    assert [event.step for event in desk.events(ev.AttemptIndeterminate)] == ["work"]
    assert desk.events(ev.AttemptSettled)[0].finding == "unknown"
    assert desk.attempts() == [("first", 1, "ok")]
    assert [event.may_run for event in desk.events(ev.KernelDied)] == [True]
    assert effects(desk) == ["work"]
    assert desk.command("verify", "last").returncode == 0
