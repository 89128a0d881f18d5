"""The curve of a sweep and its knee, from an invented session whose latencies are known."""

from __future__ import annotations

from functools import cache

import msgspec
import pytest

from support import load_sweep
from support.panels import G
from support.screen_text import lines
from support.tradeoff_views import a_plan, tried
from txtop.analysis.serving import SATURATED_NOTE
from txtop.plan.plan import Plan
from txtop.stats.summary import PERCENTILE_FLOORS
from txtop.ui.drawing.area import Area
from txtop.ui.models.tradeoffs.groups import explain_missing_plots, group_cells
from txtop.ui.models.tradeoffs.load_curve import KNEE_NOTE
from txtop.ui.models.tradeoffs.plot import TradeoffPlot
from txtop.ui.models.view import View
from txtop.ui.panels.tradeoffs.plot import build_scatter
from txtop.ui.panels.tradeoffs.render import TradeoffsSelection, render_tradeoffs
from txtop.ui.panels.tradeoffs.table import render_point_line, render_point_table


@cache
def a_sweep(requests: int = 150) -> View:
    return tried(load_sweep.Sweep(load_sweep.plan(requests=requests)).events())


def the_plot(view: View) -> TradeoffPlot:
    (plot,) = view.tradeoffs.plots
    assert plot.kind == "load"
    return plot


# The points


def test_a_line_a_scenario_in_the_order_of_its_load() -> None:
    plot = the_plot(a_sweep())
    assert plot.lines == ("dynamic", "continuous") and plot.unit == "tok/s"
    for line, name in enumerate(plot.lines):
        own = [point for point in plot.points if point.line == line]
        labels = [p.label for p in own if not p.loose]
        assert labels == [*(f"{r:.2f}/s" for r in (2, 4, 6, 8, 9)), "10.0/s", "12.0/s"]
        assert {p.label for p in own if p.loose} == {"8 clients"} and len(own) == 8
        for point in own:
            if not point.saturated:
                (of,) = [s for s, ms in load_sweep.E2E_MS[name].items() if ms == round(point.x)]
                assert of == load_sweep.share(
                    next(c for c in load_sweep.plan().cells if c.id == point.row.id)
                )
                assert point.y == point.row.rate_value


def test_the_budget_of_an_slo_stands_in_the_plot() -> None:
    view = tried(load_sweep.Sweep(load_sweep.plan(slo="e2e=500ms,tpot=50ms")).events())
    assert the_plot(view).budgets == ((500.0, "SLO 500 ms"),)
    assert the_plot(a_sweep()).budgets == ()
    rows = lines(render_tradeoffs(TradeoffsSelection(view.tradeoffs), Area(120, 36, G, boxed=True)))
    assert any("SLO 500 ms" in row for row in rows) and sum("╎" in row for row in rows) > 10


def test_knees_and_saturated_loads_are_marked() -> None:
    plot = the_plot(a_sweep())
    marked = {(p.name, p.label) for p in plot.points if p.front}
    assert marked == {("dynamic", "6.00/s"), ("continuous", "8.00/s")}
    assert [p.label for p in plot.points if p.saturated] == ["10.0/s", "12.0/s"] * 2
    assert plot.remarks[:2] == ("dynamic knee: 6.00/s", "continuous knee: 8.00/s")
    assert plot.remarks[2:] == (KNEE_NOTE, SATURATED_NOTE)
    spots = build_scatter(plot, None).spots
    assert {s.label for s in spots if s.bold} == {"knee 6.00/s", "knee 8.00/s"}
    assert [s.hollow for s in spots] == [p.saturated for p in plot.points]


def test_clients_are_on_no_line() -> None:
    plot = the_plot(a_sweep())
    for line, path in build_scatter(plot, None).lines:
        own = [(p.x, p.y) for p in plot.points if p.line == line and not p.loose]
        assert path == tuple(own) and len(path) == 7


@pytest.mark.parametrize(
    ("requests", "tail"), [(150, 95), (130, 95), (129, 90), (64, 90), (63, 75), (24, 75), (23, 50)]
)
def test_the_axis_is_the_highest_percentile_that_every_cell_may_state(
    requests: int, tail: int
) -> None:
    plot = the_plot(a_sweep(requests))
    assert plot.x_name == f"ms E2E, p{tail}" and plot.time_head == f"p{tail} ms"
    assert requests >= PERCENTILE_FLOORS[tail] and len(plot.points) == 16


def test_a_cell_without_a_median_is_left_out_and_lowers_nothing() -> None:
    plan = load_sweep.plan()
    plot = the_plot(tried(load_sweep.Sweep(plan, few=(plan.cells[1].id, 10)).events()))
    assert plot.x_name == "ms E2E, p95" and len(plot.points) == 15
    assert plot.left_out == "1 with under 130 answers"
    plot = the_plot(tried(load_sweep.Sweep(plan, few=(plan.cells[1].id, 11)).events()))
    assert plot.x_name == "ms E2E, p50" and len(plot.points) == 16


def test_the_cell_at_work_joins_when_it_may_state_what_the_others_do() -> None:
    plan = load_sweep.plan()
    name = plan.cells[4].id
    for answers, running in ((129, []), (131, [name])):
        plot = the_plot(tried(load_sweep.Sweep(plan, open_at=(name, answers)).events()))
        assert [p.row.id for p in plot.points if p.running] == running
        assert plot.x_name == "ms E2E, p95" and not plot.left_out
        assert not any(p.front for p in plot.points)


def test_an_encoder_answers_requests() -> None:
    view = tried(load_sweep.Sweep(load_sweep.plan(["dynamic"], model="bert-base-uncased")).events())
    plot = the_plot(view)
    assert plot.unit == plot.y_name == "req/s" and plot.lines == ("dynamic",)


# The sheets


def test_batches_and_requests_are_on_no_sheet_together() -> None:
    plan = load_sweep.plan()
    batches = a_plan(batch_sizes=[1, 8]).cells
    both = Plan(
        cells=(
            *plan.cells,
            *(msgspec.structs.replace(c, id=f"s{i}") for i, c in enumerate(batches)),
        )
    )
    served = {cell.id for cell in plan.cells}
    for sheet in group_cells(both):
        names = {member.cell for member in sheet.members}
        assert names == served if sheet.kind == "load" else not names & served
    assert {sheet.kind for sheet in group_cells(both)} == {"rates", "load"}
    assert explain_missing_plots(plan) == {} and "load" not in explain_missing_plots(a_plan())
    assert explain_missing_plots(Plan(cells=plan.cells[:1])) == {
        "load": "only one load was measured"
    }


def test_precisions_have_sheets_of_their_own_or_are_the_lines() -> None:
    def of(plan: Plan) -> list[tuple[str, tuple[str, ...]]]:
        more = [
            msgspec.structs.replace(cell, id=f"b{cell.id}", precision="bf16") for cell in plan.cells
        ]
        return [(s.of, s.lines) for s in group_cells(Plan(cells=(*plan.cells, *more)))]

    scenarios = ("dynamic", "continuous")
    assert of(load_sweep.plan()) == [("fp32", scenarios), ("bf16", scenarios)]
    assert of(load_sweep.plan(["single"])) == [("", ("fp32", "bf16"))]


# The words


def test_beside_the_cursor_stand_the_load_the_queue_and_the_occupancy() -> None:
    plot = the_plot(a_sweep())
    point = next(p for p in plot.points if p.front)
    (line,) = lines([render_point_line(point, plot, 200, G)])
    assert "130 ms E2E p95" in line
    assert "offered 6.00/s, answered 6.0" in line and "queue 50.0 ms   occupancy 12 %" in line
    (short,) = lines([render_point_line(point, plot, 78, G)])
    assert "6.00/s → 6.0" in short and "queue 50.0 ms" in short


def test_the_table_and_the_panel_name_the_knees() -> None:
    view = a_sweep()
    plot = the_plot(view)
    rows = lines(render_point_table(plot, Area(56, 20, G), None).rows)
    assert rows[0].split() == ["offered", "p95", "ms", "tok/s"]
    assert [row.split()[-1] for row in rows if "knee" in row] == ["knee", "knee"]
    assert sum(row.rstrip().endswith("saturated") for row in rows) == 4
    drawn = "\n".join(
        lines(
            render_tradeoffs(TradeoffsSelection(view.tradeoffs, 0, 2), Area(120, 36, G, boxed=True))
        )
    )
    assert "dynamic knee: 6.00/s" in drawn and "16 by load" in drawn
    assert "dynamic · 6.00/s · knee" in drawn
