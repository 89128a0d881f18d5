"""List sessions, one line each.

Apart from the command `sessions`, whose import must stay light.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from txtop.runner.client import ControlClient
from txtop.sanitise import sanitise
from txtop.session import catalog, manage
from txtop.session.catalog import CatalogEntry


def format_sessions(folder: Path | None, query: Sequence[str] = ()) -> str:
    """All sessions that have every word of `query`, newest first, one line each; then the total."""
    home = folder or catalog.get_sessions_dir()
    found = [(each, _line(each)) for each in catalog.list_recent(folder=folder)]
    wanted = [word.casefold() for word in query]
    rows = [(f, line) for f, line in found if all(word in line.casefold() for word in wanted)]
    own = [f for f, _ in rows if not f.bundled]
    nothing = "no session has these words" if wanted else ""
    said = [line for _, line in rows] or [nothing or "no session yet: txtop run makes one"]
    if own:
        total = sum(manage.compute_size_bytes(f.path) for f in own)
        many = f"{len(own)} session{'s' if len(own) > 1 else ''}"
        said.append(f"{many}, {total / 1e6:,.1f} MB in {sanitise(str(home), 200)}")
    return "\n".join(said) + "\n"


def format_size_warning(folder: Path | None) -> str | None:
    """What is to be said of the room that this user's sessions take; null when they are small."""
    home = folder or catalog.get_sessions_dir()
    return manage.format_cap_warning(
        sum(manage.compute_size_bytes(path) for path in catalog.list_session_paths(home))
    )


def _line(found: CatalogEntry) -> str:
    when = datetime.fromtimestamp(found.wall_s).strftime("%Y-%m-%d %H:%M")
    state = found.ended or ("running" if ControlClient(found.path).status() else "cut off")
    mark = "bundled" if found.bundled else state
    kind = "A/B " if found.versus else ""
    what = f"{', '.join(found.models)} · {kind}{', '.join(found.precisions)}"
    cells = f"{found.cells_ok}/{found.cells_total} cells"
    size = f"{manage.compute_size_bytes(found.path) / 1e6:,.1f} MB"
    return f"{found.id:<28} {when}  {mark:<8} {cells:>11} {size:>9}  {sanitise(what, 80)}"
