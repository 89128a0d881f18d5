"""Draw with matplotlib into SVG with the page's colours, so that one file is light and dark.

Colours are requested by role and become `var(--role)` in the SVG.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROLES = ("text", "muted", "grid", "panel", "a", "b", "c", "d", "ok", "bad", "plot", "warn")
# Colours that nobody would choose, one a role; the SVG text is searched for them.
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
    """Return the placeholder colour to pass to matplotlib for a role."""
    return PLACEHOLDERS[role]


def render_svg(
    name: str, size: tuple[float, float], draw: Callable[[Figure], None], description: str
) -> str:
    """Return an inline SVG of `size` in inches, filled by `draw`.

    `description` is its label for assistive technology. The same input gives the same bytes.
    """
    # Its warnings are of a folder for its cache, which this needs none of.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    out = io.StringIO()
    with matplotlib.rc_context():
        # A matplotlibrc of the user or in the current directory is for other figures.
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**_SETTINGS, "svg.hashsalt": f"txtop-{name}"})
        figure = Figure(figsize=size, layout="constrained")
        figure.patch.set_alpha(0)
        FigureCanvasSVG(figure)
        draw(figure)
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    body = out.getvalue()
    body = body[body.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = _COLOUR.sub(lambda match: f"var(--{_BY_COLOUR[match.group()]})", body)
    body = re.sub(
        r'^<svg [^>]*viewBox="([^"]*)"[^>]*>', _build_opening_tag(description), body, count=1
    )
    return body.strip()


def _build_opening_tag(description: str) -> Callable[[re.Match[str]], str]:
    import html

    label = html.escape(description)
    return lambda match: f'<svg viewBox="{match[1]}" role="img" aria-label="{label}">'


def simplify_axes(axes: Axes) -> None:
    """Keep only the horizontal grid lines, which help to read a value."""
    axes.grid(axis="x", visible=False)
    axes.tick_params(length=0)
