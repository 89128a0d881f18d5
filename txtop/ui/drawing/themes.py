"""Themes: the colour of each role, read from TOML files and checked on load.

A colour is `#rrggbb`, or the terminal's own `default` or `dim` (a theme without colours).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from txtop import resources
from txtop.errors import did_you_mean
from txtop.sanitise import sanitise

if TYPE_CHECKING:
    from rich.style import Style
    from textual.app import App

    from txtop.ui.terminal.capabilities import ColourDepth

ROLES = (
    "bg", "panel", "border", "text", "muted", "accent-a", "accent-b", "ok", "warn", "bad", "plot",
)  # fmt: skip
GROUNDS = ("bg", "panel")
DEFAULT_THEME = "txtop-dark"
MONO_THEME = "mono"
MAX_BYTES = 64_000
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,80}")
_BUILTIN_ORDER = (DEFAULT_THEME, "txtop-light", "high-contrast", "colorblind", MONO_THEME)


class ThemeError(ValueError):
    """A theme file that cannot be used; the text gives the reason."""


@dataclass(frozen=True)
class Palette:
    """One theme; `colours` holds every role."""

    name: str
    dark: bool
    colours: Mapping[str, str] = field(hash=False)

    @property
    def plain(self) -> bool:
        """True if the theme uses the terminal's own colours alone."""
        return self.colours["bg"] == "default"


def parse_theme(text: str) -> Palette:
    """Parse one theme file.

    Raises `ThemeError`.
    """
    try:
        theme = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ThemeError(f"no TOML: {error}") from None
    name, dark, colours = theme.get("name"), theme.get("dark"), theme.get("colours")
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise ThemeError("`name` has to be letters, digits, dots, dashes, 80 at most")
    if not isinstance(dark, bool):
        raise ThemeError("`dark` has to be true or false")
    if not isinstance(colours, dict):
        raise ThemeError("[colours] is missing")
    missing = [role for role in ROLES if role not in colours]
    foreign = [sanitise(str(role), 40) for role in colours if role not in ROLES]
    if missing or foreign:
        wrong = [f"{role} is missing" for role in missing]
        raise ThemeError(", ".join([*wrong, *(f"{role} is not a role" for role in foreign)]))
    for role, colour in colours.items():
        names = ("default",) if role in GROUNDS else ("default", "dim")
        if not (isinstance(colour, str) and (_COLOUR.fullmatch(colour) or colour in names)):
            raise ThemeError(f"{role} has to be #rrggbb or {' or '.join(names)}")
    if (colours["bg"] == "default") != (colours["panel"] == "default"):
        raise ThemeError("bg and panel have to be default both, or neither")
    return Palette(name, dark, colours)


def read_theme(path: Path) -> Palette:
    """Read a theme from a file.

    Raises `ThemeError`.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ThemeError(f"longer than {MAX_BYTES} bytes")
        return parse_theme(raw.decode("utf-8-sig"))
    except OSError as error:
        raise ThemeError(error.strerror or str(error)) from None
    except UnicodeDecodeError:
        raise ThemeError("not UTF-8") from None


def get_user_folder() -> Path:
    """Return the folder of the user's own themes; `XDG_CONFIG_HOME` moves it."""
    from platformdirs import user_config_path

    return user_config_path("txtop") / "themes"


def load_themes(*folders: Path) -> tuple[dict[str, Palette], list[str]]:
    """Return all themes of `folders` by name, and the problems met. A later folder replaces themes
    of an earlier one."""
    themes: dict[str, Palette] = {}
    problems: list[str] = []
    for folder in folders:
        for path in sorted(folder.glob("*.toml")):
            try:
                palette = read_theme(path)
            except ThemeError as error:
                problems.append(f"theme {sanitise(path.name, 80)}: {sanitise(str(error), 200)}")
            else:
                themes[palette.name] = palette
    return themes, problems


@cache
def _load_cached() -> tuple[dict[str, Palette], list[str]]:
    return load_themes(resources.find_directory("themes"), get_user_folder())


def list_themes() -> list[str]:
    """Return the names of all themes: built-in ones in a fixed order, then the others by name."""
    themes = _load_cached()[0]
    first = [name for name in _BUILTIN_ORDER if name in themes]
    return first + sorted(set(themes) - set(first))


def find_theme_problems(name: str | None) -> list[str]:
    """Return one line for each theme file that cannot be used, and one if no theme is called
    `name`."""
    problems = list(_load_cached()[1])
    if name is not None and name not in list_themes():
        hint = did_you_mean(name, list_themes(), f"themes: {', '.join(list_themes())}")
        problems.append(f"no theme {sanitise(name, 80)}: {hint}")
    return problems


def get_palette(name: str) -> Palette:
    """Return the theme of that name, or the default theme if there is none."""
    themes = _load_cached()[0]
    if name in themes:
        return themes[name]
    return themes.get(DEFAULT_THEME) or _build_fallback()


def _build_fallback() -> Palette:
    """Return a theme of the terminal's own colours, for an installation without theme files."""
    return Palette(MONO_THEME, True, dict.fromkeys(ROLES, "default"))


@cache
def get_style(name: str, role: str, ground: str) -> Style:
    """Return the style of a role on a ground (`bg`, `panel`); `.bold` makes any role bold."""
    from rich.style import Style

    colours = get_palette(name).colours
    base, _, weight = role.partition(".")
    if base == "bold":
        base, weight = "text", "bold"
    colour = colours.get(base, colours["text"])
    inherited = ("default", "dim")
    return Style(
        color=None if colour in inherited else colour,
        bgcolor=None if colours[ground] in inherited else colours[ground],
        bold=weight == "bold" or None,
        dim=(colour == "dim" and weight != "bold") or None,
    )


def paint_text(text: str, name: str, role: str, ground: str, depth: ColourDepth) -> str:
    """Return `text` between the sequences that give it the style of a role on a ground."""
    from rich.color import ColorSystem

    return get_style(name, role, ground).render(text, color_system=ColorSystem[depth])


def install_themes(app: App[Any], name: str | None) -> None:
    """Register every theme with `app` and activate `name` if it exists."""
    from textual.theme import BUILTIN_THEMES, Theme

    # Textual requires more variables of an ANSI theme than of one with colours.
    variables = BUILTIN_THEMES["ansi-dark"].variables
    own = {k: "ansi_default" if v.startswith("ansi") else v for k, v in variables.items()}
    for palette in _load_cached()[0].values():
        colours = {
            role: "ansi_default" if value in ("default", "dim") else value
            for role, value in palette.colours.items()
        }
        app.register_theme(
            Theme(
                name=palette.name,
                primary=colours["accent-a"],
                secondary=colours["accent-b"],
                accent=colours["accent-a"],
                foreground=colours["text"],
                background=colours["bg"],
                surface=colours["bg"],
                panel=colours["panel"],
                success=colours["ok"],
                warning=colours["warn"],
                error=colours["bad"],
                dark=palette.dark,
                ansi=palette.plain,
                variables={f"role-{role}": value for role, value in colours.items()}
                | (own if palette.plain else {}),
            )
        )
    use_theme(app, name or DEFAULT_THEME)


def use_theme(app: App[Any], name: str) -> None:
    """Activate a theme."""
    app.theme = choose_theme(name, no_color=app.no_color)


def choose_theme(name: str | None, *, no_color: bool) -> str:
    """Return the theme that is shown where `name` is asked for; without colours (NO_COLOR) always
    the monochrome one."""
    name = MONO_THEME if no_color else name
    return name if name in _load_cached()[0] else DEFAULT_THEME
