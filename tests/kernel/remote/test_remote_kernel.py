"""A kernel on a gateway: what is sent, and what becomes of a request when something breaks."""

import threading
import time
from typing import Any

import msgspec
import pytest

from nbrun.errors import KernelError, UnreachableKernelError
from nbrun.kernel.messages import (
    Died,
    Disconnected,
    GatewayTrouble,
    Idled,
    InputWanted,
    Reconnected,
    Replied,
    ReplyLost,
    TextPrinted,
)
from tests.kernel.remote.conftest import RemoteSession
from tests.support.fake_gateway import TOKEN, FakeGateway


def texts(messages: list[Any]) -> list[str]:
    return [each.text for each in messages if isinstance(each, TextPrinted)]


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


# ── What is sent ─────────────────────────────────────────────────────────────────────────────


def test_started_kernel_runs_code_and_is_ended(gateway: FakeGateway) -> None:
    session = RemoteSession(gateway)
    info = session.start()
    assert (info.generation, info.kernelspec, info.language) == (1, "python3", "python")
    assert info.process is None
    assert info.remote is not None
    assert info.remote.gateway == gateway.url
    assert (info.remote.id, info.remote.session) == (gateway.kernel.id, gateway.kernel.session)
    request = session.kernel.execute("print hello")
    printed, reply = session.until(Replied)
    assert (printed.request, printed.text) == (request, "hello")
    assert (reply.request, reply.status) == (request, "ok")
    session.kernel.shutdown()
    assert gateway.ended == [info.remote.id]


def test_token_is_in_a_header_and_in_no_url(remote: RemoteSession) -> None:
    remote.kernel.execute("print x")
    remote.until(Replied)
    channels = remote.gateway.asked("GET", "/channels")
    assert [each["Authorization"] for each in channels] == [f"token {TOKEN}"]
    assert "Origin" not in channels[0]
    assert not [uri for _, uri, _ in remote.gateway.requests if TOKEN in uri]
    assert remote.secrets == {"gateway token": TOKEN}


def test_variables_for_the_kernel_are_sent_as_jupyter_does(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERNEL_USERNAME", "ada")
    session = RemoteSession(gateway)
    session.start()
    assert gateway.started == [{"name": "python3", "env": {"KERNEL_USERNAME": "ada"}}]
    session.kernel.shutdown()


def test_failed_code_is_an_error(remote: RemoteSession) -> None:
    remote.kernel.execute("fail")
    (reply,) = remote.until(Replied)
    assert (reply.status, reply.ename) == ("error", "ValueError")


def test_idle_kernel_is_kept_alive_by_code_that_is_not_a_step(gateway: FakeGateway) -> None:
    session = RemoteSession(gateway, keep_alive=0.05)
    session.start()
    before = gateway.kernel.silent
    wait_for(lambda: gateway.kernel.silent >= before + 2)
    assert gateway.kernel.executed == []
    assert session.queue.empty()
    session.kernel.shutdown()


def test_kernel_at_work_is_sent_nothing_to_keep_it_alive(gateway: FakeGateway) -> None:
    session = RemoteSession(gateway, keep_alive=0.05)
    session.start()
    session.hold()
    wait_for(lambda: gateway.kernel.held is not None)
    time.sleep(0.4)  # longer than one tick of the watcher
    assert gateway.kernel.held == []
    gateway.release()
    session.kernel.shutdown()


def test_input_is_asked_for_and_answered(remote: RemoteSession) -> None:
    remote.kernel.execute("ask")
    (asked,) = remote.until(InputWanted)
    assert (asked.prompt, asked.password) == ("host? ", False)
    remote.kernel.answer("db1")
    printed, reply = remote.until(Replied)
    assert (printed.text, reply.status) == ("db1", "ok")


# ── Interrupt, kill, restart ─────────────────────────────────────────────────────────────────


def test_interrupt_is_asked_of_the_gateway(remote: RemoteSession) -> None:
    remote.hold()
    remote.kernel.interrupt()
    assert remote.until(Replied)[-1].status == "error"
    assert len(remote.gateway.asked("POST", "/interrupt")) == 1


def test_refused_interrupt_is_reported_and_sent_to_the_kernel_itself(
    remote: RemoteSession,
) -> None:
    remote.gateway.statuses["POST", "/api/kernels/"] = 500
    remote.hold()
    remote.kernel.interrupt()
    messages = remote.until(Replied)
    (trouble,) = [each for each in messages if isinstance(each, GatewayTrouble)]
    assert trouble.action == "interrupt the kernel"
    assert "HTTP 500" in trouble.why
    assert messages[-1].status == "error"


def test_reply_that_does_not_come_after_an_interrupt_is_lost(remote: RemoteSession) -> None:
    request = remote.hold()
    kernel = remote.gateway.kernel
    kernel.interrupt = lambda: setattr(kernel, "held", None)  # type: ignore[method-assign]
    remote.kernel.interrupt()
    (lost,) = remote.until(ReplyLost)
    assert lost.request == request


def test_kill_ends_the_kernel_on_the_gateway(remote: RemoteSession) -> None:
    remote.hold()
    kernel = remote.gateway.kernel.id
    remote.kernel.kill()
    (died,) = remote.until(Died)
    assert (died.generation, died.why) == (1, "the gateway ended the kernel, as asked")
    assert remote.gateway.ended == [kernel]


def test_kernel_that_can_not_be_killed_leaves_its_request_unknown(remote: RemoteSession) -> None:
    request = remote.hold()
    remote.gateway.statuses["DELETE", "/api"] = 500
    remote.kernel.kill()
    trouble, lost, died = remote.until(Died)
    assert (trouble.action, lost.request) == ("end the kernel", request)
    assert "may still run" in died.why


def test_restart_ends_the_old_kernel_first(remote: RemoteSession) -> None:
    old = remote.gateway.kernel.id
    info = remote.start()
    assert remote.gateway.ended == [old]
    assert info.generation == 2
    assert list(remote.gateway.kernels) == [info.remote.id if info.remote else ""]


def test_no_kernel_starts_beside_one_that_can_not_be_ended(remote: RemoteSession) -> None:
    remote.gateway.statuses["DELETE", "/api"] = 500
    for _ in range(2):
        with pytest.raises(UnreachableKernelError, match="may still run a step"):
            remote.start()
    assert len(remote.gateway.kernels) == 1
    remote.gateway.statuses.clear()
    assert remote.start().generation == 2
    assert len(remote.gateway.kernels) == 1


def test_end_of_run_reports_a_kernel_that_is_left(remote: RemoteSession) -> None:
    remote.gateway.statuses["DELETE", "/api"] = 500
    remote.kernel.shutdown()
    (trouble,) = remote.until(GatewayTrouble)
    assert trouble.action == "end the kernel"


def test_kernel_that_nobody_waits_for_is_ended_when_it_is_there(gateway: FakeGateway) -> None:
    session = RemoteSession(gateway)
    gate, start = threading.Event(), session.api.start
    session.api.start = lambda name: gate.wait(10) and start(name)  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(KernelError, match="gave up waiting"):
        session.kernel.start(lambda: True)
    gate.set()
    wait_for(lambda: gateway.ended)
    assert gateway.kernels == {}


# ── A connection that breaks ─────────────────────────────────────────────────────────────────


def test_reply_kept_by_the_gateway_is_delivered_after_a_gap(remote: RemoteSession) -> None:
    request = remote.hold()
    remote.gateway.drop()
    assert isinstance(remote.until(Disconnected)[-1], Disconnected)
    remote.gateway.release()
    messages = remote.until(Idled)
    assert [type(each) for each in messages] == [Reconnected, TextPrinted, Replied, Idled]
    assert messages[0].gap > 0
    assert (messages[2].request, messages[2].status) == (request, "ok")
    assert messages[3].ended == 1


def test_step_goes_on_after_a_gap_in_which_it_did_not_end(remote: RemoteSession) -> None:
    remote.hold()
    remote.gateway.drop()
    remote.until(Reconnected)
    remote.gateway.release()
    assert texts(remote.until(Replied)) == ["after\n"]
    assert isinstance(remote.until(Idled)[-1], Idled)


def test_lost_reply_is_never_guessed(remote: RemoteSession) -> None:
    remote.gateway.buffers = False
    request = remote.hold()
    remote.gateway.drop()
    remote.until(Disconnected)
    remote.gateway.release()
    messages = remote.until(Idled)
    assert [type(each) for each in messages] == [Reconnected, ReplyLost, Idled]
    assert messages[1].request == request
    assert messages[2].ended == 1  # evidence for the operator: it ran to its end


def test_code_that_may_not_have_been_sent_is_not_sent_again(remote: RemoteSession) -> None:
    remote.gateway.away = True
    remote.gateway.drop()
    remote.until(Disconnected)
    request = remote.kernel.execute("print twice")
    remote.gateway.away = False
    messages = remote.until(Idled)
    assert [type(each) for each in messages] == [Reconnected, ReplyLost, Idled]
    assert messages[1].request == request
    assert remote.gateway.kernel.executed == []
    assert messages[2].ended == 0


def test_next_step_runs_after_a_gap_between_steps(remote: RemoteSession) -> None:
    remote.gateway.drop()
    assert remote.names(Idled) == ["Disconnected", "Reconnected", "Idled"]
    remote.kernel.execute("print on")
    assert texts(remote.until(Replied)) == ["on"]


def test_answer_given_during_a_gap_is_sent_after_it(remote: RemoteSession) -> None:
    remote.kernel.execute("ask")
    remote.until(InputWanted)
    remote.gateway.away = True
    remote.gateway.drop()
    remote.until(Disconnected)
    remote.kernel.answer("db1")
    remote.gateway.away = False
    assert texts(remote.until(Replied)) == ["db1"]


def test_gateway_that_stays_away_ends_in_an_unknown_request(gateway: FakeGateway) -> None:
    session = RemoteSession(gateway, reconnect=0.5)
    session.start()
    request = session.hold()
    gateway.away = True
    gateway.drop()
    disconnected, lost, died = session.until(Died)
    assert isinstance(disconnected, Disconnected)
    assert lost.request == request
    assert "The kernel may still run there" in died.why
    assert died.may_run
    with pytest.raises(UnreachableKernelError, match="may still run a step"):
        session.start()
    gateway.away = False
    old = gateway.kernel.id
    assert session.start().generation == 2
    assert gateway.ended == [old]
    session.kernel.shutdown()


def test_kernel_gone_after_a_gap_leaves_its_request_unknown(remote: RemoteSession) -> None:
    request = remote.hold()
    remote.gateway.away = True
    remote.gateway.drop()
    remote.until(Disconnected)
    remote.gateway.lose()
    remote.gateway.away = False
    lost, died = remote.until(Died)
    assert lost.request == request
    assert "no longer has the kernel" in died.why


@pytest.mark.parametrize("implementation", ["ipython", "strange"])
def test_kernel_replaced_during_a_gap_is_not_taken_for_the_old_one(
    gateway: FakeGateway, implementation: str
) -> None:
    gateway.info["implementation"] = implementation
    session = RemoteSession(gateway)
    session.start()
    session.hold()
    gateway.away = True
    gateway.drop()
    session.until(Disconnected)
    gateway.do(gateway.kernel.restart)
    gateway.away = False
    reconnected, lost, died = session.until(Died)
    assert isinstance(reconnected, Reconnected)
    assert isinstance(lost, ReplyLost)
    assert "another kernel in its place" in died.why
    session.kernel.shutdown()


def test_proxy_without_a_gateway_does_not_mean_that_the_kernel_is_gone(
    remote: RemoteSession,
) -> None:
    remote.gateway.statuses = {("GET", "/api"): 404}
    remote.gateway.drop()
    remote.until(Disconnected)
    before = len(remote.gateway.requests)
    wait_for(lambda: len(remote.gateway.requests) >= before + 4)
    remote.gateway.statuses.clear()
    assert remote.names(Idled) == ["Reconnected", "Idled"]


# ── A kernel that goes ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", ["restarting", "dead"])
def test_death_that_the_gateway_reports_is_one(remote: RemoteSession, state: str) -> None:
    remote.hold()
    kernel = remote.gateway.kernel
    remote.gateway.do(lambda: kernel.send("iopub", "status", {"execution_state": state}, None))
    (died,) = remote.until(Died)
    assert died.generation == 1


def test_culled_kernel_is_reported_while_the_run_waits(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbrun.kernel.remote.channels._CHECK_INTERVAL", 0.1)
    session = RemoteSession(gateway)
    session.start()
    gateway.lose()
    (died,) = session.until(Died)
    assert "idle for long" in died.why
    session.kernel.shutdown()


def test_output_that_the_gateway_dropped_is_reported(remote: RemoteSession) -> None:
    remote.hold()
    kernel = remote.gateway.kernel
    own, kernel.session = kernel.session, kernel.client
    content = {"name": "stderr", "text": "IOPub data rate exceeded."}
    assert remote.gateway.holding is not None
    message = remote.gateway.holding[1]
    remote.gateway.do(lambda: kernel.send("iopub", "stream", content, message))
    kernel.session = own
    trouble, printed = remote.until(TextPrinted)
    assert trouble.action == "pass on all output"
    assert printed.text == "IOPub data rate exceeded."
    remote.gateway.release()


# ── Credentials ──────────────────────────────────────────────────────────────────────────────


def test_expired_token_is_fetched_again(remote: RemoteSession) -> None:
    remote.gateway.token = remote.token = "open-sesame-2"
    remote.gateway.drop()
    assert remote.names(Idled) == ["Disconnected", "Reconnected", "Idled"]
    assert remote.secrets == {"gateway token": "open-sesame-2"}


def test_token_that_stays_expired_is_reported_once_until_it_is_renewed(
    remote: RemoteSession,
) -> None:
    remote.gateway.token = "open-sesame-2"
    remote.gateway.drop()
    _, trouble = remote.until(GatewayTrouble)
    assert trouble.action == "accept nbrun again"
    assert "check token" in trouble.why
    remote.token = "open-sesame-2"
    assert remote.names(Idled) == ["Reconnected", "Idled"]


def test_redirect_takes_the_token_nowhere(gateway: FakeGateway) -> None:
    session = RemoteSession(gateway)
    gateway.statuses["POST", "/api/kernels"] = 302
    with pytest.raises(KernelError, match="redirect"):
        session.start()
    assert not [path for _, path, _ in gateway.requests if "elsewhere" in path]


def test_redirect_of_the_websocket_takes_the_token_nowhere(gateway: FakeGateway) -> None:
    session = RemoteSession(gateway)
    gateway.location = gateway.url.replace("http", "ws") + "/api/kernels/elsewhere/channels"
    gateway.statuses["GET", "/api/kernels/"] = 302
    with pytest.raises(KernelError, match=r"redirect \(HTTP 302\): set the URL"):
        session.start()
    assert len(gateway.asked("GET", "/channels")) == 1
    assert not gateway.asked("GET", "elsewhere/channels")


# ── Reattachment ─────────────────────────────────────────────────────────────────────────────


def test_left_kernel_is_found_and_says_what_it_did(remote: RemoteSession) -> None:
    info = remote.start()
    remote.hold()
    remote.crash()
    resumed = RemoteSession(remote.gateway)
    resumed.kernel.adopt(info, lambda: False)
    remote.gateway.release()
    messages = resumed.until(Idled)
    assert texts(messages) == ["after\n"]
    assert (messages[-1].generation, messages[-1].ended) == (2, 1)
    resumed.kernel.execute("print again")
    assert texts(resumed.until(Replied)) == ["again"]
    resumed.kernel.shutdown()
    assert remote.gateway.kernels == {}


def test_left_kernel_that_is_gone_is_an_error(remote: RemoteSession) -> None:
    info = remote.start()
    remote.gateway.lose()
    resumed = RemoteSession(remote.gateway)
    with pytest.raises(KernelError, match="does not have it any more") as gone:
        resumed.kernel.adopt(info, lambda: False)
    assert not isinstance(gone.value, UnreachableKernelError)


def test_left_kernel_out_of_reach_is_not_called_gone(remote: RemoteSession) -> None:
    info = remote.start()
    remote.gateway.away = True
    resumed = RemoteSession(remote.gateway, reconnect=0.1)
    with pytest.raises(UnreachableKernelError, match="can't be reached"):
        resumed.kernel.adopt(info, lambda: False)


def test_kernel_of_another_gateway_is_not_adopted(remote: RemoteSession) -> None:
    info = remote.start()
    assert info.remote is not None
    elsewhere = msgspec.structs.replace(info.remote, gateway="https://elsewhere")
    info = msgspec.structs.replace(info, remote=elsewhere)
    with pytest.raises(KernelError, match="another gateway"):
        RemoteSession(remote.gateway).kernel.adopt(info, lambda: False)


def test_source_that_can_not_be_sent_is_an_error_and_hinders_nothing(
    remote: RemoteSession,
) -> None:
    with pytest.raises(UnicodeEncodeError):
        remote.kernel.execute("print \ud800")
    assert not remote.kernel._channels_of_live.busy, "no reply is waited for"
    remote.kernel.execute("print next")
    assert remote.names(Replied) == ["TextPrinted", "Replied"]
    assert remote.gateway.kernel.executed == ["print next"]
