"""The two pages: the list of sessions, and a terminal that shows one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from txtop.sanitise import sanitise

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent


@dataclass(frozen=True)
class SessionLink:
    """A line of the list: the address of a session, its title, whether it runs now, when it began
    with how many cells were measured, and its outcome, whose `badge` has the colour `role`."""

    id: str
    title: str
    running: bool
    about: str = ""
    outcome: str = ""
    badge: str = ""
    role: str = "muted"


def render_list(sessions: Sequence[SessionLink]) -> str:
    """Render the list of sessions, those that run first."""
    ordered = sorted(sessions, key=lambda one: not one.running)
    return _load_pages().get_template("list.html.j2").render(sessions=ordered)


def render_terminal(title: str, socket_path: str) -> str:
    """Render the page whose terminal talks to `socket_path`, with its colour scheme behind it."""
    page = _load_pages().get_template("terminal.html.j2")
    return page.render(title=title, socket_path=socket_path)


@cache
def _load_pages() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        finalize=lambda value: sanitise(value, 400) if isinstance(value, str) else value,
        undefined=StrictUndefined,
    )
