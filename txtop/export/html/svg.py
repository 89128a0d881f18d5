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
PLACEHOLDERS = {role: f"#fe01{number:02x}" for number, role in enumerate(ROLES, start=1)}
SERIES_STYLES = (("a", "o"), ("b", "s"), ("c", "^"), ("d", "D"))
_COLOUR = re.compile("|".join(PLACEHOLDERS.values()))
_BY_COLOUR = {colour: role for role, colour in PLACEHOLDERS.items()}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.parse_math": False,
    "text.color": PLACEHOLDERS["text"],
    "axes.labelcolor": PLACEHOLDERS["muted"],
    "axes.edgecolor": PLACEHOLDERS["grid"],
    "axes.facecolor": "none",
    "axes.titlecolor": PLACEHOLDERS["text"],
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": PLACEHOLDERS["grid"],
    "grid.linewidth": 0.5,
    "xtick.color": PLACEHOLDERS["grid"],
    "ytick.color": PLACEHOLDERS["grid"],
    "xtick.labelcolor": PLACEHOLDERS["muted"],
    "ytick.labelcolor": PLACEHOLDERS["muted"],
    "legend.frameon": False,
    "legend.labelcolor": PLACEHOLDERS["text"],
    "path.simplify": True,
    "lines.linewidth": 1.4,
    "lines.markersize": 5,
}


def get_colour(role: str) -> str:
    """What to tell matplotlib for a role."""
    return PLACEHOLDERS[role]


def render_svg(
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
    body = re.sub(
        r'^<svg [^>]*viewBox="([^"]*)"[^>]*>', _build_opening_tag(described), body, count=1
    )
    return body.strip()


def _build_opening_tag(described: str) -> Callable[[re.Match[str]], str]:
    import html

    label = html.escape(described)
    return lambda found: f'<svg viewBox="{found[1]}" role="img" aria-label="{label}">'


def simplify_axes(axes: Axes) -> None:
    """Only the lines of the grid that help to read a value."""
    axes.grid(axis="x", visible=False)
    axes.tick_params(length=0)
