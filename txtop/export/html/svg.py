"""Draws with matplotlib into SVG whose colours are the page's, so that one page is light and dark.

Colours are asked for by role and stand in the SVG as `var(--role)`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROLES = ("text", "muted", "grid", "panel", "a", "b", "c", "d", "ok", "bad", "plot")
# What matplotlib is told: colours that nobody would choose, one a role.
PLACEHOLDER = {role: f"#fe01{number:02x}" for number, role in enumerate(ROLES, start=1)}
SERIES = (("a", "o"), ("b", "s"), ("c", "^"), ("d", "D"))
_COLOUR = re.compile("|".join(PLACEHOLDER.values()))
_BY_COLOUR = {colour: role for role, colour in PLACEHOLDER.items()}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.parse_math": False,
    "text.color": PLACEHOLDER["text"],
    "axes.labelcolor": PLACEHOLDER["muted"],
    "axes.edgecolor": PLACEHOLDER["grid"],
    "axes.facecolor": "none",
    "axes.titlecolor": PLACEHOLDER["text"],
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": PLACEHOLDER["grid"],
    "grid.linewidth": 0.5,
    "xtick.color": PLACEHOLDER["grid"],
    "ytick.color": PLACEHOLDER["grid"],
    "xtick.labelcolor": PLACEHOLDER["muted"],
    "ytick.labelcolor": PLACEHOLDER["muted"],
    "legend.frameon": False,
    "legend.labelcolor": PLACEHOLDER["text"],
    "path.simplify": True,
    "lines.linewidth": 1.4,
    "lines.markersize": 5,
}


def colour(role: str) -> str:
    """What to tell matplotlib for a role."""
    return PLACEHOLDER[role]


def svg(
    name: str, size: tuple[float, float], draw: Callable[[Figure], None], described: str
) -> str:
    """An inline SVG of `size` in inches that `draw` has filled; the same bytes each time."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    out = io.StringIO()
    with matplotlib.rc_context({**_SETTINGS, "svg.hashsalt": f"txtop-{name}"}):
        figure = Figure(figsize=size, layout="constrained")
        figure.patch.set_alpha(0)
        FigureCanvasSVG(figure)
        draw(figure)
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    body = out.getvalue()
    body = body[body.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = _COLOUR.sub(lambda found: f"var(--{_BY_COLOUR[found.group()]})", body)
    body = re.sub(r'^<svg [^>]*viewBox="([^"]*)"[^>]*>', _opening(described), body, count=1)
    return body.strip()


def _opening(described: str) -> Callable[[re.Match[str]], str]:
    import html

    label = html.escape(described)
    return lambda found: f'<svg viewBox="{found[1]}" role="img" aria-label="{label}">'


def quiet(axes: Axes) -> None:
    """Only the lines of the grid that help to read a value."""
    axes.grid(axis="x", visible=False)
    axes.tick_params(length=0)
