"""The edge of a search, derived from the probes of a session."""

from __future__ import annotations

import msgspec
import pytest

from support import ui_events
from support.fit_session import BASE, MIB, begin, build_search, run_probe
from txtop.analysis.edge import (
    BATCH,
    LENGTH,
    explain_end,
    explain_failure,
    find_edges,
    find_limit,
    find_most,
)
from txtop.analysis.metrics import FinalMetrics
from txtop.cli import exit_code
from txtop.export import json
from txtop.export.html.page import render_page
from txtop.export.text import edge as edge_text
from txtop.export.text import table
from txtop.forecast import fit_plan
from txtop.forecast.edge import choose_next_probe
from txtop.forecast.memory import forecast_memory
from txtop.models import model_config
from txtop.plan.cell import Cell
from txtop.plan.plan import EdgeSearch, Plan
from txtop.protocol import events
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState
from txtop.stats.edge_search import Bracket
from txtop.ui.models.edge import build_edges
from txtop.units import NS_PER_S


def run(state: SessionState, story: ui_events.Story, cell: Cell, peak_mib: int | None) -> None:
    for event in run_probe(story, cell, peak_mib):
        fold(state, event)


def measure_mib(cell: Cell) -> int:
    """Return the peak of a cell here: a twentieth above its forecast."""
    forecast = forecast_memory(msgspec.structs.replace(cell, id=""))
    assert forecast is not None
    return round(1.05 * forecast.peak_bytes / MIB)


def search_to_end(state: SessionState, story: ui_events.Story, limit_mib: int = 2000) -> list[int]:
    """Run probes, of which those above the limit run out of memory. Return their batches."""
    batches: list[int] = []
    search = state.plan.edge_search
    assert search is not None
    while (probe := choose_next_probe(state, search)) is not None:
        peak_mib = measure_mib(probe.cell)
        run(state, story, probe.cell, peak_mib if peak_mib <= limit_mib else None)
        batches.append(probe.cell.batch_size)
    return batches


def test_a_search_ends_with_both_sides_one_step_apart() -> None:
    state, story = begin(build_search())
    batches = search_to_end(state, story)
    (edge,) = find_edges(state)
    assert edge.is_found and len(batches) <= 8
    assert edge.largest and edge.smallest
    assert edge.smallest.cell.batch_size == edge.largest.cell.batch_size + 1
    assert measure_mib(edge.largest.cell) <= 2000 < measure_mib(edge.smallest.cell)
    assert edge.headroom_bytes == (2000 - measure_mib(edge.largest.cell)) * MIB
    assert explain_failure(edge) == "out of memory on the host"
    assert [own.cell.id for own in state.cells.values()] == [
        f"p{n:02d}" for n in range(1, len(batches) + 1)
    ]


def test_a_probe_above_the_memory_that_was_asked_for_did_not_run() -> None:
    state, story = begin(build_search())
    first = next(iter(state.cells.values())).cell
    run(state, story, first, 2100)
    less = msgspec.structs.replace(BASE, id="p02", batch_size=first.batch_size - 1)
    run(state, story, less, 1900)
    (edge,) = find_edges(state)
    assert edge.bracket == Bracket(first.batch_size - 1, first.batch_size) and edge.is_found
    assert explain_failure(edge) == "its peak is above the limit"


def test_a_search_goes_on_where_it_was_cut_off() -> None:
    state, story = begin(build_search())
    search = state.plan.edge_search
    assert search is not None
    first = choose_next_probe(state, search)
    assert first is not None
    fold(state, events.Probe(t_ns=0, added=first.cell))
    for event in story.started(first.cell):
        fold(state, event)
    again = choose_next_probe(state, search)
    assert again is not None and again.cell == first.cell
    run(state, story, first.cell, 1500)
    assert choose_next_probe(state, search).cell.id == "p02"  # type: ignore[union-attr]


def test_both_searches_the_batch_and_then_the_length() -> None:
    state, story = begin(build_search("both"))
    search = state.plan.edge_search
    assert search is not None
    grown: list[tuple[int, int]] = []
    while (probe := choose_next_probe(state, search)) is not None:
        cell = probe.cell
        run(state, story, cell, peak if (peak := measure_mib(cell)) <= 2000 else None)
        grown.append((cell.batch_size, cell.sequence_length))
    batch, length = find_edges(state)
    assert batch.largest and measure_mib(batch.largest.cell) <= 2000
    # Up to the context of gpt2 all ran: 1,024 positions, less 32 new tokens.
    assert length.largest and length.largest.cell.sequence_length == 992
    assert length.is_found and length.smallest is None
    lines = edge_text.format_edges(state, FinalMetrics())
    assert "  did not  nothing: the model has 1,024 positions, 32 for new tokens" in lines
    assert all(tokens == 128 for _, tokens in grown[: len(batch.probes)])


@pytest.mark.parametrize(
    ("model", "new", "most", "end", "why"),
    [
        ("gpt2", 32, 16, 992, "the model has 1,024 positions, 32 for new tokens"),
        ("gpt2", 64, 15, 960, "the model has 1,024 positions, 64 for new tokens"),
        ("gpt2", 1000, 1, 24, "the model has 1,024 positions, 1,000 for new tokens"),
        ("gpt2", 1024, 0, 0, "the model has 1,024 positions, 1,024 for new tokens"),
        ("bert-base-uncased", 32, 8, 512, "the model has 512 positions"),
        ("t5-small", 32, 1 << 14, 1 << 20, "a search ends at 1,048,576 tokens"),
    ],
)
def test_a_prompt_ends_with_the_context(
    model: str, new: int, most: int, end: int, why: str
) -> None:
    base = msgspec.structs.replace(BASE, model=model, new_tokens=new)
    search = EdgeSearch(largest="sequence-length", base=base)
    assert (find_most(search, LENGTH), explain_end(search, LENGTH)) == (most, why)
    assert find_most(search, BATCH) > 10_000
    for steps in range(1, min(most, 20) + 1):
        cell = LENGTH.build_cell(search, steps)
        assert cell.sequence_length == min(64 * steps, end)
        assert LENGTH.count_steps(search, cell) == steps


@pytest.mark.parametrize("told", ["plan", "load"])
def test_the_context_of_a_recorded_search_is_that_of_the_recording(
    monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    base = msgspec.structs.replace(BASE, model="org/own-model")
    search = EdgeSearch(
        largest="sequence-length",
        base=base,
        limit_bytes=4000 * MIB,
        context=1024 if told == "plan" else None,
        family="causal" if told == "plan" else None,
    )
    plan = Plan(cells=(LENGTH.build_cell(search, 2, "p01"),), iterations=3, edge_search=search)
    state, story = fold_all([ui_events.header(plan)]), ui_events.Story(plan)

    def look_here(model: str) -> None:
        raise AssertionError("a reader looked for the model on its machine")

    monkeypatch.setattr(model_config, "find_config", look_here)
    for name, length in (("p01", 128), ("p02", 992)):
        cell = msgspec.structs.replace(base, id=name, sequence_length=length)
        for event in run_probe(story, cell, 1000):
            if isinstance(event, events.ModelLoaded):
                event.context = 1024
            fold(state, event)
    (edge,) = find_edges(state)
    assert edge.is_found
    lines = edge_text.format_edges(state, FinalMetrics())
    assert "  did not  nothing: the model has 1,024 positions, 32 for new tokens" in lines
    assert lines[0].startswith("longest prompt of own-model fp32, batch 2, 32 new tokens, in ")


@pytest.mark.parametrize(("given", "steps"), [(100, None), (128, 2), (992, 16)])
def test_a_length_as_given_is_a_probe_of_the_lengths_only_where_these_have_it(
    given: int, steps: int | None
) -> None:
    base = msgspec.structs.replace(BASE, batch_size=1, sequence_length=given)
    search = EdgeSearch(largest="both", base=base)
    assert BATCH.count_steps(search, base) == 1
    assert LENGTH.count_steps(search, base) == steps


@pytest.mark.parametrize(
    ("device", "resident_mib", "spread"),
    [("cpu", 1000, 7), ("cpu", 1780, 14), ("cpu", None, 0), ("cpu", 2000, 0), ("cuda:0", 1000, 0)],
)
def test_an_edge_says_by_how_much_another_search_may_differ(
    device: str, resident_mib: int | None, spread: int
) -> None:
    """The heap of a CPU has other holes then: a quarter of what a call takes, 120 MiB at most."""
    state, story = begin(build_search())
    for name, batch, peak_mib in (("p01", 56, None), ("p02", 55, 1900)):
        cell = msgspec.structs.replace(BASE, id=name, batch_size=batch)
        run(state, story, cell, peak_mib)
    (edge,) = find_edges(state)
    assert edge.largest is not None and edge.largest.load is not None
    edge.largest.load.device = device
    edge.largest.load.resident_bytes = resident_mib and resident_mib * MIB
    assert edge.spread == spread
    course = edge_text.format_edges(state, FinalMetrics())[-1].strip()
    away = f"another search may differ by up to {spread} sequences"
    assert course == ("2 probes; " + away if spread else "2 probes")


def test_another_search_may_differ_by_one_sequence() -> None:
    state, story = begin(build_search())
    for name, batch, peak_mib in (("p02", 5, None), ("p03", 4, 1900)):
        run(state, story, msgspec.structs.replace(BASE, id=name, batch_size=batch), peak_mib)
    (edge,) = find_edges(state)
    assert edge.largest is not None and edge.largest.load is not None
    edge.largest.load.device, edge.largest.load.resident_bytes = "cpu", 1780 * MIB
    course = edge_text.format_edges(state, FinalMetrics())[-1]
    assert course == "  2 probes; another search may differ by up to 1 sequence"


def test_a_peak_just_above_the_limit_looks_above_it() -> None:
    state, story = begin(build_search())
    for name, batch, peak_mib in (("p02", 5, 2001), ("p03", 4, 1999)):
        run(state, story, msgspec.structs.replace(BASE, id=name, batch_size=batch), peak_mib)
    title, ran, failed, _ = edge_text.format_edges(state, FinalMetrics())
    assert "in 2,000 MiB asked for" in title
    assert ran.split()[3] == "1.952" and failed.endswith("1.954 GiB  its peak is above the limit")


def test_a_limited_address_space_leaves_what_the_first_load_did_not_map() -> None:
    search = msgspec.structs.replace(build_search(), asked=False, address_bytes=2500 * MIB)
    state, story = begin(search)
    first = next(iter(state.cells.values())).cell
    assert find_limit(state) == 2000 * MIB and search.held_bytes is None
    run(state, story, first, 1900)
    assert find_limit(state) == 2000 * MIB, "an older recording does not say what was mapped"
    state, story = begin(search)
    for event in run_probe(story, first, 1900):
        if isinstance(event, events.ModelLoaded):
            event.mapped_bytes = 580 * MIB
        fold(state, event)
    assert find_limit(state) == 1920 * MIB
    (edge,) = find_edges(state)
    assert edge.headroom_bytes == 20 * MIB
    assert build_search().held_bytes == 2000 * MIB


@pytest.mark.parametrize(
    ("asked_gib", "limit_gib", "where"),
    [
        (80, 24, "in 24.0 GiB of this GPU"),
        (16, 16, "in 16 GiB asked for"),
        (None, 24, "in 24.0 GiB of this GPU"),
    ],
)
def test_a_gpu_gives_no_more_than_it_has(asked_gib: int | None, limit_gib: int, where: str) -> None:
    limit = None if asked_gib is None else asked_gib << 10
    search = msgspec.structs.replace(build_search(limit_mib=limit), asked=limit is not None)
    state, story = begin(search)
    story.gpus = 1
    first = next(iter(state.cells.values())).cell
    for event in run_probe(story, first, 12 << 10):
        if isinstance(event, events.Telemetry) and event.device != "host":
            event.values["memory_total_bytes"] = 24.0 * (1 << 30)
        fold(state, event)
    (edge,) = find_edges(state)
    assert edge.limit_bytes == limit_gib << 30
    title, ran, *_ = edge_text.format_edges(state, FinalMetrics())
    assert title.endswith(f"{where}:")
    assert f"{1 - 12 / limit_gib:.0%} to spare".replace("%", " %") in ran
    (view,) = build_edges(state, {})
    assert view.room == where.removeprefix("in ")


def test_a_search_is_told_in_lines_and_exported() -> None:
    state, story = begin(build_search())
    search_to_end(state, story)
    (edge,) = find_edges(state)
    assert edge.largest and edge.smallest
    end = events.SessionEnded(
        t_ns=story.t_ns, reason="done", wall_s=0.0, statistics_version=1, sha256=""
    )
    fold(state, end)
    finals = FinalMetrics()
    title, ran, failed, course = edge_text.format_edges(state, finals)
    assert title == "largest batch of gpt2 fp32, 128 + 32 tokens, in 2,000 MiB asked for:"
    assert ran.split()[:3] == ["ran", "batch", str(edge.largest.cell.batch_size)]
    assert "% to spare" in ran and "tok/s" in ran and "forecast −" in ran
    assert failed.split()[:4] == ["did", "not", "batch", str(edge.smallest.cell.batch_size)]
    assert "probe" in course
    assert title in table.format_report(state, finals)
    assert f"<p>{title}</p>" in render_page(state, finals).decode()
    exported = json.build_export(state, finals).edges
    assert isinstance(exported, list) and exported[0].found
    assert exit_code.choose_exit_code(state, recorded=True, last_line="") == 0


def stop(state: SessionState, story: ui_events.Story) -> list[str]:
    """Stop the session. Return the lines of its search, without the title."""
    end = events.SessionEnded(
        t_ns=story.t_ns, reason="stopped", wall_s=0.0, statistics_version=1, sha256=""
    )
    fold(state, end)
    return [line.strip() for line in edge_text.format_edges(state, FinalMetrics())[1:]]


def test_a_search_that_was_stopped_says_what_is_known() -> None:
    state, story = begin(build_search())
    first = next(iter(state.cells.values())).cell
    assert stop(state, story) == ["stopped before anything ran"]
    state, story = begin(build_search())
    for event in story.started(first):
        fold(state, event)
    fold(state, events.CellFinished(t_ns=1, cell="p01", status="cancelled", stopped_by="stop", n=0))
    assert stop(state, story) == ["stopped in its first probe"]
    for peak_mib, where in ((1500, "above"), (None, "below")):
        state, story = begin(build_search())
        run(state, story, first, peak_mib)
        assert stop(state, story)[-1] == f"1 probe, then stopped: the edge lies {where}"
    run(state, story, msgspec.structs.replace(BASE, id="p02", batch_size=1), 900)
    assert stop(state, story)[-1] == "2 probes, then stopped: the edge lies between"


@pytest.mark.parametrize(
    ("peak_mib", "course"),
    [
        (None, "1 probe, then one was skipped: the edge lies below"),
        (900, "1 probe, then one was skipped: the edge lies above"),
        (0, "skipped in its first probe"),
    ],
)
def test_a_search_that_a_skip_ended_says_so_and_how_it_goes_on(
    peak_mib: int | None, course: str
) -> None:
    """It was `done`, and `1 probe: the edge lies below`."""
    state, story = begin(build_search())
    first = next(iter(state.cells.values())).cell
    if peak_mib != 0:
        run(state, story, first, peak_mib)
    end(state, "p03", 2, events.CellFinished(t_ns=1, cell="p03", status="skipped"))
    (before,) = find_edges(state)
    assert before.skipped is state.cells["p03"] and before.skipped not in (
        before.largest,
        before.smallest,
    )
    (view,) = build_edges(state, {})
    (probe,) = (probe for probe in view.probes if probe.id == "p03")
    assert state.header is not None and not probe.at_edge
    assert probe.why == f"skipped: txtop resume {state.header.name} goes on"
    fold(
        state,
        events.SessionEnded(t_ns=2, reason="done", wall_s=0.0, statistics_version=1, sha256=""),
    )
    *_, told, last = edge_text.format_edges(state, FinalMetrics())
    assert told.split() == ["skipped", "batch", "2"] and last.strip() == course
    closing = table.describe_end(state, "NAME")
    assert closing.startswith("a skip ended the search: largest batch")
    assert closing.endswith("; txtop resume NAME goes on")


def end(state: SessionState, name: str, batch: int, event: events.AnyEvent) -> None:
    """Add a probe of `batch` that ends with `event`."""
    cell = msgspec.structs.replace(BASE, id=name, batch_size=batch)
    fold(state, events.Probe(t_ns=1, added=cell))
    fold(state, events.CellStarted(t_ns=1, cell=name, worker="w1"))
    fold(state, event)


TIMEOUT = events.CellFinished(t_ns=1, cell="p03", status="timeout", reason="no end in 60 s")
REFUSED = events.CellRejected(t_ns=1, cell="p03", reason="longer than the context")
ABSENT = events.CellRejected(t_ns=1, cell="p03", reason="no answer of the Hub", may_pass=True)
DEAD = events.CellFinished(t_ns=1, cell="p03", status="failed", reason="killed by SIGKILL")
OOM = events.CellFinished(t_ns=1, cell="p03", status="oom", reason="the memory killer")


@pytest.mark.parametrize(
    ("ending", "bounds", "is_found", "line", "course"),
    [
        (
            TIMEOUT,
            False,
            False,
            "timeout  batch 5        no end in 60 s",
            "2 probes; memory is not",
        ),
        (REFUSED, True, False, "did not  batch 5        longer than", "2 probes; memory is not"),
        (ABSENT, False, False, "failed   batch 5        no answer of", "1 probe, then one failed"),
        (DEAD, False, False, "failed   batch 5        killed by", "1 probe, then one failed"),
        (OOM, True, True, "did not  batch 5        the memory killer", "2 probes"),
    ],
)
def test_only_memory_ends_a_search_for_memory(
    ending: events.AnyEvent, bounds: bool, is_found: bool, line: str, course: str
) -> None:
    """Try a probe again, by `resume`, whose end tells nothing."""
    state, story = begin(build_search())
    search = state.plan.edge_search
    assert search is not None
    run(state, story, msgspec.structs.replace(BASE, id="p02", batch_size=4), 1900)
    end(state, "p03", 5, ending)
    (edge,) = find_edges(state)
    assert edge.bracket == Bracket(4, 5 if bounds else None) and edge.is_found is is_found
    again = choose_next_probe(state, search)
    assert (again is None) is (bounds or ending is TIMEOUT)
    fold(
        state,
        events.SessionEnded(t_ns=2, reason="done", wall_s=0.0, statistics_version=1, sha256=""),
    )
    *_, told, last = edge_text.format_edges(state, FinalMetrics())
    assert told.strip().startswith(line) and last.strip().startswith(course)
    assert is_found or last.endswith(": the edge lies above")
    (exported,) = json.build_export(state, FinalMetrics()).edges  # type: ignore[misc]
    assert exported.found is is_found and exported.reason == explain_failure(edge) != ""
    code = exit_code.choose_exit_code(state, recorded=True, last_line="")
    assert code == (0 if is_found else exit_code.EXIT_INCONCLUSIVE)
    (view,) = build_edges(state, {})
    (probe,) = (probe for probe in view.probes if probe.id == "p03")
    assert probe.state == "failed" and probe.why and view.found is is_found


def test_after_a_probe_that_took_too_long_the_next_is_expected_to_end_in_time() -> None:
    """Before any ran each makes them fewer; then the time of the largest that ran tells."""
    search = build_search(limit_mib=20_000)
    state, story = begin(search)
    assert state.header is not None
    plan = msgspec.structs.replace(state.plan, timeout_s=60.0)
    state.header = msgspec.structs.replace(state.header, plan=plan)
    late = msgspec.structs.replace(TIMEOUT, reason="longer than --timeout 60 s")
    tried = []
    for _ in range(3):
        chosen = choose_next_probe(state, search)
        assert chosen is not None
        tried.append(chosen.cell.batch_size)
        name = chosen.cell.id
        end(state, name, tried[-1], msgspec.structs.replace(late, cell=name))
    assert tried[1:] == [tried[0] // 2, tried[0] // 2 // 4] and tried[-1] > 8
    assert edge_text.format_edges(state, FinalMetrics())[1:3] == [
        "  ran      nothing",
        f"  timeout  batch {tried[-1]:<8} longer than --timeout 60 s",
    ]
    run(state, story, msgspec.structs.replace(BASE, id="p08", batch_size=8), 1100)
    own = state.cells["p08"]
    assert own.load is not None
    busy_ns = own.ended_at_ns - own.started_at_ns - own.load.load_s * NS_PER_S
    left_s = 0.8 * 60 - own.load.load_s
    most = int(8 * left_s / (busy_ns / NS_PER_S))
    chosen = choose_next_probe(state, search)
    assert chosen is not None and chosen.cell.batch_size == min(most, tried[-1] - 1)
    own.started_at_ns = own.ended_at_ns - 58 * NS_PER_S
    assert choose_next_probe(state, search) is None, "nothing larger would end in time"


def test_a_search_whose_first_probe_fails_knows_nothing() -> None:
    state, story = begin(build_search())
    end(state, "p03", 1, TIMEOUT)
    assert stop(state, story)[-1] == "1 probe, then stopped: nothing is known of the edge"


def test_a_session_without_a_search_has_no_edge() -> None:
    state = fold_all(ui_events.Story(ui_events.sweep()).whole())  # type: ignore[arg-type]
    assert find_edges(state) == [] and edge_text.format_edges(state, FinalMetrics()) == []
    assert b'"edges"' not in json.to_json(state, FinalMetrics())


def test_a_memory_that_is_not_here_is_answered_by_a_forecast() -> None:
    search = build_search("both", 80_000)
    batch, length = fit_plan.predict_edges(search)
    assert batch is not None and length is not None
    assert batch[2] <= 80_000 * MIB < batch[3]
    text = edge_text.format_predictions(search, [batch, length, None], 3 << 30)
    assert "a forecast alone: 3.000 GiB are free here, 78.125 GiB were asked for" in text
    assert f"expected to fit      batch {batch[1]:,}" in text
    assert f"expected not to fit  batch {batch[1] + 1:,}" in text
    assert "992 tokens" in text and "1,024 tokens" not in text, "the context of gpt2 ends there"
    assert "gpt2: its configuration is not here" in text
