"""Themes: which colour each role has, read from TOML files and checked as they are loaded.

A colour is `#rrggbb`, or `default` or `dim` of the terminal itself (a theme without colours).
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

ROLES = (
    "bg", "panel", "border", "text", "muted", "accent-a", "accent-b", "ok", "warn", "bad", "plot",
)  # fmt: skip
GROUNDS = ("bg", "panel")
TEXT_ROLES = ("text", "muted", "accent-a", "accent-b", "ok", "warn", "bad")
DEFAULT_THEME = "txtop-dark"
MONO_THEME = "mono"
MAX_BYTES = 64_000
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,80}")
_BUILTIN_ORDER = (DEFAULT_THEME, "txtop-light", "high-contrast", "colorblind", MONO_THEME)


class ThemeError(ValueError):
    """A theme file that cannot be used; the text says why."""


@dataclass(frozen=True)
class Palette:
    """One theme. `colours` holds every role."""

    name: str
    dark: bool
    colours: Mapping[str, str] = field(hash=False)

    @property
    def plain(self) -> bool:
        """Draws with the terminal's own colours alone."""
        return self.colours["bg"] == "default"


def parse_theme(text: str) -> Palette:
    """Reads one theme file. Raises `ThemeError`."""
    try:
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ThemeError(f"no TOML: {error}") from None
    name, dark, colours = found.get("name"), found.get("dark"), found.get("colours")
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
        raise ThemeError(", ".join([*wrong, *(f"{role} is no role" for role in foreign)]))
    for role, colour in colours.items():
        words = ("default",) if role in GROUNDS else ("default", "dim")
        if not (isinstance(colour, str) and (_COLOUR.fullmatch(colour) or colour in words)):
            raise ThemeError(f"{role} has to be #rrggbb or {' or '.join(words)}")
    if (colours["bg"] == "default") != (colours["panel"] == "default"):
        raise ThemeError("bg and panel have to be default both, or neither")
    return Palette(name, dark, colours)


def read_theme(path: Path) -> Palette:
    """Reads a theme from a file. Raises `ThemeError`."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ThemeError(f"longer than {MAX_BYTES} bytes")
        return parse_theme(raw.decode())
    except OSError as error:
        raise ThemeError(error.strerror or str(error)) from None
    except UnicodeDecodeError:
        raise ThemeError("not UTF-8") from None


def get_user_folder() -> Path:
    """Where a user's own themes lie; `XDG_CONFIG_HOME` moves it."""
    from platformdirs import user_config_path

    return user_config_path("txtop") / "themes"


def load_themes(*folders: Path) -> tuple[dict[str, Palette], list[str]]:
    """All themes of `folders`, a later one replacing a former of its name; and what was wrong."""
    found: dict[str, Palette] = {}
    problems: list[str] = []
    for folder in folders:
        for path in sorted(folder.glob("*.toml")):
            try:
                palette = read_theme(path)
            except ThemeError as error:
                problems.append(f"theme {sanitise(path.name, 80)}: {sanitise(str(error), 200)}")
            else:
                found[palette.name] = palette
    return found, problems


@cache
def _load_cached() -> tuple[dict[str, Palette], list[str]]:
    return load_themes(resources.find_directory("themes"), get_user_folder())


def list_themes() -> list[str]:
    """Every theme: ours in a fixed order, then the others by name."""
    known = _load_cached()[0]
    first = [name for name in _BUILTIN_ORDER if name in known]
    return first + sorted(set(known) - set(first))


def find_theme_problems(wanted: str | None = None) -> list[str]:
    """One line for each theme file that could not be used, and for a theme that there is not."""
    found = list(_load_cached()[1])
    if wanted is not None and wanted not in list_themes():
        hint = did_you_mean(wanted, list_themes(), f"themes: {', '.join(list_themes())}")
        found.append(f"no theme {sanitise(wanted, 80)}: {hint}")
    return found


def get_palette(name: str) -> Palette:
    """The theme of that name, or the first one where there is none."""
    known = _load_cached()[0]
    if name in known:
        return known[name]
    return known.get(DEFAULT_THEME) or _build_fallback()


def _build_fallback() -> Palette:
    """Without any theme file the terminal's own colours do."""
    return Palette(MONO_THEME, True, dict.fromkeys(ROLES, "default"))


@cache
def get_style(name: str, role: str, ground: str) -> Style:
    """How a role is drawn on a ground (`bg`, `panel`). `.bold` makes any role bold."""
    from rich.style import Style

    colours = get_palette(name).colours
    base, _, weight = role.partition(".")
    if base == "bold":
        base, weight = "text", "bold"
    colour = colours.get(base, colours["text"])
    words = ("default", "dim")
    return Style(
        color=None if colour in words else colour,
        bgcolor=None if colours[ground] in words else colours[ground],
        bold=weight == "bold" or None,
        dim=(colour == "dim" and weight != "bold") or None,
    )


def install_themes(app: App[Any], wanted: str | None = None) -> None:
    """Makes every theme known to `app` and puts on `wanted`, if there is such a one."""
    from textual.theme import BUILTIN_THEMES, Theme

    # Textual asks more variables of a theme without colours than of one with.
    asked = BUILTIN_THEMES["ansi-dark"].variables
    own = {k: "ansi_default" if v.startswith("ansi") else v for k, v in asked.items()}
    for each in _load_cached()[0].values():
        colours = {
            role: "ansi_default" if value in ("default", "dim") else value
            for role, value in each.colours.items()
        }
        app.register_theme(
            Theme(
                name=each.name,
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
                dark=each.dark,
                ansi=each.plain,
                variables=own if each.plain else {},
            )
        )
    use_theme(app, wanted or DEFAULT_THEME)


def use_theme(app: App[Any], name: str) -> None:
    """Puts a theme on; without colours (NO_COLOR) it is always the one that has none."""
    name = MONO_THEME if app.no_color else name
    app.theme = name if name in _load_cached()[0] else DEFAULT_THEME
