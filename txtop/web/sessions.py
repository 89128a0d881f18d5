"""The sessions that a browser may open, each with the command that shows it."""

from __future__ import annotations

from pathlib import Path

from txtop.runner.control_client import ControlClient
from txtop.session import catalog
from txtop.system.search_path import build_module_command
from txtop.web.pages import SessionLink
from txtop.web.server import Source


def build_source(folder: Path | None, *, allow_control: bool) -> Source:
    """Return the sessions of a folder and those that are bundled.

    They are asked for anew each time, and found by their ids alone: a browser names no path.
    """

    def list_links() -> list[SessionLink]:
        return [_build_link(entry) for entry in _list_readable(folder)]

    def build_command(session: str, scheme: str) -> list[str] | None:
        entry = next((entry for entry in _list_readable(folder) if entry.id == session), None)
        if entry is None:
            return None
        way = "attach" if _is_running(entry) else "replay"
        options = ["--theme", f"txtop-{scheme}", *([] if allow_control else ["--view-only"])]
        return build_module_command("txtop", way, str(entry.path.absolute()), *options)

    return Source(list_links, build_command)


def _list_readable(folder: Path | None) -> list[catalog.CatalogEntry]:
    return [entry for entry in catalog.list_recent(folder=folder) if not entry.problem]


def _build_link(entry: catalog.CatalogEntry) -> SessionLink:
    parts = (entry.id, ", ".join(entry.models), ", ".join(entry.precisions))
    return SessionLink(entry.id, " · ".join(part for part in parts if part), _is_running(entry))


def _is_running(entry: catalog.CatalogEntry) -> bool:
    cut_short = entry.ended is None and not entry.bundled
    return cut_short and ControlClient(entry.path).status() is not None
