"""A cell that forges the replies of its kernel: the record stays one that can be read."""

from pathlib import Path

import pytest

from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.journal import codec
from nbrun.journal.reader import JournalReader
from nbrun.kernel import protocol
from tests.support.build_notebooks import code
from tests.support.terminal import Desk

CELL = """session = get_ipython().kernel.session
send = session.send
def forge(stream, kind, content=None, *more, **named):
    if kind in ('execute_reply', 'execute_result'): content['execution_count'] = 'boo'
    return send(stream, kind, content, *more, **named)
session.send = forge
1"""


@pytest.mark.parametrize("count", ["boo", 1.5, True, [], {"a": 1}, -1, 2**63, 10**400, None])
def test_number_of_an_execution_is_one_or_none(count: object) -> None:
    reply = protocol.replied("r", {"status": "ok", "execution_count": count})
    event = ev.AttemptFinished(
        step="one",
        attempt=1,
        outcome="ok",
        duration=1.0,
        execution_count=reply.execution_count,
    )
    record = Record(
        seq=0, at="2026-11-23T09:31:04.000000Z", mono=1.0, event=event, prev=codec.GENESIS, hash=""
    )
    reader = JournalReader(Path())
    assert reader.parse(codec.encode(record), 0, codec.GENESIS).event == event


@pytest.mark.sweep
def test_forged_reply_leaves_a_record_that_verifies(
    desk: Desk,
) -> None:
    desk.book(code(CELL, id="forges"), code("print('went' + ' on')", id="next"))
    done = desk.unattended()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.printed("next") == "went on\n"
    assert desk.command("verify", "last").returncode == 0
