"""The same cells on several kinds of machine."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from statistics import fmean

import msgspec
import pytest

from support.fleets import RECORDED
from txtop.analysis.hardware import compare_hardware, group_by_kind
from txtop.analysis.metrics import summarise_final
from txtop.export.html.fleet_page import MAX_DRAWN, draw_speeds, render_fleet_page
from txtop.export.text import hardware
from txtop.protocol.events import AnyEvent, SessionHeader
from txtop.session.reader import read_all
from txtop.state.fold import fold_all
from txtop.state.session import SessionState


@cache
def recorded() -> tuple[AnyEvent, ...]:
    return tuple(read_all(RECORDED / "gpt2-precisions.jsonl")[0])


def measured(cpu: str, cost: float | None = None, without: str = "") -> SessionState:
    """A recording as if it came from a machine with that processor."""
    made = []
    for event in recorded():
        if isinstance(event, SessionHeader):
            plan = msgspec.structs.replace(event.plan, cost_per_hour=cost)
            machine = msgspec.structs.replace(event.machine, cpu=cpu)
            event = msgspec.structs.replace(event, plan=plan, machine=machine)
        made.append(event)
    state = fold_all(made)
    state.cells.pop(without, None)
    return state


def test_a_kind_has_its_mean_its_interval_and_what_it_costs() -> None:
    states = {"a": measured("one", 3.6), "b": measured("other", 3.6)}
    rows = compare_hardware(group_by_kind(states), 0.03)
    cell = next(iter(states["a"].cells.values()))
    final = summarise_final(cell)["tokens_per_s"]
    assert final.mean is not None and final.ci95 is not None
    for row in rows[:2]:
        assert (row.mean, row.ci95) == (final.mean, final.ci95)
        assert row.cost_per_million == pytest.approx(3.6 / 3600 / final.mean * 1e6)
    assert rows[0].verdict == "first" and rows[1].contrast is not None
    heading, fields = hardware.build_table(rows)
    assert "$/M" in [name for name, _ in heading] and {len(row) for row in fields} == {len(heading)}


def test_without_a_price_there_is_no_column_for_it() -> None:
    rows = compare_hardware(group_by_kind({"a": measured("one"), "b": measured("other")}), 0.03)
    assert hardware.build_table(rows)[0] == hardware.COLUMNS


def test_equal_machines_are_one_side_whose_means_are_averaged() -> None:
    states = {"a": measured("one"), "b": measured("one"), "c": measured("other")}
    sides = group_by_kind(states)
    assert [len(own) for own in sides.values()] == [2, 1]
    row = compare_hardware(sides, 0.03)[0]
    cells = [next(iter(state.cells.values())) for state in sides[row.machine]]
    means = [summarise_final(cell)["tokens_per_s"].mean for cell in cells]
    assert row.mean == fmean(mean for mean in means if mean is not None) and row.ci95 is not None


def test_a_cell_that_a_kind_lacks_is_named_and_one_that_all_lack_has_no_row() -> None:
    name = next(iter(measured("one").cells))
    first = compare_hardware({"a": [measured("one", without=name)], "b": [measured("two")]}, 0.03)
    lacking = [row for row in first if row.mean is None]
    assert [row.machine for row in lacking] == ["a"]
    three = {kind: [measured(kind, without=name)] for kind in ("a", "b")}
    rows = compare_hardware({**three, "c": [measured("c")]}, 0.03)
    assert [row.machine for row in rows].count("b") == len(first) // 2 - 1


def test_one_kind_alone_has_figures_and_no_ratio() -> None:
    rows = compare_hardware({"a": [measured("one")]}, 0.03)
    assert {row.verdict for row in rows} == {"first"} and all(row.mean for row in rows)


def test_a_fleet_has_a_page_with_a_plot_and_a_table() -> None:
    pytest.importorskip("matplotlib")
    evil = "</title><script>alert(1)</script>"
    states = {"a": measured("one", 2.0), evil: measured("two", 2.0)}
    body = render_fleet_page(states, "nightly").decode()
    assert body.count("<svg") == 1 and body.count("<table") == 1 and "$/M" in body
    assert "<script" not in body and evil not in body
    assert render_fleet_page(states, "nightly").decode() == body


def test_a_plot_has_no_more_cells_than_can_be_read() -> None:
    pytest.importorskip("matplotlib")
    row = compare_hardware({"a": [measured("one")]}, 0.03)[0]
    drawn = draw_speeds([replace(row, cell=f"cell {number}") for number in range(MAX_DRAWN + 9)])
    assert f"cell {MAX_DRAWN - 1}<" in drawn and f"cell {MAX_DRAWN}<" not in drawn
    assert draw_speeds([]) == ""
