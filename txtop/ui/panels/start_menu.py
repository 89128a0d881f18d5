"""The start menu of the home screen, and the findings of the doctor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import (
    MIN_ENDS_GAP,
    Row,
    clean,
    cut,
    cut_parts,
    fit,
    join_ends,
    measure_row,
    measure_text,
    wrap,
)

if TYPE_CHECKING:
    from txtop.options.presets import Preset
    from txtop.ui.doctor_probe import Finding
    from txtop.ui.models.home import StartFacts

MARKS = {"broken": ("▲", "warn"), "missing": ("·", "muted"), "ok": ("✓", "ok")}
NAME_WIDTH, MAX_TITLE_ROWS = 16, 4
# A blank row, the heading and a model.
MIN_MODEL_ROWS = 3
MORE_HINT = "more: txtop doctor "
TUNE_HINTS = ("a race of configurations within limits", "a race of configurations")
AB_HINTS = (
    "which is faster, and what it costs in quality",
    "which is faster, at what cost",
    "faster, and at what cost",
)


def render_start_menu(
    quick: Preset | None, area: Area, starts: StartFacts | None = None
) -> list[Row]:
    """Render the keys, then every preset with what it measures, then the models that are here, as
    room permits.

    `quick` is that preset as it is on this machine, and `starts` what was looked up about the
    others; both are None until known. Without `quick` there are the keys alone: the first picture
    is drawn before the presets are loaded.
    """
    keys = [
        _render_key(area.width, "r", "the quick preset", _list_quick_hints(quick)),
        _render_key(area.width, "a", "live A/B of two precisions", AB_HINTS),
        _render_key(area.width, "d", "what to deploy", TUNE_HINTS),
        _render_key(
            area.width, "b", "a preset or your own matrix", ("shows time and memory first",)
        ),
    ]
    rows = [row for key in keys for row in (*key, [])][:-1]
    if quick is None:
        return rows if len(rows) <= area.height else [key[0] for key in keys]
    tight = [row for row in rows if row]
    times = starts.times if starts is not None else {}
    for presets in (_describe_presets(area, times), _wrap_presets(area), _line_presets(area)):
        for above in (rows, tight):
            if len(above) + len(presets) <= area.height:
                left = area.height - len(above) - len(presets)
                return [*above, *presets, *_render_models(starts, area, left)]
    return [*(key[0] for key in keys), *_line_presets(area)]


def _describe_presets(area: Area, times: Mapping[str, str]) -> list[Row]:
    """Render each preset in two rows: its name with its time, and under it what it measures."""
    rows: list[Row] = []
    for name, preset in _list_presets():
        rows.append(_render_name(name, area.glyphs(times.get(name, "")), area.width))
        forms = (
            form for form in (preset.title, preset.brief) if measure_text(form) <= area.width - 5
        )
        rows.append([(f"     {next(forms, '')}", "muted")])
    return rows if all(row[-1][0].strip() for row in rows[1::2]) else _wrap_presets(area)


def _render_name(name: str, time: str, width: int) -> Row:
    """Render the name of a preset and its time, without what is added to it where room is short."""
    row: Row = [(f"   {name}", "text")]
    room = width - measure_row(row) - MIN_ENDS_GAP
    forms = (time, time.partition(",")[0])
    fitting = next((form for form in forms if measure_text(form) <= room), "")
    return join_ends(row, [(fitting, "muted")], width)


def _render_models(starts: StartFacts | None, area: Area, room: int) -> list[Row]:
    """Render the models that are here under a heading, with their kind and size."""
    if starts is None or not starts.models or room < MIN_MODEL_ROWS:
        return []
    g = area.glyphs
    heading: Row = [("models here", "text.bold")]
    hint = "  for a, d and b"
    rows: list[Row] = [[], [*heading, (hint, "muted")]]
    listed = starts.models[: room - 2]
    if len(listed) < len(starts.models):
        listed = listed[:-1]
    if not listed:
        return []
    wide = min(max(measure_text(clean(name)) for name, _ in listed), area.width // 2)
    for name, about in listed:
        rest = cut_parts(clean(g(about)), max(0, area.width - wide - 5), g("…"))
        rows.append([(f"   {fit(name, wide, mark=g('…'))}  ", "text"), (rest, "muted")])
    if hidden := len(starts.models) - len(listed):
        rows.append([(f"   and {hidden} more", "muted")])
    return rows


def _wrap_presets(area: Area) -> list[Row]:
    """Render each preset with its whole title, on as many rows as it takes."""
    room = max(1, area.width - NAME_WIDTH - 3)
    rows: list[Row] = []
    for name, preset in _list_presets():
        lines = wrap(preset.title, room, MAX_TITLE_ROWS, area.glyphs("…"))
        for i, line in enumerate(lines):
            rows.append([(f"   {fit('' if i else name, NAME_WIDTH)}", "text"), (line, "muted")])
    return rows


def _line_presets(area: Area) -> list[Row]:
    """Render each preset in one row, with its title where there is room for all of it."""
    room = area.width - NAME_WIDTH - 3
    return [
        [
            (f"   {fit(name, NAME_WIDTH)}", "text"),
            (preset.title if measure_text(preset.title) <= room else "", "muted"),
        ]
        for name, preset in _list_presets()
    ]


def _list_presets() -> list[tuple[str, Preset]]:
    from txtop.options.presets import PRESETS

    return [(name, preset) for name, preset in PRESETS.items() if name != "quick"]


def find_start_key(
    line: int, quick: Preset | None, area: Area, starts: StartFacts | None = None
) -> str:
    """Return the key of a line; empty below the last and between two."""
    rows = render_start_menu(quick, area, starts)
    if not 0 <= line < len(rows) or not rows[line]:
        return ""
    keys = [row[0][0].strip() for row in rows[: line + 1] if row and row[0][1] == "accent-a.bold"]
    return keys[-1] if keys else ""


def _list_quick_hints(quick: Preset | None) -> tuple[str, ...]:
    """List the hints on what the quick preset measures, the longest first."""
    if quick is None:
        return ("",)
    arms = " vs ".join(quick.precisions)
    brief = f"{', '.join(quick.models)}, {arms}"
    forms = f"{brief}, about 1 minute", f"{brief}, 1 minute", f"{brief}, 1 min"
    return *forms, f"{arms}, 1 minute"


def _render_key(width: int, key: str, what: str, hints: tuple[str, ...]) -> list[Row]:
    """Render a key and the longest of its hints that fits; `hints` has the longest first."""
    hint = next((hint for hint in hints if measure_text(hint) + 3 <= width), hints[-1])
    return [[(f"{key}  ", "accent-a.bold"), (what, "text.bold")], [(f"   {hint}", "muted")]]


def render_findings(findings: Sequence[Finding] | None, width: int, g: Glyphs) -> Row:
    """Render whole findings in one line, problems first, as room permits."""
    row: Row = [(" doctor", "muted")]
    if findings is None:
        return [*row, (g("  …"), "muted")]
    for i, finding in enumerate(findings):
        sign, role = MARKS[finding.state]
        text = clean(f"{finding.what}: {finding.detail}")
        room = width - measure_row(row) - 5
        if i and measure_text(text) > room:
            break
        row += [
            (f"   {g(sign)} ", role),
            (cut(text, max(0, room), g("…")), _choose_finding_role(finding)),
        ]
    return join_ends(row, [(MORE_HINT, "muted")], width)


def _choose_finding_role(finding: Finding) -> str:
    return "text" if finding.state == "broken" else "muted"
