"""The last line of a report says the outcome again: on a small terminal its head is gone."""

from __future__ import annotations

import pytest

from support import fit_session, race_session
from txtop.analysis.metrics import FinalMetrics
from txtop.export.markdown import to_markdown
from txtop.export.text import table
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.state.fold import fold_all


def read_last_line(story: list[AnyEvent]) -> str:
    return table.format_report(fold_all(story), FinalMetrics(), "mine").splitlines()[-1]


def stop(story: list[AnyEvent]) -> list[AnyEvent]:
    end = events.SessionEnded(
        t_ns=story[-1].t_ns + 1, reason="stopped", wall_s=1.0, statistics_version=4, sha256=""
    )
    return [*story, end]


def test_the_last_line_of_a_race_is_the_first_of_its_outcome() -> None:
    story = list(race_session.Race().events())
    assert read_last_line(story) == "bf16 · sdpa · b16  351 tok/s  confirmed"


def test_a_race_that_was_stopped_ends_with_who_led_and_how_it_goes_on() -> None:
    story = stop(list(race_session.Race(steps=100).events()))
    led = "stopped before its end: bf16 · sdpa · b16 led  345 tok/s  not confirmed"
    assert read_last_line(story) == f"{led}; txtop resume mine goes on"
    document = to_markdown(fold_all(story), FinalMetrics()).decode()
    assert document.splitlines()[-1] == f"- {led}"


@pytest.mark.parametrize(
    ("probes", "is_stopped", "line"),
    [
        (8, False, "largest batch that ran: batch 55"),
        (
            1,
            True,
            "stopped before its end: largest batch: nothing ran; txtop resume mine goes on",
        ),
    ],
)
def test_the_last_line_of_a_search_is_the_largest_that_ran(
    probes: int, is_stopped: bool, line: str
) -> None:
    story = list(fit_session.search_whole(probes=probes))
    assert read_last_line(stop(story[:-1]) if is_stopped else story) == line
