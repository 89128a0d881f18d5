"""The page: headline figures, the table, plots and notes, in one file."""

from __future__ import annotations

import html
from datetime import UTC, datetime

from txtop.analysis import metrics
from txtop.analysis.metrics import FinalMetrics
from txtop.analysis.notes import build_cell_notes
from txtop.analysis.ratios import DEFAULT_MARGIN, compute_ratios
from txtop.export.html import plots
from txtop.export.html.plots import draw_load_curve
from txtop.export.html.style import STYLE
from txtop.export.text import ab, serving_table, table
from txtop.formatting import format_figure
from txtop.plan import labels
from txtop.sanitise import sanitise
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.summary import FEW_SAMPLES

MAX_CARDS = 12
CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def render_page(state: SessionState, finals: FinalMetrics, name: str = "") -> bytes:
    """The report of a session, the same bytes each time. Everything foreign in it is inert. `name`
    is what the session is called now, by default what its header says."""
    header = state.header
    title = _text(name or (header.session if header else "an empty session"))
    body = [
        f"<h1>{title}</h1>",
        f"<p class=muted>{_text(_machine(state))}</p>",
        _render_ab(state),
        _cards(state, finals),
        _section("Every cell", _table(table.list_columns(state), table.build_rows(state, finals))),
        _section(
            "Cells that served requests",
            _table(
                serving_table.list_serving_columns(state),
                serving_table.build_serving_rows(state, finals),
            ),
            " · ".join(serving_table.build_footnotes(state)),
        ),
        _section("What to know", _notes(state, finals)),
        _section(
            "Throughput, latency, length",
            _side_by_side(
                plots.draw_tradeoff(state, finals),
                draw_load_curve(state, finals),
                plots.draw_lengths(state, finals),
            ),
        ),
        _section(
            f"Speed over the reference precision (margin {DEFAULT_MARGIN:.0%})",
            _framed(plots.draw_forest(compute_ratios(state), DEFAULT_MARGIN)),
            "The cells ran one after the other, so that drift of the machine is in it.",
        ),
        _section("The machine meanwhile", _framed(plots.draw_telemetry(state))),
        _section(
            "Iterations and requests",
            _many(plots.draw_iterations(state, finals)),
            "Warm-up and what was cut off are grey and count for nothing.",
        ),
        "<footer>Made by txtop from the recorded session; every figure can be checked with "
        f"<code>txtop verify</code> and <code>txtop show</code>. txtop {_text(_version(state))}"
        "</footer>",
    ]
    head = (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_SECURITY_POLICY}">'
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>{title} · txtop</title><style>{STYLE}</style></head><body><main>"
    )
    return (head + "\n".join(filter(None, body)) + "</main></body></html>\n").encode()


def _text(text: str, limit: int = 400) -> str:
    return html.escape(sanitise(text, limit))


def _version(state: SessionState) -> str:
    return state.header.versions.get("txtop", "") if state.header else ""


def _machine(state: SessionState) -> str:
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
        f"{header.machine.memory_bytes / table.GIB:.0f} GiB",
        *([f"model threads {', '.join(map(str, threads))}"] if threads else []),
        *versions,
        datetime.fromtimestamp(header.wall_s, UTC).strftime("%d %b %Y, %H:%M UTC").lstrip("0"),
    ]
    return " · ".join(parts)


def _section(heading: str, body: str, below: str = "") -> str:
    if not body:
        return ""
    said = f"<p class=muted>{_text(below)}</p>" if below else ""
    return f"<section><h2>{_text(heading)}</h2>{body}{said}</section>"


def _render_ab(state: SessionState) -> str:
    """The verdicts of an A/B in words, their funnels, and the figures behind them."""
    versus = state.versus
    if versus is None:
        return ""
    said = ab.format_ab(state)
    count = len(versus.sequences)
    claims = "".join(f"<p class=claim>{_text(line)}</p>" for line in said[:count])
    drawn = "".join(_framed(plots.draw_funnel(versus, name)) for name in versus.sequences)
    figures = "\n".join(_text(line) for line in said[count:]).strip()
    return _section("A/B", f"{claims}{drawn}<div class=scroll><pre>{figures}</pre></div>")


def _cards(state: SessionState, finals: FinalMetrics) -> str:
    """The headline of each cell, as large as its doubt allows."""
    cells = list(state.cells.values())
    cards = [_card(state, cell, finals) for cell in cells[:MAX_CARDS]]
    more = len(cells) - len(cards)
    rest = f"<p class=muted>and {more} more in the table</p>" if more > 0 else ""
    return f"<div class=cards>{''.join(cards)}</div>{rest}"


def _card(state: SessionState, cell: CellState, finals: FinalMetrics) -> str:
    found = finals.of(cell, state.plan.seed)
    rate = found.get(metrics.choose_headline_metric(cell))
    status = "INVALID" if cell.invalid else cell.status if cell.over else "unfinished"
    name = f"<div class=name>{_text(labels.format_short_label(cell.cell), 90)}</div>"
    if rate is None or rate.mean is None or status != "ok":
        return f"<div class=card>{name}<div class='figure bad'>{_text(status)}</div>" + (
            f"<div class='said muted'>{_text(cell.reason, 160)}</div></div>"
        )
    doubt = " muted" if rate.ci95 is None else ""
    words = [table.format_half_width(rate)] if rate.ci95 else ["no interval"]
    if rate.ci95:
        words.append(f"[{format_figure(rate.ci95[0])}, {format_figure(rate.ci95[1])}] 95 %")
    words.append(f"n {rate.n}" if rate.n >= FEW_SAMPLES else f"few: n = {rate.n}")
    words += serving_table.build_summary_parts(cell, found) if cell.cell.serving is not None else []
    return (
        f"<div class=card>{name}<div class='figure{doubt}'>{_text(format_figure(rate.mean))}"
        f"<small> {_text(rate.unit)}</small></div>"
        f"<div class='said muted'>{_text(' · '.join(words))}</div></div>"
    )


def _table(heading: tuple[tuple[str, str], ...], lines: list[list[str]]) -> str:
    if not heading:
        return ""
    sides = ["" if side == "<" else " class=r" for _, side in heading]
    names = "".join(f"<th{s}>{_text(n)}</th>" for (n, _), s in zip(heading, sides, strict=True))
    rows = [
        "<tr>"
        + "".join(f"<td{s}>{_text(t)}</td>" for t, s in zip(row, sides, strict=True))
        + "</tr>"
        for row in lines
    ]
    body = f"<thead><tr>{names}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f"<div class=scroll><table>{body}</table></div>"


def _notes(state: SessionState, finals: FinalMetrics) -> str:
    by_note: dict[str, list[str]] = {}
    for cell in state.cells.values():
        said = [f"{cell.status}: {cell.reason}"] if cell.reason else []
        for note in said + build_cell_notes(state, cell, finals):
            by_note.setdefault(note, []).append(labels.format_short_label(cell.cell))
    items = []
    for note, cells in by_note.items():
        where = "all cells" if len(cells) == len(state.cells) > 1 else ", ".join(cells[:4])
        more = f" and {len(cells) - 4} more" if len(cells) > 4 and where != "all cells" else ""
        items.append(f"<li><b>{_text(where + more)}</b>: {_text(note, 500)}</li>")
    if state.ended is None:
        items.append("<li>the session has no end: the run goes on or was cut off</li>")
    return f"<ul>{''.join(items)}</ul>" if items else ""


def _framed(drawing: str) -> str:
    return f"<figure>{drawing}</figure>" if drawing else ""


def _side_by_side(*drawings: str) -> str:
    shown = [_framed(d) for d in drawings if d]
    return f"<div class=half>{''.join(shown)}</div>" if shown else ""


def _many(drawings: list[str]) -> str:
    return f"<div class=third>{''.join(map(_framed, drawings))}</div>" if drawings else ""
