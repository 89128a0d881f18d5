"""How a run is started from the home screen, and what the doctor found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from txtop.options.presets import PRESETS
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, cells, clean, cut, ends, fit, row_width

if TYPE_CHECKING:
    from txtop.ui.doctor_probe import Finding

MARKS = {"broken": ("▲", "warn"), "missing": ("·", "muted"), "ok": ("✓", "ok")}
NAME = 16
MORE = "txtop doctor says more "


def start(width: int, height: int, g: Glyphs) -> list[Row]:
    """The keys, then every preset with what it asks, as far as there is room."""
    keys = [
        _key("r", "the quick preset", "gpt2 fp32 and bf16: a minute"),
        _key("a", "a live A/B of two precisions", "which is faster, at what cost"),
        _key("b", "a preset, or your own matrix", "time and memory told before"),
    ]
    presets: list[Row] = [
        [
            (f"   {fit(name, NAME)}", "text"),
            (cut(preset.title, max(0, width - NAME - 3), g("…")), "muted"),
        ]
        for name, preset in PRESETS.items()
        if name != "quick"
    ]
    rows = [row for key in keys for row in (*key, [])][:-1]
    crowded = len(rows) + len(presets) > height
    return [*(row for row in rows if row or not crowded), *presets]


def key_at(line: int, width: int, height: int, g: Glyphs) -> str:
    """The key that line belongs to; empty below the last and between two."""
    rows = start(width, height, g)
    if not 0 <= line < len(rows) or not rows[line]:
        return ""
    keys = [row[0][0].strip() for row in rows[: line + 1] if row and row[0][1] == "accent-a.bold"]
    return keys[-1] if keys else ""


def _key(key: str, what: str, why: str) -> list[Row]:
    return [[(f"{key}  ", "accent-a.bold"), (what, "text.bold")], [(f"   {why}", "muted")]]


def findings(found: Sequence[Finding] | None, width: int, g: Glyphs) -> Row:
    """One line: what is broken or missing first, whole findings as far as there is room."""
    row: Row = [(" doctor", "muted")]
    if found is None:
        return [*row, (g("  …"), "muted")]
    for i, each in enumerate(found):
        sign, role = MARKS[each.state]
        text = clean(f"{each.what}: {each.detail}")
        room = width - row_width(row) - 5
        if i and cells(text) > room:
            break
        row += [(f"   {g(sign)} ", role), (cut(text, max(0, room), g("…")), _tone(each))]
    return ends(row, [(MORE, "muted")], width)


def _tone(each: Finding) -> str:
    return "text" if each.state == "broken" else "muted"
