"""The way between an engine and those who watch and decide."""

import queue
import select
import threading

import pytest

from nbrun import events as ev
from nbrun.engine import Inbox, Ordered
from nbrun.link import LocalLink
from tests.build import OPERATOR, note_added, records, uneventful


def is_readable(link: LocalLink) -> bool:
    return bool(select.select([link], [], [], 0)[0])


@pytest.fixture
def link() -> LocalLink:
    return LocalLink(OPERATOR)


def test_nothing_is_readable_before_anything_was_published(link: LocalLink) -> None:
    assert not is_readable(link)
    assert link.receive() == []


def test_records_come_in_order_and_once(link: LocalLink) -> None:
    told = records(uneventful())
    link.publish(told[:2])
    link.publish(told[2:])
    assert is_readable(link)
    assert link.receive() == told
    assert not is_readable(link)
    assert link.receive() == []


def test_waking_makes_it_readable_though_nothing_came(link: LocalLink) -> None:
    link.wake()
    assert is_readable(link)
    assert link.receive() == []
    assert not is_readable(link)


def test_it_is_closed_when_all_was_received(link: LocalLink) -> None:
    link.publish(records([note_added()]))
    link.close()
    assert not link.closed
    assert is_readable(link)
    link.receive()
    assert link.closed


def test_the_engine_never_waits_for_a_reader_that_is_away(link: LocalLink) -> None:
    (told,) = records([note_added()])
    for _ in range(100_000):  # a pipe holds 65,536 bytes
        link.publish([told])
    assert is_readable(link)
    assert len(link.receive()) == 100_000
    assert not is_readable(link)


def test_decisions_reach_the_inbox_with_who_made_them(link: LocalLink) -> None:
    inbox: Inbox = queue.SimpleQueue()
    link.send(ev.Cancel())  # there is no engine yet to hear it
    link.connect(inbox)
    link.send(ev.Retry(reason="again"))
    assert inbox.get_nowait() == Ordered(ev.Retry(reason="again"), OPERATOR)
    assert inbox.empty()


def test_a_reader_on_another_thread_misses_nothing(link: LocalLink) -> None:
    told = records([note_added(str(number)) for number in range(2000)])
    seen = []

    def read() -> None:
        while not link.closed:
            select.select([link], [], [], 5)
            seen.extend(link.receive())

    reader = threading.Thread(target=read)
    reader.start()
    for each in told:
        link.publish([each])
    link.close()
    reader.join(timeout=10)
    assert not reader.is_alive()
    assert seen == told
