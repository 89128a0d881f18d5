"""The list of sessions, one line each.

Apart from the command `sessions`, whose import must stay light.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from txtop.export.text.columns import cut_words, measure_cells, pad_cells
from txtop.export.text.fitting import get_width, wrap_line
from txtop.formatting import format_count
from txtop.plan.model_names import name_in_row, name_models
from txtop.runner.liveness import is_running
from txtop.sanitise import sanitise
from txtop.session import catalog, manage
from txtop.session.catalog import CatalogEntry

MOST_NAME_WIDTH, MOST_CONTENT_WIDTH = 28, 80
# A name of a model with a precision: what has less room stands below.
LEAST_CONTENT_WIDTH = 36


def print_sessions(folder: Path | None = None, query: Sequence[str] = ()) -> None:
    """Print the list to standard output, and what is wrong with its folder to standard error."""
    if problem := explain_unlisted(folder):
        print(f"txtop: {problem}", file=sys.stderr)
    print(format_sessions(folder, query, get_width(sys.stdout)), end="")
    if warning := format_size_warning(folder):
        print(f"txtop: {warning}", file=sys.stderr)


def format_sessions(
    folder: Path | None, query: Sequence[str] = (), width: int | None = None
) -> str:
    """Return a line per session, newest first, then their total.

    With a `query`, only the sessions whose line or models contain every word of it. A line that is
    wider than `width` columns is continued below, between words; without a `width` it is cut.
    """
    home = folder or catalog.get_sessions_dir()
    entries = [(entry, _list_parts(entry)) for entry in catalog.list_recent(folder=folder)]
    terms = [word.casefold() for word in query]
    rows = [
        (entry, parts)
        for entry, parts in entries
        if all(term in " ".join((*parts, *entry.models)).casefold() for term in terms)
    ]
    own = [entry for entry, _ in rows if not entry.bundled]
    nothing = "no matching session" if terms else "no session yet: txtop run makes one"
    lines = _align([parts for _, parts in rows], width) or [nothing]
    if own:
        total = sum(manage.compute_size_bytes(entry.path) for entry in own)
        count = format_count(len(own), "session")
        home_name = sanitise(str(home), 200)
        lines += wrap_line(f"{count}, {total / 1e6:,.1f} MB in {home_name}", width)
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


def _list_parts(entry: CatalogEntry) -> tuple[str, str, str]:
    """Return the name of a session, its facts in columns, and what it measured."""
    when = datetime.fromtimestamp(entry.wall_s).strftime("%Y-%m-%d %H:%M")
    state = entry.ended or ("running" if is_running(entry.path) else "cut off")
    if state == "done" and entry.cells_total and not entry.cells_ok:
        state = "refused" if entry.cells_refused == entry.cells_total else "failed"
    mark = "bundled" if entry.bundled else state
    kind = "A/B " if entry.is_ab else ""
    models = name_in_row(tuple(name_models(entry.models).values()), ", ")
    content = entry.problem or f"{models} · {kind}{', '.join(entry.precisions)}{_count_lost(entry)}"
    size = f"{manage.compute_size_bytes(entry.path) / 1e6:,.1f} MB"
    return entry.id, f"{when}  {mark:<10} {entry.progress:>13} {size:>9}", sanitise(content)


def _align(rows: Sequence[tuple[str, str, str]], width: int | None) -> list[str]:
    """Return the parts of each session under those of the others, as lines of `width` columns."""
    if width is None:
        return [
            f"{pad_cells(name, MOST_NAME_WIDTH)} {facts}  {cut_words(content, MOST_CONTENT_WIDTH)}"
            for name, facts, content in rows
        ]
    wide = min(MOST_NAME_WIDTH, max((measure_cells(name) for name, *_ in rows), default=0))
    return [line for row in rows for line in _wrap_parts(*row, wide, width)]


def _wrap_parts(name: str, facts: str, content: str, name_width: int, width: int) -> list[str]:
    """Continue a line below, under its content where there is room for that, else under its name.

    A name that leaves no room for the facts has a line of its own.
    """
    lead = f"{pad_cells(name, name_width)} {facts}"
    above = [] if measure_cells(lead) <= width else [name]
    if above:
        lead = f"  {facts}"
    room = width - measure_cells(lead) - 2
    if room < LEAST_CONTENT_WIDTH:
        above, lead, room = [*above, lead], "  ", width - 4
    first, *more = wrap_line(content, room)
    space = " " * measure_cells(lead)
    return [*above, f"{lead}  {first}", *(f"{space}  {line}" for line in more)]


def _count_lost(entry: CatalogEntry) -> str:
    """Return how many cells were refused and how many failed; empty if none.

    A probe that does not run is an answer.
    """
    failed = 0 if entry.is_search else entry.cells_failed
    lost = ((entry.cells_refused, "refused"), (failed, "failed"))
    return "".join(f" · {count} {how}" for count, how in lost if count)
