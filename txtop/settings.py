"""This user's own defaults, in `settings.toml`: each key checked by itself, the theme written back.

The command line goes before the settings, the settings before what txtop does by itself.
"""

from __future__ import annotations

import errno
import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from txtop.errors import did_you_mean
from txtop.sanitise import sanitise

FPS_RANGE = (0.1, 30.0)
GLYPH_MODES = ("braille", "blocks", "ascii")
HANGUP_ACTIONS = ("continue", "stop")
_MAX_BYTES = 64_000
_THEME_LINE = re.compile(r"^([ \t]*theme[ \t]*=[ \t]*)(\"[^\"]*\"|'[^']*'|[^\s#]+)", re.MULTILINE)
_THEME_OFF = re.compile(r"^[ \t]*#[ \t]*theme[ \t]*=.*\n?", re.MULTILINE)
_TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)


@dataclass(frozen=True)
class Settings:
    """Null where nothing was chosen; `problems` has a line for whatever could not be used."""

    theme: str | None = None
    fps: float | None = None
    glyphs: Literal["braille", "blocks", "ascii"] | None = None
    session_dir: Path | None = None
    on_hangup: Literal["continue", "stop"] | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class SettingSpec:
    """One setting: what it is for, what holds without it, what it may be, and the check of that,
    which returns null for a value that may not be."""

    name: str
    about: str
    default: Any
    valid: str
    checked: Callable[[Any], Any]


def _check_theme(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 80 else None


def _check_fps(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and FPS_RANGE[0] <= value <= FPS_RANGE[1] else None


def _check_one_of(words: tuple[str, ...]) -> Callable[[Any], str | None]:
    return lambda value: value if isinstance(value, str) and value in words else None


def _check_folder(value: Any) -> Path | None:
    if not isinstance(value, str) or "\0" in value or not value.startswith(("/", "~")):
        return None
    try:
        return Path(value).expanduser()
    except RuntimeError:
        return None


SETTING_SPECS = (
    SettingSpec(
        "theme",
        "The colours: txtop-dark, txtop-light, high-contrast, colorblind, mono, gruvbox, nord, or\n"
        "the name of one of your own in the folder themes beside this file. The keys t and T on\n"
        "the screen write it here.",
        "txtop-dark",
        "the name of a theme",
        _check_theme,
    ),
    SettingSpec(
        "fps",
        "Frames a second, 0.1 to 30. By default 4, and 2 over SSH.",
        4,
        f"a number from {FPS_RANGE[0]:g} to {FPS_RANGE[1]:g}",
        _check_fps,
    ),
    SettingSpec(
        "glyphs",
        "What plots are drawn with: braille, blocks or ascii. By default what the terminal can.",
        "braille",
        "braille, blocks or ascii",
        _check_one_of(GLYPH_MODES),
    ),
    SettingSpec(
        "session_dir",
        "Where sessions live: from / or ~ on. TXTOP_SESSION_DIR goes before it.",
        "~/.local/state/txtop/sessions",
        "a folder from / or ~ on",
        _check_folder,
    ),
    SettingSpec(
        "on_hangup",
        "What a run does when its terminal goes: continue or stop. By default it continues, and\n"
        "with --headless it stops.",
        "continue",
        "continue or stop",
        _check_one_of(HANGUP_ACTIONS),
    ),
)


def get_settings_path() -> Path:
    """Where this user's settings live; `XDG_CONFIG_HOME` moves them."""
    from platformdirs import user_config_path

    return user_config_path("txtop") / "settings.toml"


def load_settings(path: Path | None = None) -> Settings:
    """Reads the settings. What is missing, broken or foreign in them leaves the default."""
    path = path or get_settings_path()
    try:
        found = tomllib.loads(_read_text(path))
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        return Settings(problems=(f"{path.name} {_describe_error(error)}: it is left out",))
    values: dict[str, Any] = {}
    problems = []
    known = {key.name: key for key in SETTING_SPECS}
    for name, value in found.items():
        if name not in known:
            hint = did_you_mean(name, known, f"keys: {', '.join(known)}")
            problems.append(f"{path.name}: {sanitise(name, 40)} is no key: {hint}")
            continue
        values[name] = known[name].checked(value)
        if values[name] is None:
            given = sanitise(_format_toml(name, value), 80)
            problems.append(f"{path.name}: {given} is left out: it has to be {known[name].valid}")
    return Settings(**values, problems=tuple(problems))


def _describe_error(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror})"
    if isinstance(error, tomllib.TOMLDecodeError):
        return f"is no TOML ({sanitise(str(error), 120)})"
    return "is no TOML (nested too deep)" if isinstance(error, RecursionError) else "is not UTF-8"


def render_settings(shown: Settings) -> str:
    """The file that makes these settings: every key with what it is for, and those that were not
    chosen as comments."""
    parts = ["# txtop's settings. What a command line says goes before them.\n"]
    for key in SETTING_SPECS:
        about = "".join(f"# {line}\n" for line in key.about.splitlines())
        value = getattr(shown, key.name)
        off = "# " if value is None else ""
        parts.append(
            f"{about}{off}{_format_toml(key.name, key.default if value is None else value)}\n"
        )
    return "\n".join(parts)


def create_settings_file(path: Path | None = None) -> Path | None:
    """Writes a file of settings that chooses nothing yet; null where there is one already.

    Raises `OSError`.
    """
    path = path or get_settings_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(render_settings(Settings()))
    except FileExistsError:
        return None
    return path


def save_theme(name: str, path: Path | None = None) -> bool:
    """Remembers a theme and leaves every other line as it is; False when that could not be done.

    A file that is broken, or in which the place cannot be told, is the user's: it is left alone.
    """
    path = (path or get_settings_path()).resolve()
    try:
        text = _read_text(path) if path.exists() else ""
        changed = _with_theme(text, name)
        if tomllib.loads(changed) != {**tomllib.loads(text), "theme": name}:
            return False
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.write_text(changed, encoding="utf-8", newline="")
        beside.replace(path)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        return False
    return True


def _with_theme(text: str, name: str) -> str:
    """`text` with the theme where one stands, else after its commented line, else first."""
    table = _TABLE.search(text)
    top = text[: table.start()] if table else text
    rest = text[len(top) :]
    line = _format_toml("theme", name)
    if _THEME_LINE.search(top):
        value = line.partition("= ")[2]
        top = _THEME_LINE.sub(lambda found: found[1] + value, top, count=1)
    elif off := _THEME_OFF.search(top):
        end = "" if off[0].endswith("\n") else "\n"
        top = f"{top[: off.end()]}{end}{line}\n{top[off.end() :]}"
    else:
        top = f"{line}\n{top}"
    return top + rest


def _format_toml(name: str, value: Any) -> str:
    """`name = value`, as TOML writes it."""
    import tomli_w

    whole = isinstance(value, float) and value.is_integer()
    plain = str(value) if isinstance(value, Path) else int(value) if whole else value
    return tomli_w.dumps({name: plain}).strip()


def _read_text(path: Path) -> str:
    with path.open("rb") as file:
        raw = file.read(_MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise OSError(errno.EFBIG, f"over {_MAX_BYTES} bytes")
    return raw.decode("utf-8")
