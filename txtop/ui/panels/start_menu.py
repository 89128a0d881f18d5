"""How a run is started from the home screen, and what the doctor found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from txtop.options.presets import PRESETS
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, cut, fit, join_ends, measure_row, measure_text

if TYPE_CHECKING:
    from txtop.ui.doctor_probe import Finding

MARKS = {"broken": ("▲", "warn"), "missing": ("·", "muted"), "ok": ("✓", "ok")}
NAME_WIDTH = 16
MORE_HINT = "more: txtop doctor "
QUICK_HINTS = ("gpt2, fp32 vs bf16, about 1 minute", "gpt2, fp32 vs bf16, 1 minute")
AB_HINTS = ("which is faster, and what it costs in quality", "which is faster, at what cost")


def render_start_menu(width: int, height: int, g: Glyphs) -> list[Row]:
    """The keys, then every preset with what it asks, as far as there is room."""
    keys = [
        _render_key(width, "r", "the quick preset", QUICK_HINTS),
        _render_key(width, "a", "a live A/B of two precisions", AB_HINTS),
        _render_key(width, "b", "a preset, or your own matrix", ("shows time and memory first",)),
    ]
    presets: list[Row] = [
        [
            (f"   {fit(name, NAME_WIDTH)}", "text"),
            (cut(preset.title, max(0, width - NAME_WIDTH - 3), g("…")), "muted"),
        ]
        for name, preset in PRESETS.items()
        if name != "quick"
    ]
    rows = [row for key in keys for row in (*key, [])][:-1]
    crowded = len(rows) + len(presets) > height
    return [*(row for row in rows if row or not crowded), *presets]


def find_start_key(line: int, width: int, height: int, g: Glyphs) -> str:
    """The key that line belongs to; empty below the last and between two."""
    rows = render_start_menu(width, height, g)
    if not 0 <= line < len(rows) or not rows[line]:
        return ""
    keys = [row[0][0].strip() for row in rows[: line + 1] if row and row[0][1] == "accent-a.bold"]
    return keys[-1] if keys else ""


def _render_key(width: int, key: str, what: str, hints: tuple[str, ...]) -> list[Row]:
    """Render a key and the longest of its hints that fits; `hints` has the longest first."""
    hint = next((hint for hint in hints if measure_text(hint) + 3 <= width), hints[-1])
    return [[(f"{key}  ", "accent-a.bold"), (what, "text.bold")], [(f"   {hint}", "muted")]]


def render_findings(found: Sequence[Finding] | None, width: int, g: Glyphs) -> Row:
    """One line: what is broken or missing first, whole findings as far as there is room."""
    row: Row = [(" doctor", "muted")]
    if found is None:
        return [*row, (g("  …"), "muted")]
    for i, each in enumerate(found):
        sign, role = MARKS[each.state]
        text = clean(f"{each.what}: {each.detail}")
        room = width - measure_row(row) - 5
        if i and measure_text(text) > room:
            break
        row += [
            (f"   {g(sign)} ", role),
            (cut(text, max(0, room), g("…")), _choose_finding_role(each)),
        ]
    return join_ends(row, [(MORE_HINT, "muted")], width)


def _choose_finding_role(each: Finding) -> str:
    return "text" if each.state == "broken" else "muted"
