"""A run as an asciicast, played on an emulated terminal."""

import json

import pyte

from nbrun.views.terminal import asciicast
from tests.support.run_builder import Run, display, step, stream


def tale() -> Run:
    made = Run(step("a", "a()")).begin("a").output(stream("10 %"))
    made.output(display(text_plain="0 of 2"), display_id="d").update("d", {"text/plain": "2 of 2"})
    return made.output(stream("é done\n")).end().finish()


def lines() -> list[object]:
    return [json.loads(line) for line in asciicast.build(tale().records).splitlines()]


def test_header_has_version_2() -> None:
    head = lines()[0]
    assert isinstance(head, dict)
    assert (head["version"], head["width"], head["height"]) == (2, 100, 30)
    assert head["timestamp"] == 1795426200  # 2026-11-23 09:30:00 UTC


def test_times_follow_records_and_never_decrease() -> None:
    times = [event[0] for event in lines()[1:] if isinstance(event, list)]
    assert times == sorted(times)
    assert times[0] == 0.0
    assert times[-1] == tale().records[-1].mono


def test_played_cast_shows_run() -> None:
    screen = pyte.Screen(100, 30)
    stream_ = pyte.Stream(screen)
    seen = set()
    for event in lines()[1:]:
        assert isinstance(event, list)
        assert event[1] == "o"
        stream_.feed(event[2])
        seen |= {row.rstrip() for row in screen.display}
    assert {"0 of 2", "2 of 2", "running step 1 of 1 · Title of a · 1.0 s"} <= seen
    shown = [row.rstrip() for row in screen.display]
    assert "é done" in shown
    assert "0 of 2" not in shown
    assert not any(row.startswith("running") for row in shown)


def test_the_same_journal_gives_the_same_bytes() -> None:
    assert asciicast.build(tale().records) == asciicast.build(tale().records)
