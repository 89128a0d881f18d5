"""The A/B on the screen: words, the funnel, arms, what two arms write, and its keys."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from support.ab_sessions import START_NS, Script, script
from support.live_screen import Bench
from support.panels import MODES, G
from support.pilot import footer_keys, opened, session_screen, until
from support.screen_text import lines as text
from support.tiling import tiled
from txtop.formatting import format_estimate
from txtop.options import feasibility
from txtop.plan import labels
from txtop.plan.cell import Cell
from txtop.protocol import codec, events
from txtop.state.ab_wording import word_verdict
from txtop.state.cell import CellState
from txtop.state.fold import fold_all
from txtop.ui.drawing import glyphs
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, measure_row
from txtop.ui.models import layout
from txtop.ui.models.ab import ABView
from txtop.ui.models.ab_comparison import FunnelInterval
from txtop.ui.models.view import View, build_view
from txtop.ui.modes import ReplayMode
from txtop.ui.panels import compact, header, progress_rail
from txtop.ui.panels.ab_arm import render_ab_arm
from txtop.ui.panels.ab_divergence import render_ab_divergence
from txtop.ui.panels.ab_funnel import RatioAxis, compute_ratio_range, render_funnel
from txtop.ui.panels.ab_verdict import format_ab_ratio, render_ab_verdict
from txtop.ui.panels.cells import render_cells

HOSTILE = "\x1b[31m \u202e [/] [@click=app.quit]x"
TEXTS = {"texts": ("the common text", " one way", " another way"), "divergence": 7, "written": 128}


def viewed(made: Script, *, ended: bool = True) -> View:
    return build_view(fold_all(made.end() if ended else made.made))


def dueled(made: Script, *, ended: bool = True) -> ABView:
    ab_view = viewed(made, ended=ended).ab
    assert ab_view is not None
    return ab_view


def roles(row: Row) -> list[str]:
    """The role of each column."""
    return [role for part, role in row for _ in part]


@pytest.mark.parametrize(
    ("blocks", "ratio", "figure", "role", "word", "surely"),
    [
        (12, 1.5, "1.50x", "accent-b", "B is faster", "holds at every check"),
        (12, 0.5, "2.00x", "accent-a", "A is faster", "holds at every check"),
        (30, 1.0, "1.00x", "text", "same within ±2 %", "holds at every check"),
        (40, 1.01, "1.01x", "text", "same within ±2 %", "measurable: 1.0 %"),
        (4, 1.5, "1.50x", "muted", "inconclusive", "4 blocks"),
        (0, 1.0, "…", "muted", "no verdict", "no winner yet"),
    ],
)
def test_the_verdict_is_the_big_number(
    blocks: int, ratio: float, figure: str, role: str, word: str, surely: str
) -> None:
    ab_view = dueled(script().begin().blocks(blocks, ratio, 0.002 if ratio == 1.01 else 0.004))
    comparison = ab_view.comparison
    assert (format_ab_ratio(comparison), comparison.role, comparison.word) == (figure, role, word)
    assert comparison.surely == surely
    panel = text(render_ab_verdict(ab_view, Area(120, 13, G, boxed=True)))
    assert any(word in line for line in panel) and all(len(line) == 120 for line in panel)


def test_one_arm_is_at_work_and_the_other_waits_for_its_turn() -> None:
    view = viewed(script().begin().blocks(9, 1.5, 0.004), ended=False)
    assert [row.state for row in view.cells] == ["running", "running"]
    assert sorted(row.waits_turn for row in view.cells) == [False, True]
    drawn = text(render_cells(view.cells, None, Area(80, 12, G, boxed=True)))
    assert sum("▸" in line for line in drawn) == 1 and "2 taking turns" in drawn[0]
    over = viewed(script().begin().blocks(9, 1.5, 0.004))
    assert not any(row.waits_turn for row in over.cells)


COSTS = {
    "lossless-like": ({"kld": 0.0004, "top1": 2048}, "lossless-like ✓", "accent-b"),
    "minor": ({"kld": 0.004, "top1": 2030}, "at a minor cost in quality ≈", "accent-b"),
    "visible": ({"kld": 0.05, "top1": 1900}, "but its output differs VISIBLY ▲", "text"),
    "broken": ({"kld": 1.1, "top1": 875}, "but its output is BROKEN ✗", "text"),
}


@pytest.mark.parametrize("ratio", [1.5, 1.0, 0.5])
@pytest.mark.parametrize("badge", COSTS)
def test_the_verdict_carries_its_cost(badge: str, ratio: float) -> None:
    """A win that costs too much loses its colour; the cost of an arm that is slower is none."""
    facts, remark, role = COSTS[badge]
    made = script(weights="pretrained").fidelity(**facts).begin()
    ab_view = dueled(made.blocks(30, ratio, 0.004))
    wide = "\n".join(text(render_ab_verdict(ab_view, Area(120, 13, G, boxed=True))))
    above, sign = wide.split("fidelity")[0], remark.split()[-1]
    assert (sign in above) == (ratio >= 1)
    assert ratio != 1.5 or remark in above
    assert (" · top-1" in wide) == (ratio >= 1)
    huge = "\n".join(text(render_ab_verdict(ab_view, Area(200, 20, G, boxed=True))))
    assert ("(lossless ≤ 0.001) · top-1" in huge) == (ratio >= 1)
    assert "holds at every check" in wide
    if ratio == 1.5:
        assert ab_view.comparison.role == role
        small = text(render_ab_verdict(ab_view, Area(80, 9, G)))
        assert remark.split()[-1] in small[1] and "…" not in small[1]
        assert all(" block" in line or "block" not in line for line in small[1:])
    view = viewed(made)
    for mode in MODES:
        for width in (20, 30, 40, 60):
            for height in (2, 6, 12):
                area = Area(width, height, Glyphs(mode))
                drawn = compact.render_compact(view, (("q", "quit"),), area)
                assert len(drawn) == height


def test_random_weights_have_no_cost() -> None:
    comparison = dueled(script().fidelity(kld=1.1).begin().blocks(12, 1.5)).comparison
    assert comparison.role == "accent-b" and comparison.cost.figures == ()


def test_doubt_takes_the_colour_away_until_the_tenth_block() -> None:
    for blocks, role in ((9, "muted"), (10, "accent-b")):
        ab_view = dueled(script().begin().blocks(blocks, 1.5), ended=False)
        assert ab_view.comparison.role == role
        counted = [look.counts for look in ab_view.comparison.looks]
        assert counted == [False] * 8 + [True] * (blocks - 9)
    assert ab_view.comparison.rows[0][3] == "outside since block 10"


def test_a_bad_arm_claims_nothing() -> None:
    made = script(weights="pretrained").fidelity(invalid=2, kld=None, top1=None)
    ab_view = dueled(made.begin().blocks(12, 2.0))
    comparison = ab_view.comparison
    assert (format_ab_ratio(comparison), comparison.role, comparison.word) == (
        "—",
        "bad",
        "B INVALID",
    )
    assert comparison.looks == () and "2.0" not in " ".join(
        text(render_ab_verdict(ab_view, Area(80, 9, G)))
    )
    assert "2 NaN or Inf" in " ".join(text(render_ab_divergence(ab_view, Area(80, 3, G))))


def test_before_outputs_are_compared_nothing_says_that_they_were_not() -> None:
    made = script()
    waits = dueled(made, ended=False).comparison
    assert waits.difference.why == "comparing outputs…" and waits.rows[2][3] == "comparing"
    assert dueled(made).comparison.difference.why == "outputs were not compared"
    off = Script(msgspec.structs.replace(made.plan, fidelity_positions=0))
    assert dueled(off, ended=False).comparison.difference.why == "outputs were not compared"


def test_what_happens_before_the_first_block() -> None:
    made = script()
    at = events.FidelityProgress(t_ns=made.at_ns, cell="B", reference="A", done=37, total=100)
    made.made.append(at)
    assert dueled(made, ended=False).comparison.word == "comparing outputs 37 %"
    made.fidelity()
    made.made.append(events.CellStarted(t_ns=made.at_ns, cell="A", worker="w"))
    assert dueled(made, ended=False).comparison.word == "loading A"
    assert dueled(script().begin(), ended=False).comparison.word == "warming B"


@pytest.mark.parametrize(
    ("facts", "badge", "role"),
    [
        ({}, "≈ minor", "text"),
        ({"kld": 0.0, "top1": 2048}, "✓ lossless-like", "ok"),
        ({"kld": 0.05, "top1": 1800}, "▲ visible", "warn"),
        ({"kld": 1.1, "top1": 800}, "✗ broken", "bad"),
        ({"failed": "no room"}, "quality not checked", "muted"),
        ({"weights": "random"}, "not measurable: random weights", "muted"),
    ],
)
def test_no_verdict_stands_without_its_badge(
    facts: dict[str, object], badge: str, role: str
) -> None:
    made = script(weights="pretrained").fidelity(**facts).begin().blocks(12, 1.5)
    label, value, colour, remark = dueled(made).comparison.rows[2]
    assert (label, value, colour) == ("fidelity", badge, role)
    assert not facts.get("kld") or remark.startswith(f"KLD {facts['kld']}")
    for width, height, boxed in ((120, 13, True), (80, 9, False)):
        assert any(
            badge in line
            for line in text(render_ab_verdict(dueled(made), Area(width, height, G, boxed=boxed)))
        )


def look(block: int, low: float, high: float, *, counts: bool = True) -> FunnelInterval:
    return FunnelInterval(block, (low * high) ** 0.5, low, high, counts)


def test_the_funnel_shows_band_unity_and_where_they_are_crossed() -> None:
    looks = [look(9, 0.9, 1.2, counts=False), look(10, 0.99, 1.15), look(11, 1.05, 1.12)]
    rows = render_funnel(looks, 0.02, "accent-b", Area(80, 6, G), small=False)
    lines = text(rows)
    assert [line[:8] for line in lines[:3]] == ["block 9 ", "block 10", "block 11"]
    unity = lines[4].index("│")
    assert lines[3] == lines[4] and set(lines[4].strip()) == {"░", "│"}
    assert [line[unity] for line in lines[:3]] == ["┼", "┼", "│"]
    assert "├" in lines[0] and "┣" in lines[2] and "●" in lines[2] and "━" in lines[2]
    at = lines[2].index("●")
    assert roles(rows[0])[lines[0].index("├")] == "muted", "no verdict may be given yet"
    assert roles(rows[1])[lines[1].index("├")] == "plot", "it still reaches into the band"
    assert roles(rows[2])[at] == "accent-b.bold"
    assert lines[-1].startswith("B / A") and " 1.0" in lines[-1]
    low, high = compute_ratio_range(looks, 0.02)
    assert low <= 0.9 < 1.2 <= high and round(low * 20) == low * 20


def test_an_arm_that_comes_later_wins_no_start_before() -> None:
    knobs = ({"precision": "fp32"}, {"precision": "bf16"}, {"precision": "int8"})
    made = script(*knobs, starts=4).begin()
    made.block((30, None, 20), ends_start=True).block((30, 20, 25), ends_start=True)
    assert dueled(made).winners == ("C", "B")


@pytest.mark.parametrize(
    ("starts", "blocks", "count", "progress"),
    [
        (5, 3, 2, "start 2 of 5"),
        (5, 3, 4, "start 4 of 5"),
        (1, 12, 3, "block 3 of 12"),
        (8, None, 2, "start 2 of at least 4"),
        (1, None, 3, "block 3 of at least 10"),
    ],
)
def test_what_ends_after_a_number_says_that_number(
    starts: int, blocks: int | None, count: int, progress: str
) -> None:
    made = script(starts=starts, blocks=blocks).begin()
    for _ in range(count):
        made.blocks(1, 1.0) if starts == 1 else made.start(blocks or 3, 1.0)
    ab_view = dueled(made, ended=False)
    screen = [*render_ab_verdict(ab_view, Area(120, 13, G, boxed=True))]
    assert progress in "\n".join(text(screen))
    assert progress in "\n".join(text(header.render_header(viewed(made), 120, G)))
    ab_test = fold_all(made.made).ab_test
    assert ab_test is not None
    look = replace(ab_test.look("B"), interval=(0.9, 1.1))
    assert progress in word_verdict(ab_test, "B", look, None).claims[0]


def test_starts_have_their_name_wherever_blocks_have() -> None:
    made = script(starts=8).begin().start(3, 1.1).start(3, 0.9).start(3, 1.2).blocks(2, 1.1)
    ab_view = dueled(made, ended=False)
    assert (ab_view.block, ab_view.first_look, ab_view.winners) == (3, 4, ("B", "A", "B"))
    assert ab_view.comparison.rows[1] == ("starts", "B 2  A 1", "won", "at least 4")
    assert 0.2 <= ab_view.share < 0.3, "two of ten blocks"
    drawn = "\n".join(text(render_ab_verdict(ab_view, Area(120, 13, G, boxed=True))))
    assert "start 3 of at least 4" in drawn and "start 3 " in drawn and "block" not in drawn
    assert "start 3 of at least 4" in "\n".join(text(header.render_header(viewed(made), 120, G)))
    decided = dueled(
        script(starts=8).begin().start(3, 2.0).start(3, 2.0).start(3, 2.01).start(3, 2.0)
    )
    assert decided.comparison.rows[0][3] == "outside since start 4"
    assert decided.comparison.surely == "assumes normal noise"


@pytest.mark.parametrize(
    ("ratios", "starts", "blocks", "left"),
    [
        ((2.0, 2.01, 2.0), 8, None, 1),
        ((2.0, 2.01, 2.0), 20, None, 1),
        ((2.0, 2.01, 2.0), 8, 100, 5),
        ((2.0, 1.0, 0.5), 8, None, 5),
    ],
)
def test_the_time_left_is_that_of_the_starts_which_the_verdict_takes(
    ratios: tuple[float, ...], starts: int, blocks: int | None, left: int
) -> None:
    made = Script(msgspec.structs.replace(script(starts=starts).plan, iterations=blocks)).begin()
    for ratio in ratios:
        made.start(100, ratio)
    took_s = (made.at_ns - START_NS) / 1e9
    assert dueled(made, ended=False).left == format_estimate(left * took_s / 3)


def test_more_blocks_than_rows_keep_the_first_and_the_newest() -> None:
    looks = [look(n, 1.1 - 0.5 / n, 1.1 + 0.5 / n) for n in range(2, 60)]
    lines = text(render_funnel(looks, 0.02, "accent-b", Area(60, 8, G), small=True))
    assert [line.split()[1] for line in lines[:-1]] == ["2", "54", "55", "56", "57", "58", "59"]
    large = text(render_funnel(looks, 0.02, "accent-b", Area(60, 8, G), small=False))
    assert [line[:10] for line in large[:2]] == ["block 2 … ", "block 54  "]


def test_the_scale_only_grows_with_the_blocks() -> None:
    made = script().begin()
    before = (1.0, 1.0)
    for i in range(30):
        made.block((30, 30 / (1.2 + 0.05 * ((i * 7) % 5 - 2))))
        looks = dueled(made, ended=False).comparison.looks
        now = compute_ratio_range(looks, 0.02)
        assert now[0] <= before[0] and now[1] >= before[1]
        before = now


@pytest.mark.parametrize(("low", "high"), [(0.999, 1.001), (0.05, 0.2), (3.0, 80.0), (1e-9, 1e9)])
@pytest.mark.parametrize("width", [16, 36, 70, 140])
def test_a_funnel_of_any_scale_fits(low: float, high: float, width: int) -> None:
    rows = render_funnel([look(10, low, high)], 0.0001, "accent-b", Area(width, 5, G), small=True)
    assert all(measure_row(row) in (0, width) for row in rows)


def test_the_rail_has_the_colour_of_each_winner() -> None:
    made = script().begin().blocks(2, 1.5).blocks(1, 0.5)
    made.block((30, 30), kept=False, reasons=["throttled"])
    ab_view = dueled(made, ended=False)
    assert ab_view.winners == ("B", "B", "A", "")
    assert ab_view.comparison.rows[1] == ("blocks", "B 2  A 1", "won", "at least 10  1 discarded")
    (row,) = progress_rail.render_ab_rail(ab_view, 82, G)
    colours = [role for role, _ in itertools.groupby(roles(row)) if role not in ("text",)]
    assert colours == ["accent-b", "accent-b", "accent-a", "bad", *["border"] * 6]
    assert measure_row(row) == 82
    (row,) = progress_rail.render_ab_rail(dueled(script().begin().blocks(200, 1.5)), 40, G)
    assert measure_row(row) == 40 and set(roles(row)) == {"text", "accent-b"}


def test_three_arms_are_each_held_against_the_first() -> None:
    made = script({"precision": "fp32"}, {"precision": "bf16"}, {"precision": "int8"}).begin()
    for i in range(12):
        made.block((30, 20 + 0.1 * (i % 3), 40 + 0.1 * (i % 2)))
    ab_view = dueled(made)
    assert [c.word for c in ab_view.comparisons] == ["B is faster", "A is faster"]
    assert ab_view.winners == ("B",) * 12
    other = ab_view.choose(1)
    assert [side.letter for side in other.sides] == ["A", "C"]
    assert ab_view.choose(2).comparison == ab_view.comparison
    assert (
        "C against A, p for the next"
        in text(render_ab_verdict(other, Area(120, 13, G, boxed=True)))[0]
    )


def test_two_arms_have_one_scale_and_each_the_others_mean() -> None:
    ab_view = dueled(script().begin().blocks(12, 1.5), ended=False)
    left, right = (
        text(render_ab_arm(ab_view, side, Area(60, 17, G, boxed=True))) for side in (0, 1)
    )
    assert left[0].startswith("╭─ A  fp32 ") and right[0].startswith("╭─ B  bf16 ")
    assert "running" in (left[0] + right[0]) and "waits" in (left[0] + right[0])
    labels = [[line[-8:-2].strip() for line in side[4:11]] for side in (left, right)]
    assert labels[0][0] == labels[1][0], "the same highest value"
    assert "B" in labels[0] and "A" in labels[1]
    assert any("p90 after 64" in line for line in left)
    assert any("peak mem" in line or "weights" in line for line in left)


@pytest.mark.parametrize("width", [28, 34, 39, 40, 59])
@pytest.mark.parametrize("half", ["±12.5 %", ""])
@pytest.mark.parametrize("side", [0, 1])
def test_an_arm_in_doubt_has_the_mark_or_the_reason(width: int, half: str, side: int) -> None:
    ab_view = dueled(script().begin().blocks(12, 1.5))
    why = "drifts −25.7 %: no interval"
    arms = tuple(
        replace(
            arm,
            hero=replace(
                arm.hero, mark="○", word="done", role="text", half=half,
                why="only 5 samples" if half else why,
            ),
        )
        for arm in ab_view.arms
    )  # fmt: skip
    row = text(render_ab_arm(replace(ab_view, arms=arms), side, Area(width, 9, G)))[1]
    assert "○" in row or "no interval" in row
    if width == 59:
        assert ("only 5 samples" if half else why) in row and "○ done" in row
    elif width == 39 and not half:
        assert "○ drifts −25.7 %" in row


def test_an_arm_that_is_done_waits_for_nothing() -> None:
    ab_view = dueled(script().begin().blocks(12, 1.5))
    tops = [text(render_ab_arm(ab_view, side, Area(60, 17, G, boxed=True)))[0] for side in (0, 1)]
    assert not any("waits" in top for top in tops)
    # What took turns is no warm-up: the ratio is made of the same calls.
    assert [re.findall(r" (n \d+) ", top) for top in tops] == [["n 24"], ["n 24"]]


def test_what_two_arms_write_is_shown_from_where_it_differs() -> None:
    ab_view = dueled(script(weights="pretrained").fidelity(**TEXTS, perplexity_ratio=1.01).begin())
    lines = text(render_ab_divergence(ab_view, Area(120, 7, G, boxed=True)))
    assert "token 8 of 128" in lines[0] and "the common text" in lines[1]
    assert "one way" in lines[2] and lines[2].startswith("│ A") and "another way" in lines[3]
    assert "KLD 0.004" in lines[5] and "top-1 agrees 99.1 %" in lines[5] and "1.010x" in lines[5]
    small = text(render_ab_divergence(ab_view, Area(80, 3, G)))
    assert small[1].startswith(" A ") and "one way" in small[1] and "another" in small[2]
    # The arm that stands first need not be the reference.
    swapped = script({"precision": "bf16"}, {"precision": "fp32"}, weights="pretrained")
    ab_view = dueled(swapped.fidelity(cell="A", reference="B", **TEXTS).begin())
    lines = text(render_ab_divergence(ab_view, Area(120, 7, G, boxed=True)))
    assert "another way" in lines[2] and "one way" in lines[3]


def test_without_meaning_there_is_no_text() -> None:
    ab_view = dueled(script().fidelity(weights="random", **TEXTS).begin())
    lines = text(render_ab_divergence(ab_view, Area(120, 7, G, boxed=True)))
    assert "random weights: no text to compare" in lines[1] and "one way" not in "".join(lines)
    same = dueled(script(weights="pretrained").fidelity(**{**TEXTS, "divergence": None}).begin())
    assert "both write the same" in "".join(text(render_ab_divergence(same, Area(80, 3, G))))
    cosines = script(weights="pretrained", family="encoder").fidelity(
        kld=None, top1=None, cosine_tokens=0.99991, cosine_pooled=0.99995
    )
    assert "0.99991" in "".join(text(render_ab_divergence(dueled(cosines.begin()), Area(80, 3, G))))


def test_foreign_text_is_inert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feasibility, "explain_absent", lambda cell: None)
    texts = {**TEXTS, "texts": (HOSTILE, HOSTILE, HOSTILE)}
    made = script({"model": HOSTILE}, {"model": HOSTILE + "2"}, weights="pretrained")
    ab_view = dueled(made.fidelity(**texts, failed="").begin().blocks(12, 1.5))
    for rows in (
        render_ab_verdict(ab_view, Area(120, 13, G, boxed=True)),
        render_ab_arm(ab_view, 0, Area(60, 17, G, boxed=True)),
        render_ab_divergence(ab_view, Area(120, 7, G, boxed=True)),
        header.render_header(View(ab=ab_view), 120, G),
    ):
        assert not any(mark in line for line in text(rows) for mark in ("\x1b", "\u202e"))


@pytest.mark.parametrize("side", [0, 1])
def test_a_lane_without_a_title_has_its_unit_at_its_scale(side: int) -> None:
    ab_view = dueled(script().begin().blocks(12, 1.5))
    flat = text(render_ab_arm(ab_view, side, Area(40, 9, G)))
    assert [line for line in flat[2:] if line.rstrip().endswith(" tok/s")]
    assert not any(line.rstrip().endswith("…") for line in flat[2:])
    boxed = text(render_ab_arm(ab_view, side, Area(60, 17, G, boxed=True)))
    assert "tok/s of each iteration" in boxed[3]
    assert not [line for line in boxed[4:] if "tok/s" in line]


def test_everything_can_be_said_in_ascii() -> None:
    g = Glyphs("ascii")
    ab_view = dueled(script(weights="pretrained").fidelity(**TEXTS).begin().blocks(12, 1.5))
    glyphs.set_glyphs("ascii")
    try:
        for rows in (
            render_ab_verdict(ab_view, Area(80, 9, g)),
            render_ab_arm(ab_view, 1, Area(40, 9, g)),
            render_ab_divergence(ab_view, Area(80, 3, g)),
            progress_rail.render_ab_rail(ab_view, 80, g),
        ):
            assert all(line.isascii() for line in text(rows))
    finally:
        glyphs.set_glyphs("braille")
    assert "1.50x" in "".join(text(render_ab_verdict(ab_view, Area(80, 9, g))))


@pytest.mark.parametrize("size", [(80, 24), (100, 32), (120, 40), (160, 45), (200, 60), (60, 16)])
@pytest.mark.parametrize("replay", [False, True])
def test_panels_cover_the_screen_and_never_each_other(size: tuple[int, int], replay: bool) -> None:
    plan = layout.arrange_ab(*size, replay=replay)
    assert tiled(plan, size)
    assert "verdict" in plan.places


def test_the_grid_of_the_look() -> None:
    places = layout.arrange_ab(120, 40).places
    assert (places["verdict"].y, places["verdict"].height) == (2, 13)
    assert (places["arm-a"].y, places["arm-a"].height, places["arm-b"].x) == (15, 17, 60)
    assert places["difference"].height == 7
    places = layout.arrange_ab(80, 24).places
    assert [places[n].height for n in ("verdict", "arm-a", "difference")] == [9, 9, 3]
    assert set(layout.arrange_ab(40, 10).places) == {"card"}


@pytest.mark.parametrize("size", [(1, 1), (20, 3), (30, 8), (50, 14)])
def test_a_card_says_the_verdict(size: tuple[int, int]) -> None:
    view = viewed(script().begin().blocks(12, 1.5))
    rows = compact.render_compact(view, (("q", "quit"),), Area(*size, G))
    assert len(rows) == size[1] and all(measure_row(row) == size[0] for row in rows)
    if size[0] > 1:
        assert "B is faster" in " ".join(text(rows))


def test_a_high_card_has_the_arms_too() -> None:
    """As in a browser on a telephone, which is narrow and high."""
    view = viewed(script().begin().blocks(12, 1.5))
    lines = text(compact.render_compact(view, (("q", "quit"),), Area(50, 45, G)))
    assert [line.split()[1:3] for line in lines if line.startswith("─ ")] == [
        ["A", "fp32"], ["B", "bf16"],
    ]  # fmt: skip
    assert sum("TTFT" in line for line in lines) == 2
    low = text(compact.render_compact(view, (("q", "quit"),), Area(50, 15, G)))
    assert not any("TTFT" in line for line in low)


def test_arms_go_by_what_differs() -> None:
    a, b = Cell(id="A", model="gpt2"), Cell(id="B", model="gpt2", precision="bf16", threads=2)
    assert labels.label_arms((a, b)) == (
        ("fp32 usual threads", "bf16 2 threads"),
        ("sdpa", "batch 1"),
    )
    assert labels.label_arms((a, a))[0] == ("fp32", "fp32")
    other = Cell(id="B", model="./x/other", batch_size=8)
    assert labels.label_arms((a, other))[0] == ("gpt2 batch 1", "other batch 8")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_what_differs_between_arms_survives_a_cut(size: tuple[int, int]) -> None:
    kernels = ("torch", "torch_fused")
    precisions = [f"gptq:int4-g64/{kernel}" for kernel in kernels]
    asked = [
        json.dumps({"quant_method": "gptq", "backend": f"gptq_{kernel}"}) for kernel in kernels
    ]
    cells = [
        Cell(id=arm, model="m", precision=precision, quantization=quantization)
        for arm, precision, quantization in zip("AB", precisions, asked, strict=True)
    ]
    names, shared = labels.label_arms(cells)
    assert names == tuple(precisions), "what a precision says already is not said again"
    assert shared == ("sdpa", "batch 1")
    plain = viewed(script().begin().blocks(12, 1.5))
    assert plain.ab is not None
    arms = tuple(
        replace(arm, name=name, short_name=short)
        for arm, name, short in zip(
            plain.ab.arms, names, labels.shorten_arm_labels(names), strict=True
        )
    )
    view = replace(plain, ab=replace(plain.ab, arms=arms))
    assert view.ab is not None
    for side, kernel in enumerate(("torch ", "torch_fused ")):
        area = Area(size[0] // 2, 12, G, boxed=size[0] > 100)
        panel = text(render_ab_arm(view.ab, side, area))
        assert kernel in panel[0] and "decided" in panel[0], panel[0]
    top = text(header.render_header(view, size[0], G))[0]
    assert "torch " in top and "torch_fused" in top


@pytest.mark.parametrize(
    ("arms", "short"),
    [
        (("gptq torch", "gptq gemm"), ("…torch", "…gemm")),
        (
            ("M-135M-Instruct batch 1", "M-135M-GPTQ batch 8"),
            ("…Instruct batch 1", "…GPTQ batch 8"),
        ),
        (("int8:torch", "int8:weight", "int8"), ("int8:torch", "int8:weight", "int8")),
        (("fp32", "fp32"), ("fp32", "fp32")),
        (("fp32", "fp16"), ("fp32", "fp16")),
        (("a b", "a "), ("a b", "a ")),
    ],
)
def test_short_labels_of_arms_have_what_differs(
    arms: tuple[str, ...], short: tuple[str, ...]
) -> None:
    assert labels.shorten_arm_labels(arms) == short


async def test_a_screen_becomes_an_ab_when_its_view_is_one() -> None:
    app = Bench(keys=())
    async with app.run_test(size=(120, 40)) as pilot:
        app.live.show(View())
        await pilot.pause()
        assert app.live.query_one("#hero").region.area > 0
        app.live.show(viewed(script().begin().blocks(12, 1.5), ended=False))
        await pilot.pause()
        assert not app.live.query_one("#hero").is_on_screen
        assert app.live.query_one("#verdict").region.height == 13
        app.live.panel(1)
        await pilot.pause()
        assert app.live.query_one("#cells").region.height == 37
        app.live.panel(2)
        await pilot.pause()
        assert app.live.query_one("#verdict").region.height == 13


def recorded(folder: Path, made: Script) -> Path:
    folder.mkdir()
    lines = b""
    for number, event in enumerate(made.end(), start=1):
        event.seq = number
        lines += codec.encode_event(event)
    (folder / "events.jsonl").write_bytes(lines)
    return folder


async def test_keys_of_a_replayed_ab(tmp_path: Path) -> None:
    made = script({"precision": "fp32"}, {"precision": "bf16"}, {"precision": "int8"}).begin()
    for i in range(12):
        made.block((30, 20 + 0.1 * (i % 3), 40 + 0.1 * (i % 2)))
    show = ReplayMode(recorded(tmp_path / "ab", made))
    async with opened(show, (120, 40)) as (app, pilot):
        await until(pilot, lambda: show.arms == 3)
        await pilot.press("end")
        await until(pilot, lambda: session_screen(app).view.ab.block == 12)
        assert session_screen(app).view.ab.comparison.letter == "B"
        await pilot.press("p")
        assert session_screen(app).view.ab.comparison.letter == "C"
        await pilot.press("p")
        assert session_screen(app).view.ab.comparison.letter == "B"
        for key, name in (("1", "cells"), ("4", "machine"), ("5", "log")):
            await pilot.press(key)
            await until(pilot, lambda: session_screen(app).query_one(f"#{name}").region.height > 30)  # noqa: B023
            await pilot.press("escape")
            await until(
                pilot, lambda: session_screen(app).query_one("#verdict").region.height == 13
            )
        assert ("1 2 3 4 5 6", "panels") in footer_keys(app) and ("p", "next pair") in footer_keys(
            app
        )


def test_arms_do_not_count_a_cell_that_never_began() -> None:
    ab_view = dueled(script(), ended=False)
    assert ab_view.arms[0].mean is None and isinstance(ab_view.arms[0].hero.title, str)
    assert CellState(Cell(id="A", model="m")).samples.kept() == []


def test_what_lies_beyond_the_axis_is_an_arrow_there() -> None:
    """An interval that ended at the axis would look like a decent one."""
    axis = RatioAxis(0.5, 1.25, 40, 0.02)
    for low, ratio, high in ((0.012, 0.56, 26.8), (0.6, 0.7, 1.3), (0.3, 0.6, 0.7), (0.09,) * 3):
        row = axis.interval(FunnelInterval(4, ratio, low, high, counts=True), "a", False, G)
        drawn = "".join(part for part, _ in row)
        assert (drawn[0] == "◂", drawn[-1] == "▸") == (low < 0.5, high > 1.25), drawn
        assert ("•" in drawn) == (ratio >= 0.5)
