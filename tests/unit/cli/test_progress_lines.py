"""The lines of a run in plain text: each tells something new."""

from __future__ import annotations

import pytest

from support.race_session import Race
from txtop.analysis.metrics import FinalMetrics
from txtop.cli import progress_lines
from txtop.cli.progress_lines import LinePrinter
from txtop.protocol import events
from txtop.state.fold import fold, fold_all


def test_progress_is_printed_once_and_says_which_first_call_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_lines, "PROGRESS_INTERVAL_S", -1.0)
    made = list(Race(2).events())
    block = next(i for i, event in enumerate(made) if isinstance(event, events.RaceBlock))
    until = next(i for i in range(block, len(made)) if isinstance(made[i], events.Workload))
    state = fold_all(made[: block + 1])
    printer = LinePrinter(state, FinalMetrics())
    course = "round 1, 14 of 24 still in, 00:01 of 04:00 measured"
    for then, now in (
        (made[block + 1 : until + 1], course),
        ([], f"gpt2 fp32 batch 8 threads 2: first call; {course}"),
    ):
        printer.print_new()
        printer.print_new()
        printed = [line.partition(" ")[2] for line in capsys.readouterr().err.splitlines()]
        assert printed[-1] == now and printed.count(now) == 1
        for event in then:
            fold(state, event)
