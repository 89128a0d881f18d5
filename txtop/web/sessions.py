"""The sessions that a browser may open, each with the command that shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from txtop.plan.model_names import name_in_row, name_models
from txtop.runner.liveness import is_entry_running, is_running
from txtop.session import catalog
from txtop.system.search_path import build_module_command
from txtop.web.pages import SessionLink
from txtop.web.server import Source


@dataclass(frozen=True)
class OutcomeText:
    """The outcome of a session as text, and what its output is worth in the colour `role`."""

    text: str
    badge: str = ""
    role: str = "muted"


NO_OUTCOME = OutcomeText("")
ReadOutcomes = Callable[[Sequence[catalog.CatalogEntry]], Mapping[Path, OutcomeText]]


def build_source(
    folder: Path | None, *, allow_control: bool, read_outcomes: ReadOutcomes = lambda _: {}
) -> Source:
    """Return the sessions of a folder and those that are bundled, with the outcomes read of them.

    They are asked for anew each time, and found by their ids alone: a browser names no path.
    """

    def list_links() -> list[SessionLink]:
        listed = catalog.list_recent(folder=folder)
        entries = [entry for entry in listed if not entry.problem]
        outcomes = read_outcomes(entries)
        return [_build_link(entry, outcomes.get(entry.path, NO_OUTCOME)) for entry in entries]

    def build_command(session: str, scheme: str) -> list[str] | None:
        path = catalog.find_by_id(session, folder)
        if path is None or catalog.read_entry(path) is None:
            return None
        way = "attach" if is_running(path) else "replay"
        options = ["--theme", f"txtop-{scheme}", *([] if allow_control else ["--view-only"])]
        return build_module_command("txtop", way, str(path.absolute()), *options)

    return Source(list_links, build_command)


def _build_link(entry: catalog.CatalogEntry, outcome: OutcomeText) -> SessionLink:
    models = name_in_row(tuple(name_models(entry.models).values()), ", ")
    kind = "A/B " if entry.is_ab else ""
    parts = (entry.id, models, f"{kind}{', '.join(entry.precisions)}")
    when = datetime.fromtimestamp(entry.wall_s).strftime("%Y-%m-%d %H:%M")
    return SessionLink(
        entry.id,
        " · ".join(part for part in parts if part),
        is_entry_running(entry),
        f"{when}, {entry.progress}",
        outcome.text,
        outcome.badge,
        outcome.role,
    )
