"""Text for the clipboard: a row of the table, lines of the log, a summary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from txtop.plan.knobs import BY_COLUMN
from txtop.sanitise import sanitise

if TYPE_CHECKING:
    from txtop.ui.models.cells import CellRow
    from txtop.ui.models.view import LogRow


# xterm and others drop an OSC 52 of more than 100,000 characters; base64 makes four of three bytes.
MAX_BYTES = 74_000


def join_sanitised(lines: Iterable[str]) -> tuple[str, bool]:
    """Join lines without hidden characters; return the text, and whether it is complete.

    Text that is too long ends after the last line that fits.
    """
    kept: list[str] = []
    size = 0
    for line in lines:
        text = sanitise(line)
        size += len(text.encode()) + 1
        if size > MAX_BYTES:
            return "\n".join(kept), False
        kept.append(text)
    return "\n".join(kept), True


def format_cell_row(row: CellRow) -> str:
    """Format a row of the table as one line with its units."""
    work = row.offered or f"batch {row.batch}"
    whole, one = ("req/s", "E2E") if row.offered else ("seq/s", "forward")
    knobs = [row.model, row.precision, row.attention, work, f"length {row.length}"]
    if not row.forward:
        knobs.append(f"{row.tokens} tokens")
    knobs += [BY_COLUMN[column].note(v) for column, v in row.more if v != BY_COLUMN[column].default]
    figures = [
        f"{row.rate} {whole if row.forward else 'tok/s'} {row.half}".rstrip() if row.rate else "",
        f"TTFT {row.ttft} ms" if row.ttft else "",
        f"TPOT {row.tpot} ms" if row.tpot else "",
        f"{one} {row.forward} ms" if row.forward else "",
        f"{row.gib} GiB" if row.gib else "",
        " ".join([row.ratio, *row.badges[:1]]) if row.ratio else "",
        row.note,
    ]
    return f"{' '.join(knobs)}: {'  '.join(figure for figure in figures if figure)}"


def format_log_rows(lines: Sequence[LogRow]) -> list[str]:
    """Format lines of the log as the screen shows them."""
    return ["  ".join(part for part in (line.at, line.who, line.text) if part) for line in lines]


def read_summary(paths: Sequence[Path]) -> list[str]:
    """Return the lines that `txtop show` prints of each session, ended or not.

    Reading may take a while.

    Raises `SessionError`.
    """
    from txtop.analysis.metrics import FinalMetrics
    from txtop.export.text.table import format_report
    from txtop.runner.liveness import load_session
    from txtop.session.catalog import get_session_id

    lines: list[str] = []
    for path in paths:
        lines += [""] if lines else []
        state, _ = load_session(path)
        lines += format_report(state, FinalMetrics(), get_session_id(path)).splitlines()
    return lines
