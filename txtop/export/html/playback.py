"""The recorded samples with their times, as the JSON that the report's player draws.

`player.js` draws it and computes no figure: every number that it shows stands here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec

from txtop.analysis import metrics
from txtop.analysis.metrics import FinalMetrics
from txtop.export.html.headline import Headline, build_headline, word_look
from txtop.export.text import table
from txtop.formatting import format_figure
from txtop.plan import labels
from txtop.sanitise import escape_json, sanitise
from txtop.state.ab import ABTest
from txtop.state.cell import FAILED_STATUSES, CellState
from txtop.state.quality import get_quality
from txtop.state.quality_cost import NO_COST, build_quality_cost
from txtop.state.session import HOST, SessionState
from txtop.stats.sequential import FIRST_LOOK, ConfidenceSequence, SequentialVerdict
from txtop.units import NS_PER_S

# Limits that keep the page small: points of all cells and of one, looks, readings, log lines.
MAX_POINTS = 6_000
MAX_CELL_POINTS = 300
MAX_LOOKS = 240
MAX_READINGS = 400
MAX_LINES = 400


@dataclass(frozen=True)
class _Thinning:
    """A way to keep at most `most` of a list, its last one always."""

    most: int

    def of(self, count: int) -> list[int]:
        """Return the places that stay of `count`."""
        step = max(1, -(-count // self.most))
        return list(range((count - 1) % step, count, step)) if count else []


def build_playback(
    state: SessionState, finals: FinalMetrics, certain: Collection[str] = ()
) -> bytes:
    """Return the recording as JSON that may stand in a page; empty if nothing was measured.

    `certain` are the cells whose results are beyond doubt.
    """
    cells = [cell for cell in state.cells.values() if cell.worker and len(cell.samples) > 1]
    if not cells:
        return b""
    most = max(6, min(MAX_CELL_POINTS, MAX_POINTS // len(cells)))
    recording = {
        "end": round(state.clock_ns / NS_PER_S, 2),
        "cells": [_build_cell(state, cell, finals, _Thinning(most), certain) for cell in cells],
        "ab": _build_comparisons(state),
        "cpu": _list_readings(state),
        "log": _list_lines(state),
    }
    body = escape_json(msgspec.json.encode(recording))
    # No text may end the element that it stands in.
    return body.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")


def _build_cell(
    state: SessionState,
    cell: CellState,
    finals: FinalMetrics,
    thinning: _Thinning,
    certain: Collection[str],
) -> dict[str, Any]:
    """Return a cell: its times in s, its result, and points (s, value, 1 if it counts)."""
    served = cell.cell.serving is not None
    name = "e2e_ms" if served else metrics.choose_headline_metric(cell)
    counts = set(cell.samples.kept()[finals.steady(cell, state.plan.seed).start :])
    values = [
        (i, value)
        for i in range(1, len(cell.samples))
        if (value := metrics.compute_value(cell, name, i)) is not None
    ]
    points = [
        (_to_s(cell.samples.at_ns[i]), float(f"{value:.4g}"), int(i in counts), i)
        for i, value in (values[place] for place in thinning.of(len(values)))
    ]
    end_ns = cell.ended_at_ns or state.clock_ns
    return {
        "name": sanitise(labels.format_short_label(cell.cell), 90),
        "letter": state.ab_test.letter(cell.cell.id) if state.ab_test else "",
        "from": _to_s(cell.started_at_ns),
        "measured": _to_s(cell.measured_from_ns or end_ns),
        "to": _to_s(end_ns),
        "unit": "ms a request" if served else metrics.ITERATION_METRICS[name][0],
        "step": "request" if served else "iteration",
        "result": _format_result(state, cell, finals),
        "certain": cell.cell.id in certain,
        "bad": cell.status in FAILED_STATUSES or cell.invalid > 0,
        "points": points,
    }


def _format_result(state: SessionState, cell: CellState, finals: FinalMetrics) -> str:
    """Return the final figure of a cell, or its status if it has none."""
    rate = finals.of(cell, state.plan.seed).get(metrics.choose_headline_metric(cell))
    if cell.invalid:
        return "INVALID"
    if cell.status != "ok" or rate is None or rate.mean is None:
        return state.word_ending(cell) if cell.over else "unfinished"
    precision = table.format_precision(rate) if rate.ci95 else "no interval"
    return f"{format_figure(rate.mean)} {rate.unit} {precision}"


def _build_comparisons(state: SessionState) -> list[dict[str, Any]]:
    """Return each comparison of an A/B: its margin, and its looks with time, ends and words."""
    ab_test = state.ab_test
    if ab_test is None:
        return []
    return [
        {
            "letter": ab_test.letter(name),
            "margin": ab_test.margin,
            "unit": ab_test.unit,
            "looks": _list_looks(state, ab_test, name),
            "final": _to_plain(build_headline(state, ab_test, name)),
        }
        for name in ab_test.sequences
        if not ab_test.explain_no_verdict(name)
    ]


def _list_looks(state: SessionState, ab_test: ABTest, name: str) -> list[dict[str, Any]]:
    sequence = ab_test.sequences[name]
    own = get_quality(state, name, ab_test.first.id)
    cost = build_quality_cost(own)
    cost_from_s = max((_to_s(event.t_ns) for event in own.list_events(state)), default=0.0)
    looks = list(
        zip(
            _list_block_times_s(state, ab_test, name),
            sequence.looks,
            _replay_verdicts(sequence),
            strict=False,
        )
    )
    return [
        {
            "at": at_s,
            "block": look.n,
            "ratio": round(look.ratio, 4),
            "ends": [round(end, 4) for end in look.interval] if look.interval else None,
            "counts": look.n >= ab_test.first_look,
            # As on the screen of the run, which knew the cost once the outputs were compared.
            "words": _to_plain(
                word_look(ab_test, name, look, verdict, cost if at_s >= cost_from_s else NO_COST)
            ),
        }
        for at_s, look, verdict in (looks[place] for place in _Thinning(MAX_LOOKS).of(len(looks)))
    ]


def _to_plain(headline: Headline) -> dict[str, Any]:
    return dict(msgspec.to_builtins(headline))


def _list_block_times_s(state: SessionState, ab_test: ABTest, name: str) -> list[float]:
    """Return when each block, or start, ended in which the first arm and arm `name` took part."""
    times = []
    for block in ab_test.units:
        ends = [
            [at_ns[i] for i in block.iterations.get(arm, []) if i < len(at_ns)]
            for arm in (ab_test.first.id, name)
            for at_ns in [state.cells[arm].samples.at_ns]
        ]
        if all(ends):
            times.append(_to_s(max(map(max, ends))))
    return times


def _replay_verdicts(sequence: ConfidenceSequence) -> list[SequentialVerdict | None]:
    """Return the verdict after each block."""
    again = ConfidenceSequence(sequence.margin, sequence.alpha)
    if sequence.first_look != FIRST_LOOK:
        again.expect_few_blocks(sequence.first_look)
    verdicts = []
    for difference in sequence.differences:
        again.add(difference)
        verdicts.append(again.verdict)
    return verdicts


def _list_readings(state: SessionState) -> list[tuple[float, float]]:
    """Return the load of the processor in per cent over the time in s."""
    host = state.devices.get(HOST)
    times, values = host.series.get("cpu_percent", ([], [])) if host else ([], [])
    kept = [(_to_s(times[i]), round(values[i], 1)) for i in _Thinning(MAX_READINGS).of(len(times))]
    return [(at_s, value) for at_s, value in kept if value == value]


def _list_lines(state: SessionState) -> list[tuple[float, str]]:
    lines = []
    for line in (state.log[place] for place in _Thinning(MAX_LINES).of(len(state.log))):
        cell = state.cells.get(line.cell or "")
        where = "" if cell is None else f"{labels.format_short_label(cell.cell)}: "
        lines.append((_to_s(line.at_ns), sanitise(where + line.text, 160)))
    return lines


def _to_s(ns: int) -> float:
    return round(ns / NS_PER_S, 2)
