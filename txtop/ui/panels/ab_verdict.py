"""The verdict of an A/B: one big ratio, how sure it is, what it costs, and its funnel."""

from __future__ import annotations

from txtop import formatting
from txtop.ui.drawing import big_digits, glyphs
from txtop.ui.drawing.frame import compute_inner_size, draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, crop, cut, fit, measure_text
from txtop.ui.models.ab import ABView
from txtop.ui.models.ab_comparison import ABComparisonView
from txtop.ui.panels.ab_funnel import render_funnel
from txtop.ui.panels.base import FramedPanel

LEFT_WIDTH, SMALL_LEFT_WIDTH = 50, 44
FACTS_AT = 21
LABEL_WIDTH = 11
LETTER_ROLES = {"A": "accent-a", "B": "accent-b"}


def render_ab_verdict(
    shown: ABView, width: int, height: int, g: Glyphs, *, boxed: bool, focused: bool = False
) -> list[Row]:
    """The panel with its frame."""
    across, down = compute_inner_size(width, height, boxed)
    doubled = boxed and down >= 16 and across > 150
    left = (2 * LEFT_WIDTH if doubled else LEFT_WIDTH) if boxed else SMALL_LEFT_WIDTH
    left = min(left, across)
    said = _render_ratio(shown.comparison, left, g, doubled=doubled, airy=boxed)
    room = across - left
    drawn = render_funnel(
        shown.comparison.looks,
        shown.margin,
        shown.comparison.role if shown.comparison.role.startswith("accent") else "text",
        room,
        down - (1 if boxed else 0),
        g,
        small=not boxed,
    )
    drawn = [[], *drawn] if boxed else drawn
    body = [
        [*crop(said[y] if y < len(said) else [], left), *(drawn[y] if y < len(drawn) else [])]
        for y in range(down)
    ]
    return draw_frame(
        "verdict", _render_subtitle(shown), body, width, height, g, boxed=boxed, focused=focused
    )


def _render_subtitle(shown: ABView) -> Row:
    said = f"block {shown.block}"
    if shown.block < shown.first_look:
        said += f" of at least {shown.first_look}"
    others = len(shown.comparisons) - 1
    more = f"{shown.comparison.letter} against A, a for the next · " if others else ""
    return [(f"{more}{said}", "muted")]


def format_ab_ratio(comparison: ABComparisonView) -> str:
    """`1.47x`; `12.2x`; `—` where nothing may be said, `…` while nothing can."""
    if comparison.value is None:
        return formatting.MISSING if comparison.role == "bad" else formatting.PENDING
    return formatting.format_number(comparison.value) + "x"


def _render_ratio(
    comparison: ABComparisonView, width: int, g: Glyphs, *, doubled: bool, airy: bool
) -> list[Row]:
    """Digits with their words beside, then the rows."""
    text = format_ab_ratio(comparison)
    drawn = big_digits.draw_digits(text, g, doubled)
    field = FACTS_AT * (2 if doubled else 1)
    role = f"{comparison.role}.bold" if g.mode == "ascii" else comparison.role
    room = max(0, width - field - 1)
    facts: list[Row] = [
        [(cut(clean(g(comparison.word)), room, g("…")), comparison.word_role)],
        _render_interval(comparison.interval, room, g),
        [(cut(clean(g(comparison.surely)), room, g("…")), "muted")],
    ]
    places = {i * 2 + 1 if doubled else i: fact for i, fact in enumerate(facts)}
    rows: list[Row] = [
        [(" ", "text"), (fit(line, field), role), *places.get(y, [])]
        for y, line in enumerate(drawn)
    ]
    lines = list(comparison.rows if airy else comparison.rows[:3])
    body = [_render_row(line, width, g) for line in lines]
    return [*([[]] if airy else []), *rows, [], *body]


def _render_interval(text: str, room: int, g: Glyphs) -> Row:
    """The interval in bold, what it is good for muted."""
    ends, mark, rest = text.partition("  ")
    if not mark:
        return [(cut(clean(g(text)), room, g("…")), "text")]
    return [(ends, "text.bold"), (f"  {rest}", "muted")]


def _render_row(line: tuple[str, str, str, str], width: int, g: Glyphs) -> Row:
    label, value, role, remark = line
    row: Row = [(" ", "text"), (fit(label, LABEL_WIDTH), "muted")]
    if role == "won":
        row += _render_wins(value)
    else:
        row.append((g(value), f"{role}.bold" if role in ("ok", "warn", "bad") else role))
    used = 1 + LABEL_WIDTH + measure_text(clean(g(value)))
    if remark and used + 3 < width:
        row.append((f"   {cut(clean(g(remark)), width - used - 3, g('…'))}", "muted"))
    return row


def _render_wins(value: str) -> Row:
    """`B 6  A 1`, each in its colour."""
    row: Row = []
    for part in value.split("  "):
        letter = part.split()[0]
        row += [(part, f"{LETTER_ROLES.get(letter, 'accent-b')}.bold"), ("  ", "text")]
    return row[:-1]


class ABVerdictPanel(FramedPanel):
    """The big number of an A/B."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.shown.duel is None:
            return []
        return render_ab_verdict(
            self.shown.duel, width, height, glyphs.get_glyphs(), boxed=self.boxed
        )
