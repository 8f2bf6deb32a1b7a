"""Kernels on real gateways: Jupyter Server, Kernel Gateway, Enterprise Gateway."""

import time
from pathlib import Path
from typing import Any

import pytest

from nbrun.kernel.messages import (
    Died,
    Disconnected,
    Idled,
    InputWanted,
    LeftInBackground,
    Reconnected,
    Replied,
    ReplyLost,
    TextPrinted,
)
from tests.gateways import servers
from tests.gateways.conftest import RemoteSession
from tests.gateways.servers import TOKEN, Gateway

pytestmark = [pytest.mark.gateway, pytest.mark.timeout(120)]


def printed(messages: list[Any]) -> str:
    return "".join(each.text for each in messages if isinstance(each, TextPrinted))


def ask(remote: RemoteSession, source: str) -> tuple[str, Replied]:
    remote.kernel.execute(source)
    messages = remote.until(Replied)
    return printed(messages), messages[-1]


def test_step_prints_fails_and_reports_its_shell_exits(remote: RemoteSession) -> None:
    assert ask(remote, "print('hello')")[0] == "hello\n"
    assert ask(remote, "1 / 0")[1].ename == "ZeroDivisionError"
    assert ask(remote, "!exit 3")[1].shell_exits == (3,)


def test_no_output_is_lost_or_out_of_order(remote: RemoteSession) -> None:
    text, reply = ask(remote, "for n in range(1000): print(n, flush=True)")
    assert reply.status == "ok"
    assert text.split() == [str(n) for n in range(1000)]


def test_input_is_asked_for_and_answered(remote: RemoteSession) -> None:
    remote.kernel.execute("print(input('host? '))")
    assert remote.until(InputWanted)[-1].prompt == "host? "
    remote.kernel.answer("db1")
    assert printed(remote.until(Replied)) == "db1\n"


def test_interrupt_ends_the_step(remote: RemoteSession) -> None:
    remote.kernel.execute("import time\nprint('on', flush=True)\ntime.sleep(60)")
    remote.until(TextPrinted)
    remote.kernel.interrupt()
    reply = remote.until(Replied)[-1]
    assert (reply.status, reply.ename) == ("error", "KeyboardInterrupt")


def test_restart_gives_a_new_kernel(remote: RemoteSession) -> None:
    ask(remote, "x = 1")
    first = remote.api.kernelspecs()
    info = remote.start()
    assert info.generation == 2
    assert first
    assert ask(remote, "x")[1].ename == "NameError"


def test_kill_ends_a_step_that_ignores_its_interrupt(remote: RemoteSession) -> None:
    remote.kernel.execute(
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "print('on', flush=True)\ntime.sleep(60)"
    )
    remote.until(TextPrinted)
    remote.kernel.kill()
    assert "as asked" in remote.until(Died)[-1].why


def test_kernel_that_dies_is_not_taken_for_the_one_that_follows(remote: RemoteSession) -> None:
    remote.kernel.execute("import os\nos._exit(3)")
    died = remote.until(Died, Replied)[-1]
    assert isinstance(died, Died)
    assert remote.start().generation == 2


def test_reply_that_comes_during_a_gap_is_delivered_or_lost_and_never_guessed(
    remote: RemoteSession,
) -> None:
    request = remote.kernel.execute("import time\nprint('on', flush=True)\ntime.sleep(2)\n1 / 0")
    remote.until(TextPrinted)
    remote.proxy.cut(refuse=True)
    remote.until(Disconnected)
    time.sleep(3)  # the step ends meanwhile
    remote.proxy.let_in()
    messages = remote.until(Idled)
    (end,) = [each for each in messages if isinstance(each, Replied | ReplyLost)]
    assert end.request == request
    assert isinstance(end, ReplyLost) or end.ename == "ZeroDivisionError"
    assert messages[-1].ended == 1
    assert messages[-1].error == "ZeroDivisionError: division by zero"
    assert ask(remote, "print('again')")[0] == "again\n"


def test_step_goes_on_after_a_gap(remote: RemoteSession) -> None:
    remote.kernel.execute("import time\nprint('on', flush=True)\ntime.sleep(3)\nprint('off')")
    remote.until(TextPrinted)
    remote.proxy.cut()
    remote.until(Reconnected)
    assert printed(remote.until(Replied)).endswith("off\n")
    remote.until(Idled)


def test_left_kernel_is_found_with_its_variables(remote: RemoteSession) -> None:
    info = remote.start()
    ask(remote, "x = 41")
    live, remote.kernel._live = remote.kernel._live, None
    assert live is not None
    live.expect_exit()
    remote.proxy.cut()
    remote.kernel = remote.another()
    remote.kernel.adopt(info, lambda: False)
    assert remote.until(Idled)[-1].ended == 1
    assert ask(remote, "print(x + 1)")[0] == "42\n"


def test_thread_that_a_step_left_is_waited_for_and_named(remote: RemoteSession) -> None:
    ask(remote, "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()")
    remote.kernel.shutdown()
    assert len(remote.until(LeftInBackground)[-1].threads) == 1


def test_gateway_that_goes_away_leaves_the_step_unknown(tmp_path: Path, gateway: Gateway) -> None:
    with servers.gateway(gateway.kind, tmp_path) as own:
        remote = RemoteSession(own, reconnect=1.0)
        remote.start()
        request = remote.kernel.execute("import time\nprint('on', flush=True)\ntime.sleep(60)")
        remote.until(TextPrinted)
        own.kill()
        messages = remote.until(Died)
        assert [each.request for each in messages if isinstance(each, ReplyLost)] == [request]
        remote.close()


def test_idle_kernel_is_kept_alive_and_a_culled_one_is_reported(
    tmp_path: Path, gateway: Gateway
) -> None:
    with servers.gateway(gateway.kind, tmp_path, culling=True) as own:
        kept = RemoteSession(own, keep_alive=0.5)
        left = RemoteSession(own, keep_alive=600.0)
        kept.start()
        left.start()
        assert "idle for long" in left.until(Died)[-1].why
        assert ask(kept, "print('here')")[0] == "here\n"
        kept.close()
        left.close()


def test_new_token_is_fetched_when_the_gateway_has_another(
    tmp_path: Path, gateway: Gateway
) -> None:
    with servers.gateway(gateway.kind, tmp_path) as own:
        remote = RemoteSession(own)
        assert remote.api.kernelspecs()
        own.stop()
        own.token = "open-sesame-2"
        own.start()
        remote.start()
        assert ask(remote, "print('on')")[0] == "on\n"
        remote.close()
    assert TOKEN not in "".join(
        line for line in own.log.read_text().splitlines() if "channels" in line
    )
