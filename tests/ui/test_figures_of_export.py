"""Every figure of every screen is that of the export, in all sessions that ship with txtop."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from txtop import formatting
from txtop.analysis.metrics import FinalMetrics, choose_headline_metric
from txtop.export.json import build_export
from txtop.export.schema import CellExport
from txtop.session.catalog import get_session_id, list_bundled
from txtop.session.reader import read_all
from txtop.state.fold import fold_all
from txtop.state.session import SessionState
from txtop.stats.summary import Summary
from txtop.ui.models.cache import ITL_PERCENTILES, FrameCache
from txtop.ui.models.cell_detail.detail import CellDetailView, build_cell_detail
from txtop.ui.models.cell_detail.metrics import METRIC_LABELS
from txtop.ui.models.hero import HeroView
from txtop.ui.models.view import View, build_view

HERO_METRICS = {
    **{label: name for name, label in METRIC_LABELS.items() if name.endswith("_ms")},
    "forward": "e2e_ms",
}


@dataclass(frozen=True)
class Figures:
    """A session at its end: its state, its export by cell, the screen and each cell's detail."""

    state: SessionState
    cells: dict[str, CellExport]
    view: View
    details: dict[str, CellDetailView]


@cache
def load(path: Path) -> Figures:
    """Fold a session as a screen does: with a cache that has seen its cells while they ran."""
    made, memo = read_all(path)[0], FrameCache()
    for end in range(len(made) // 3, len(made), len(made) // 3):
        build_view(fold_all(made[:end]), cache=memo)
    state = fold_all(made)
    for _ in state.cells:
        build_view(state, cache=memo)
    exported = build_export(state, FinalMetrics())
    details = {name: build_cell_detail(state, name, memo) for name in state.cells}
    return Figures(
        state,
        {cell.id: cell for cell in exported.cells},
        build_view(state, cache=memo),
        {name: detail for name, detail in details.items() if detail is not None},
    )


@pytest.fixture(params=list_bundled(), ids=get_session_id)
def figures(request: pytest.FixtureRequest) -> Figures:
    return load(request.param)


def find(cell: CellExport, name: str) -> Summary:
    return cell.metrics.get(name) or Summary(unit="", n=0)


def check_itl(hero: HeroView, cell: CellExport) -> int:
    """Check p50, p90 and p99 of the gaps; return how many of them are figures."""
    exported = find(cell, "itl_ms")
    count = 0
    for label, text in hero.itl:
        value = getattr(exported, label)
        if value is None:
            assert text.startswith(("after", "withheld"))
        else:
            assert text == formatting.format_ms(value), (cell.id, label)
            count += 1
    return count


def test_the_heroes_of_cells_and_of_arms(figures: Figures) -> None:
    lanes = figures.view.ab.arms if figures.view.ab is not None else ()
    heroes = [(arm.letter, arm.hero) for arm in lanes]
    heroes += [(name, detail.hero) for name, detail in figures.details.items()]
    gaps = 0
    for name, hero in heroes:
        cell = figures.cells[name]
        gaps += check_itl(hero, cell)
        headline = find(cell, choose_headline_metric(figures.state.cells[name]))
        assert hero.value == pytest.approx(headline.mean), name
        for row in hero.rows:
            mean = find(cell, HERO_METRICS[row.label]).mean if row.label in HERO_METRICS else None
            if mean is not None:
                assert row.value == formatting.format_ms(mean), (name, row.label)
    # The first percentile takes 11 iterations; an encoder has no gaps.
    has_few = all(find(cell, "itl_ms").n < 11 for cell in figures.cells.values())
    assert gaps or has_few or all(cell.family == "encoder" for cell in figures.cells.values())


def test_the_rows_of_the_cells(figures: Figures) -> None:
    for row in figures.view.cells:
        cell = figures.cells[row.id]
        shown_as = {"ttft_ms": row.ttft, "tpot_ms": row.tpot}
        if cell.family == "encoder":
            shown_as = {"e2e_ms": row.forward}
        for name, text in shown_as.items():
            assert text == formatting.format_ms(find(cell, name).mean), (row.id, name)
        headline = find(cell, choose_headline_metric(figures.state.cells[row.id]))
        assert row.rate_value == pytest.approx(headline.mean or 0.0)
        assert row.rate == formatting.format_number(headline.mean)


def test_the_metrics_and_the_marks_of_a_cells_detail(figures: Figures) -> None:
    names = {label: name for name, label in METRIC_LABELS.items() if "energy" not in name}
    for name, detail in figures.details.items():
        cell = figures.cells[name]
        compared = 0
        for metric in detail.metrics:
            key = "e2e_ms" if metric.label == "forward" else names.get(metric.label, "")
            exported = cell.metrics.get(key)
            if exported is None or metric.unit == "%":
                continue
            assert metric.mean == pytest.approx(exported.mean, rel=1e-8), (name, key)
            if metric.ci95 is not None:
                assert metric.ci95 == pytest.approx(exported.ci95, rel=1e-8), (name, key)
            for percentile, value in metric.percentiles:
                expected = getattr(exported, f"p{percentile}")
                assert value == pytest.approx(expected, rel=1e-8), (name, key, percentile)
            compared += 1
        assert compared >= 2
        key = "e2e_ms" if cell.family == "encoder" else "itl_ms"
        for mark in detail.histogram.marks:
            if int(mark.name[1:]) in ITL_PERCENTILES and cell.scenario == "static":
                expected = getattr(find(cell, key), mark.name)
                assert mark.value == pytest.approx(expected, rel=1e-8), (name, mark.name)
