"""The panel of a search for what fits: the bracket, its probes, and the place of both."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from support import fit_session, ui_events
from txtop.analysis.edge import BATCH
from txtop.analysis.metrics import FinalMetrics
from txtop.export.text.edge import format_edges
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.state.fold import fold_all
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import GlyphMode, Glyphs
from txtop.ui.drawing.spans import measure_row
from txtop.ui.models.layout import arrange_session
from txtop.ui.models.view import View, build_view
from txtop.ui.panels.edge import render_edges


def build(story: list[AnyEvent]) -> View:
    return build_view(fold_all(story))


def draw(view: View, width: int, height: int, mode: GlyphMode = "braille") -> list[str]:
    rows = render_edges(view, Area(width, height, Glyphs(mode)))
    assert len(rows) == height and {measure_row(row) for row in rows} == {width}
    return ["".join(text for text, _ in row).rstrip() for row in rows]


@pytest.fixture(scope="module")
def whole() -> View:
    return build(list(fit_session.search_whole()))


def test_both_sides_are_named_with_the_probes_around_them(whole: View) -> None:
    (edge,) = whole.edges
    assert (edge.low, edge.high, edge.found) == (55, 56, True)
    title, bracket, axis, *probes = draw(whole, 78, 10)
    assert "largest batch" in title and "128 + 32 tokens · 2,000 MiB asked for" in title
    assert bracket.startswith(" 55 runs, 56 does not") and "found in" in bracket
    assert axis.count("✓") == sum(probe.state == "ran" for probe in edge.probes)
    listed = next(line for line in probes if "batch 55" in line)
    assert "✓" in listed and "1.95 GiB" in listed and "forecast" in listed
    refused = next(line for line in probes if "batch 56" in line)
    assert "✗" in refused and "out of memory on the host" in refused


def test_both_sides_look_unlike_also_at_a_thousand_gib() -> None:
    search, most = fit_session.build_search(limit_mib=1024 * 1024), 1024 * 1024
    _, story = fit_session.begin(search)
    made: list[AnyEvent] = [ui_events.header(story.plan)]
    for steps, peak_mib in ((7, most // 2), (8, most - 60), (9, most + 60)):
        cell = BATCH.build_cell(search, steps, f"c{steps}")
        made += fit_session.run_probe(story, cell, peak_mib, peak_mib + 20)
    state = fold_all(made)
    lines = draw(build_view(state), 100, 9)
    matches = [re.search(r"(\S+) GiB  forecast (\S+) GiB", line) for line in lines]
    beyond, ran, other = (match.groups() for match in matches if match)
    assert (beyond, ran) == (("1,024.1", "1,024.1"), ("1,023.9", "1,024.0"))
    assert other == ("512", "512"), "who is at no side has three digits"
    assert len({line.index(" GiB  forecast") for line in lines if "  forecast" in line}) == 1
    _, low, high, _ = format_edges(state, FinalMetrics())
    assert "1,023.9 GiB" in low and "1,024.1 GiB" in high


def test_an_edge_that_moves_from_search_to_search_says_so() -> None:
    story = list(fit_session.search_whole())
    for event in story:
        if isinstance(event, events.ModelLoaded):
            event.device, event.resident_bytes = "cpu", 1000 * fit_session.MIB
    view = build(story)
    (edge,) = view.edges
    assert 0 < edge.spread < 10
    assert draw(view, 78, 9)[1].endswith(f"probes, ±{edge.spread} in another search")


def test_a_search_under_way_says_how_far_apart_its_sides_are() -> None:
    view = build(list(fit_session.search_whole(probes=3, running=True)))
    (edge,) = view.edges
    assert not edge.found
    assert view.left == "", "nobody knows how many probes are left"
    lines = draw(view, 78, 9)
    (at_work,) = (line for line in lines[3:] if "▸ batch" in line)
    assert re.search(r"\w+, about \d+ (s|min) in all$", at_work)
    if edge.low is not None and edge.high is not None:
        assert f"{edge.high - edge.low} apart" in lines[1]


def test_nobody_knows_how_long_the_first_probe_takes() -> None:
    lines = draw(build(list(fit_session.search_whole(probes=1, running=True))), 78, 9)
    assert any("▸ batch" in line for line in lines) and "in all" not in "\n".join(lines)


def test_the_big_number_is_that_of_the_largest_that_ran(whole: View) -> None:
    """A smaller batch may have the higher rate, and those that did not run are the panel's."""
    assert whole.results is not None
    assert (whole.results.word, whole.results.name) == ("largest batch that ran", "batch 55")
    assert not any("failed" in line.label for line in whole.results.lines)


@pytest.mark.parametrize(("width", "height"), [(78, 9), (116, 14)])
def test_both_edges_have_their_axis_memory_rate_and_spread(
    whole: View, width: int, height: int
) -> None:
    """The batch that was searched was one line beside a prompt that the model ended."""
    (edge,) = whole.edges
    batch = replace(edge, spread=13)
    other = replace(edge, title="longest prompt", fixed="batch 2", probes=edge.probes[:1])
    lines = draw(replace(whole, edges=(batch, other)), width, height)
    text = "\n".join(lines)
    assert "largest batch, 128 + 32 tokens: 55 runs, 56 does not" in text
    assert "longest prompt, batch 2: 55 runs, 56 does not" in text
    assert "±13 in another search" in text
    rate = next(probe.rate for probe in edge.probes if probe.value == 55)
    spare = f"{edge.peak} GiB of 2,000 MiB asked for, 0 % to spare"
    assert text.count(spare) == 2 and f"{spare}, {rate}" in text
    assert "what fits" in lines[0]


def test_probes_near_the_edge_stay_where_rows_are_short(whole: View) -> None:
    lines = draw(whole, 60, 5)
    assert "batch 55" in "".join(lines) and "batch 56" in "".join(lines)
    for width in range(1, 130, 7):
        for height in range(1, 20, 3):
            draw(whole, width, height)
    assert all(line.isascii() for line in draw(whole, 78, 12, "ascii"))


@pytest.mark.parametrize(("size", "hidden"), [((80, 24), "cells"), ((120, 40), "cells")])
def test_the_edge_stands_in_place_of_the_cells(size: tuple[int, int], hidden: str) -> None:
    places = arrange_session(*size, cells=8, edge=8).places
    assert "edge" in places and hidden not in places
    assert "cells" in arrange_session(*size, cells=8, edge=8, zoom="cells").places


def test_a_wide_terminal_has_the_cells_too() -> None:
    places = arrange_session(200, 60, cells=8, edge=8).places
    assert "edge" in places and "cells" in places and "tradeoffs" not in places
