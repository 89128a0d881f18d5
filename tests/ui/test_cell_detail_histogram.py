"""The histogram of a cell's gaps."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cell_details import of, plan, recorded, story
from support.panels import G
from support.screen_text import lines as text
from txtop.ui.drawing.area import Area
from txtop.ui.models.cell_detail.histogram import Bin, compute_bins, find_bin
from txtop.ui.panels.cell_detail import histogram

# The spread


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=200), st.integers(1, 30))
def test_a_histogram_holds_every_value_once(values: list[float], most: int) -> None:
    values.sort()
    rows = compute_bins(values, most)
    assert sum(row.count for row in rows) == len(values) and len(rows) <= most
    for row in rows:
        low, high = -1.0 if row.low is None else row.low, row.high or 1e99
        near = 1e-6 * (rows[0].high or 1.0) / len(rows)
        surely = sum(low + near <= v < high - near for v in values)
        assert surely <= row.count <= sum(low - near <= v < high + near for v in values)
    assert 0 <= find_bin(values[-1], rows) < len(rows)


def test_counts_of_the_drawn_histogram_add_up_to_the_gaps() -> None:
    spread = of(recorded("gpt2-precisions"), "c001").histogram
    rows = text(histogram.render_histogram(spread, Area(64, 10, G)))
    bars = str.maketrans("", "", "━·")
    counts = [row[9:].split("◂")[0].translate(bars).strip() for row in rows]
    assert sum(int(count or 0) for count in counts) == len(spread.values) == 15 * spread.n


def test_a_far_tail_does_not_flatten_the_rest() -> None:
    values = sorted([40.0 + i % 7 for i in range(200)] + [900.0])
    rows = compute_bins(values, 10)
    assert rows[-1].high is None and rows[-1].count == 1
    assert sum(row.count > 0 for row in rows) >= 7


def test_ranges_are_said_as_far_as_they_differ() -> None:
    for width in (0.001, 0.02, 0.25, 1.0, 2.5, 50.0):
        rows = [Bin(i * width, (i + 1) * width, 1) for i in range(4)]
        starts = [histogram.format_bin_start(row, histogram.count_decimals(rows)) for row in rows]
        assert [float(start) for start in starts] == pytest.approx([i * width for i in range(4)])


def test_percentiles_are_marked_in_their_row_or_say_what_they_need() -> None:
    spread = of(story(plan(iterations=80))).histogram
    rows = text(histogram.render_histogram(spread, Area(64, 12, G)))
    marked = [row for row in rows if "p50" in row]
    (p50, p90, p99) = (mark.value for mark in spread.marks)
    assert len(marked) == 1 and p50 is not None and p90 is not None and p99 is None
    assert float(marked[0].split()[0]) <= p50
    assert text([histogram.render_needed_samples(spread)]) == ["p99 after 662 (80 so far)"]


def test_why_there_is_no_histogram() -> None:
    assert of(story(plan(new_tokens=1))).histogram.why == "one new token has no gap"
    assert of(story(plan(), until=0)).histogram.why == "nothing measured yet"
    encoder = of(recorded("bert-lengths"), "c001").histogram
    assert encoder.title == "forward time" and encoder.why == ""
