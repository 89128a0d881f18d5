"""The list of sessions, one line each.

Apart from the command `sessions`, whose import must stay light.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from txtop.export.text.columns import cut_words, pad_cells
from txtop.formatting import format_count
from txtop.plan.model_names import name_in_row, name_models
from txtop.runner.liveness import is_running
from txtop.sanitise import sanitise
from txtop.session import catalog, manage
from txtop.session.catalog import CatalogEntry


def format_sessions(folder: Path | None, query: Sequence[str] = ()) -> str:
    """Return a line per session, newest first, then their total.

    With a `query`, only the sessions whose line or models contain every word of it.
    """
    home = folder or catalog.get_sessions_dir()
    entries = [(entry, _format_entry(entry)) for entry in catalog.list_recent(folder=folder)]
    terms = [word.casefold() for word in query]
    rows = [
        (entry, line)
        for entry, line in entries
        if all(term in f"{line} {' '.join(entry.models)}".casefold() for term in terms)
    ]
    own = [entry for entry, _ in rows if not entry.bundled]
    nothing = "no matching session" if terms else ""
    lines = [line for _, line in rows] or [nothing or "no session yet: txtop run makes one"]
    if own:
        total = sum(manage.compute_size_bytes(entry.path) for entry in own)
        count = format_count(len(own), "session")
        lines.append(f"{count}, {total / 1e6:,.1f} MB in {sanitise(str(home), 200)}")
    return "\n".join(lines) + "\n"


def explain_unlisted(folder: Path | None) -> str:
    """Return why a folder cannot be listed; empty if it can, or is the usual one and not there."""
    home = (folder or catalog.get_sessions_dir()).expanduser()
    try:
        next(home.iterdir(), None)
    except (FileNotFoundError, NotADirectoryError):
        return f"no folder {home}" if folder else ""
    except OSError as error:
        return f"{home} cannot be listed ({error.strerror}): name another with --session-dir"
    return ""


def format_size_warning(folder: Path | None) -> str | None:
    """Return a warning about the size of this user's sessions; `None` while they are small."""
    home = folder or catalog.get_sessions_dir()
    return manage.format_cap_warning(
        sum(manage.compute_size_bytes(path) for path in catalog.list_session_paths(home))
    )


def _format_entry(entry: CatalogEntry) -> str:
    when = datetime.fromtimestamp(entry.wall_s).strftime("%Y-%m-%d %H:%M")
    state = entry.ended or ("running" if is_running(entry.path) else "cut off")
    if state == "done" and entry.cells_total and not entry.cells_ok:
        state = "refused" if entry.cells_refused == entry.cells_total else "failed"
    mark = "bundled" if entry.bundled else state
    kind = "A/B " if entry.is_ab else ""
    models = name_in_row(tuple(name_models(entry.models).values()), ", ")
    content = entry.problem or f"{models} · {kind}{', '.join(entry.precisions)}{_count_lost(entry)}"
    cells = f"{entry.cells_ok}/{entry.cells_total} cells"
    size = f"{manage.compute_size_bytes(entry.path) / 1e6:,.1f} MB"
    facts = f"{when}  {mark:<10} {cells:>11} {size:>9}"
    return f"{pad_cells(entry.id, 28)} {facts}  {cut_words(sanitise(content), 80)}"


def _count_lost(entry: CatalogEntry) -> str:
    """Return how many cells were refused and how many failed; empty if none."""
    lost = ((entry.cells_refused, "refused"), (entry.cells_failed, "failed"))
    return "".join(f" · {count} {how}" for count, how in lost if count)
