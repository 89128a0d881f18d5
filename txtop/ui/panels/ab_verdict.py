"""The verdict of an A/B: the ratio in big digits, its certainty, its cost, and its funnel."""

from __future__ import annotations

from txtop import formatting
from txtop.ui.drawing import big_digits
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, choose_form, clean, cut, fit, join_blocks, measure_text
from txtop.ui.models.ab import ABView
from txtop.ui.models.ab_comparison import ABComparisonView
from txtop.ui.panels.ab_funnel import render_funnel
from txtop.ui.panels.base import ARM_ROLES, FramedPanel

LEFT_WIDTH, SMALL_LEFT_WIDTH = 51, 45
FACTS_AT = 21
LABEL_WIDTH = 11


def render_ab_verdict(view: ABView, area: Area) -> list[Row]:
    """Render the panel with its frame."""
    g = area.glyphs
    inside = area.inside
    doubled = area.boxed and inside.height >= 16 and inside.width > 150
    left = (2 * LEFT_WIDTH if doubled else LEFT_WIDTH) if area.boxed else SMALL_LEFT_WIDTH
    left = min(left, inside.width)
    ratio = _render_ratio(view.comparison, Area(left, inside.height, g), doubled, airy=area.boxed)
    room = inside.width - left
    drawn = render_funnel(
        view.comparison.looks,
        view.margin,
        view.comparison.role if view.comparison.role.startswith("accent") else "text",
        Area(room, inside.height - (1 if area.boxed else 0), g),
        small=not area.boxed,
        unit=view.unit,
    )
    drawn = [[], *drawn] if area.boxed else drawn
    body = join_blocks(ratio, drawn, left)
    return draw_frame("verdict", _render_subtitle(view, g, trusted=area.boxed), body, area)


def _render_subtitle(view: ABView, g: Glyphs, *, trusted: bool) -> Row:
    """Render what is compared and the block; `trusted` if the trust has a row of its own."""
    progress = f"{view.unit} {view.block}{view.goal}"
    others = len(view.comparisons) - 1
    more = f"{view.comparison.letter} against A, p for the next · " if others else ""
    comparison = view.comparison
    trust = f"{comparison.surely} · " if comparison.cost.figures and not trusted else ""
    return [(g(f"{more}{trust}{progress}"), "muted")]


def format_ab_ratio(comparison: ABComparisonView) -> str:
    """Format the ratio: `1.47x`, `12.2x`; `—` if none can be given, `…` while it is pending."""
    if comparison.value is None:
        return formatting.MISSING if comparison.role == "bad" else formatting.PENDING
    return formatting.format_number(comparison.value) + "x"


def _render_ratio(
    comparison: ABComparisonView, area: Area, doubled: bool, *, airy: bool
) -> list[Row]:
    """Render the digits, then the rows. The verdict stands beside the digits, or above them where
    that is `airy` and they are small."""
    width, g = area.width, area.glyphs
    text = format_ab_ratio(comparison)
    drawn = big_digits.draw_digits(text, g, doubled)
    field = FACTS_AT * (2 if doubled else 1)
    role = f"{comparison.role}.bold" if g.mode == "ascii" else comparison.role
    room = max(0, width - field - 2)
    figures = _render_figures(comparison, room, g)
    facts = list(figures) if airy else render_facts(comparison, room, g)
    if airy and not comparison.interval:
        # What stands alone stands beside the middle of the digits.
        facts = [[], *facts[1:2]]
    if doubled:
        facts = [[], _render_headline(comparison, room, g), *figures]
    places = dict(enumerate(facts))
    rows: list[Row] = [
        [(" ", "text"), (fit(line, field), role), *places.get(y, [])]
        for y, line in enumerate(drawn)
    ]
    lines = list(comparison.rows if airy else comparison.rows[:3])
    body = [_render_row(line, width, g) for line in lines]
    if doubled:
        return [[], *rows, [], *body]
    if airy:
        rows.insert(0, [(" ", "text"), *_render_headline(comparison, width - 2, g)])
    gap: list[Row] = [[]] if airy and len(rows) + 1 + len(body) < area.height else []
    return [*gap, *rows, [], *body]


def render_facts(comparison: ABComparisonView, room: int, g: Glyphs) -> list[Row]:
    """Render three rows: the verdict with its cost, the interval, and the figures of the cost.

    Without a cost the last row says how far to trust the interval; without one it comes second.
    """
    interval, trust, figures = _render_figures(comparison, room, g)
    headline = _render_headline(comparison, room, g)
    if not comparison.interval:
        return [headline, figures or trust, []]
    return [headline, interval, figures or trust]


def _render_headline(comparison: ABComparisonView, room: int, g: Glyphs) -> Row:
    cost = comparison.cost
    word = cut(clean(g(comparison.word)), room, g("…"))
    row: Row = [(word, comparison.word_role)]
    remark = choose_form((*cost.remarks, ""), room - measure_text(word) - 2, g)
    if remark:
        row += [(", " if remark[0].isalpha() else " ", comparison.word_role), (remark, cost.role)]
    return row


def _render_figures(comparison: ABComparisonView, room: int, g: Glyphs) -> tuple[Row, Row, Row]:
    """Render the interval, how far to trust it, and the figures of the cost, empty without one."""
    figures = choose_form((*comparison.cost.figures, ""), room, g)
    trust = cut(clean(g(comparison.surely)), room, g("…"))
    return (
        _render_interval(comparison.interval, room, g),
        [(trust, "muted")],
        [(figures, "text")] if figures else [],
    )


def _render_interval(text: str, room: int, g: Glyphs) -> Row:
    """Render the interval in bold and its confidence muted."""
    ends, mark, rest = text.partition("  ")
    if not mark:
        return [(cut(clean(g(text)), room, g("…")), "text")]
    return [(ends, "text.bold"), (f"  {rest}", "muted")]


def _render_row(line: tuple[str, str, str, str], width: int, g: Glyphs) -> Row:
    label, value, role, remark = line
    row: Row = [(" ", "text"), (fit(g(label), LABEL_WIDTH), "muted")]
    if role == "won":
        row += _render_wins(value)
    else:
        row.append((g(value), f"{role}.bold" if role in ("ok", "warn", "bad") else role))
    used = 1 + LABEL_WIDTH + measure_text(clean(g(value)))
    # A column stays free before what stands beside.
    room = width - used - 4
    if remark and room > 0:
        # The name of a task is worth more than half the number of its items.
        text = choose_form((remark, remark.partition(", ")[0]), room, g)
        row.append((f"   {text}", "muted"))
    return row


def _render_wins(value: str) -> Row:
    """Render `B 6  A 1`, each part in its arm's colour."""
    row: Row = []
    for part in value.split("  "):
        role = ARM_ROLES[0 if part.split()[0] == "A" else 1]
        row += [(part, f"{role}.bold"), ("  ", "text")]
    return row[:-1]


class ABVerdictPanel(FramedPanel):
    """The verdict of an A/B, in big digits."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.view.ab is None:
            return []
        return render_ab_verdict(self.view.ab, self.area(width, height))
