"""The page: headline figures, the table, plots and notes, in one file.

`page.html.jinja` holds the page's markup and `page.css` its look; here is what stands in it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from txtop.analysis import contention, metrics
from txtop.analysis.metrics import FinalMetrics
from txtop.analysis.notes import build_cell_notes
from txtop.analysis.ratios import compute_ratios, compute_speeds
from txtop.analysis.tuning import find_result, rank_candidates
from txtop.export import snippet
from txtop.export.html import accuracy, flame, plots
from txtop.export.html.headline import build_headline
from txtop.export.html.judgement import judge_badge, judge_field
from txtop.export.html.playback import build_playback
from txtop.export.html.plots import draw_load_curve
from txtop.export.text import ab, edge, explanation, outputs, serving_table, table
from txtop.export.text import accuracy as task_table
from txtop.export.text.fitting import hoist_shared
from txtop.export.text.tuning import format_verdict
from txtop.formatting import GIB, format_few, format_figure, format_share, join_reason
from txtop.plan import labels
from txtop.plan.plan import DEFAULT_MARGIN
from txtop.sanitise import sanitise
from txtop.state.cell import CellState
from txtop.state.quality import Quality, get_quality
from txtop.state.session import SessionState
from txtop.stats.summary import FEW_SAMPLES

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

MAX_CARDS = 12
MOST_CHARACTERS = 400
# The page may ask for nothing, and of scripts runs the one with this hash alone.
CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
SCRIPT_POLICY = "; script-src 'sha256-{}'"
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Card:
    """The headline of one cell, as large as its doubt allows; `rate` is `None` without a figure.

    `output` is the badge of an output that spoils the speed, which is then not `certain`. `named`
    is what was shown of the one that a race names.
    """

    cell: str
    name: str
    about: str
    status: str
    rate: str | None = None
    unit: str = ""
    certain: bool = False
    output: str = ""
    output_role: str = ""
    named: str = ""


def render_page(state: SessionState, finals: FinalMetrics, name: str = "") -> bytes:
    """Return the report of a session, the same bytes each time. Everything foreign in it is inert.

    `name` is the present name of the session; its header holds the first one.
    """
    header = state.header
    cells = list(state.cells.values())
    script = (HERE / "player.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    cards = [_build_card(state, cell, finals) for cell in rank_candidates(state)]
    named = find_result(state)
    if named is not None:
        cards[0] = replace(cards[0], named=f"named: {format_verdict(state, named)}")
    certain = {card.cell for card in cards if card.certain}
    by_precision = state.ab_test is None and state.race is None
    shared, columns, rows = hoist_shared(table.list_columns(state), table.build_rows(state, finals))
    values: dict[str, Any] = {
        "policy": mark_trusted(CONTENT_SECURITY_POLICY + SCRIPT_POLICY.format(digest)),
        "script": mark_trusted(script),
        "recording": mark_trusted(build_playback(state, finals, certain).decode()),
        "judge": judge_field,
        "style": mark_trusted((HERE / "page.css").read_text(encoding="utf-8")),
        "title": name or (header.session if header else "an empty session"),
        "version": header.versions.get("txtop", "") if header else "",
        "machine": describe_machine(state),
        "ab": _render_ab(state),
        "edges": edge.format_edges(state, finals),
        "tuned": snippet.format_recommendation(state, name),
        "cards": cards[:MAX_CARDS],
        "more_cards": max(0, len(cells) - MAX_CARDS),
        "cells": (columns, rows),
        "cells_below": shared,
        "outputs": outputs.build_table(state),
        "tasks": (task_table.HEADING, task_table.build_rows(state)),
        "tasks_below": " · ".join(task_table.list_remarks(state)),
        "served": (
            serving_table.list_serving_columns(state),
            serving_table.shorten_servers(state, serving_table.build_serving_rows(state, finals)),
        ),
        "served_below": " · ".join(serving_table.build_footnotes(state)),
        "notes": _collect_notes(state, finals),
        "end": table.describe_end(state),
        "tradeoffs": collect_drawings(
            plots.draw_tradeoff(state, finals),
            draw_load_curve(state, finals),
            plots.draw_lengths(state, finals),
            *([_draw_accuracy(state, compute_speeds(state, finals))] if by_precision else []),
        ),
        "margin": f"{format_share(DEFAULT_MARGIN)}",
        "explained": explanation.format_explanations(state),
        "flames": collect_drawings(*flame.draw_flames(state)),
        "speedups": collect_drawings(plots.draw_forest(compute_ratios(state), DEFAULT_MARGIN)),
        "telemetry": collect_drawings(plots.draw_telemetry(state)),
        "iterations": collect_drawings(*plots.draw_iterations(state, finals)),
    }
    return load_template("page.html.jinja").render(values).encode()


@cache
def load_template(name: str) -> Template:
    """Return a page's template, which lets no text through as it came."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        finalize=_make_inert,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters["at_most"] = _make_inert
    return environment.get_template(name)


def _make_inert(value: object, most: int = MOST_CHARACTERS) -> Markup:
    """Escape a value of at most `most` characters; markup of our own stays markup."""
    from markupsafe import Markup, escape

    return value if isinstance(value, Markup) else escape(sanitise(str(value), most))


def mark_trusted(markup: str) -> Markup:
    """Mark as markup what this package made."""
    from markupsafe import Markup

    return Markup(markup)


def collect_drawings(*drawings: str) -> list[Markup]:
    """Return the plots that there are."""
    return [mark_trusted(drawing) for drawing in drawings if drawing]


def describe_machine(state: SessionState) -> str:
    """Describe the machine of a session on one line, and when it began; empty without a header."""
    header = state.header
    if header is None:
        return ""
    devices = dict.fromkeys(
        load.device_name for load in state.loads.values() if load.device != "cpu"
    )
    threads = sorted({load.threads for load in state.loads.values()})
    versions = [f"{name} {header.versions[name]}" for name in ("torch", "transformers")
                if name in header.versions]  # fmt: skip
    parts = [
        *devices,
        f"{header.machine.cpu}, {header.machine.cores_physical} cores",
        f"{header.machine.memory_bytes / GIB:.0f} GiB",
        *([f"model threads {', '.join(map(str, threads))}"] if threads else []),
        *versions,
        datetime.fromtimestamp(header.wall_s, UTC).strftime("%d %b %Y, %H:%M UTC").lstrip("0"),
    ]
    return " · ".join(parts)


def _render_ab(state: SessionState) -> dict[str, Any]:
    """Return the verdicts of an A/B as sentences, their plots, and the figures behind them."""
    ab_test = state.ab_test
    if ab_test is None:
        return {}
    names, shared = labels.label_arms(ab_test.arms)
    models = dict.fromkeys(arm.model_name for arm in ab_test.arms)
    letters = [ab_test.letter(arm.id) for arm in ab_test.arms]
    arms = [f"{letter} {name}" for letter, name in zip(letters, names, strict=True)]
    columns, rows = ab.build_table(state, ab_test)
    return {
        "headlines": [build_headline(state, ab_test, name) for name in ab_test.sequences],
        "arms": " · ".join([*arms, *(models if len(models) == 1 else []), *shared]),
        "drawings": collect_drawings(
            *(plots.draw_funnel(ab_test, name) for name in ab_test.sequences),
            _draw_accuracy(state, {}),
        ),
        "columns": columns,
        "rows": rows,
        "below": ab.describe_table(ab_test),
        "notes": ab.list_notes(state, ab_test),
    }


def _draw_accuracy(state: SessionState, speeds: Mapping[str, float]) -> str:
    return accuracy.draw_accuracy(accuracy.list_accuracy_points(state, speeds))


def _build_card(state: SessionState, cell: CellState, finals: FinalMetrics) -> Card:
    summaries = finals.of(cell, state.plan.seed)
    rate = summaries.get(metrics.choose_headline_metric(cell))
    status = "INVALID" if cell.invalid else cell.status if cell.over else "unfinished"
    if rate is None or rate.mean is None or status != "ok":
        status = state.word_departure(cell.cell.id) or status
        return Card(cell.cell.id, labels.format_short_label(cell.cell), cell.reason, status)
    parts = [table.format_precision(rate)] if rate.ci95 else ["no interval"]
    if rate.ci95:
        parts.append(f"[{format_figure(rate.ci95[0])}, {format_figure(rate.ci95[1])}] 95 %")
    parts.append(f"n {rate.n}" if rate.n >= FEW_SAMPLES else format_few(rate.n))
    if contention.is_busy(cell):
        parts.append(contention.BUSY)
    if cell.cell.serving is not None:
        parts += serving_table.build_summary_parts(cell, summaries)
    badge = _get_quality(state, cell).forms[0]
    spoilt = judge_badge(badge)
    return Card(
        cell.cell.id,
        labels.format_short_label(cell.cell),
        " · ".join(parts),
        status,
        format_figure(rate.mean),
        rate.unit,
        rate.ci95 is not None and not spoilt,
        badge if spoilt else "",
        spoilt,
    )


def _get_quality(state: SessionState, cell: CellState) -> Quality:
    """Return the quality of a cell; of one that others are compared with, none."""
    ab_test, name = state.ab_test, cell.cell.id
    if ab_test is None:
        return get_quality(state, name)
    return Quality(None) if name == ab_test.first.id else get_quality(state, name, ab_test.first.id)


def _collect_notes(state: SessionState, finals: FinalMetrics) -> list[tuple[str, str]]:
    """Return each note with the cells that it concerns."""
    by_note: dict[str, list[str]] = {}
    for cell in state.cells.values():
        notes = [join_reason(state.word_ending(cell), cell.reason)] if cell.reason else []
        for note in notes + build_cell_notes(state, cell, finals):
            by_note.setdefault(note, []).append(labels.format_short_label(cell.cell))
    for note, names in table.list_race_notes(state).items():
        by_note[note] = [labels.format_short_label(state.cells[name].cell) for name in names]
    return [(_format_cell_names(cells, len(state.cells)), note) for note, cells in by_note.items()]


def _format_cell_names(cells: list[str], count: int) -> str:
    """Name the cells of a note, the first four of many."""
    if len(cells) == count > 1:
        return "all cells"
    more = f" and {len(cells) - 4} more" if len(cells) > 4 else ""
    return ", ".join(cells[:4]) + more
