"""The user's own defaults, in `settings.toml`: read key by key; the theme is written back.

The command line goes before the settings, the settings before txtop's own defaults.
"""

from __future__ import annotations

import errno
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from txtop.errors import did_you_mean
from txtop.sanitise import sanitise

FPS_RANGE = (0.1, 30.0)
_MAX_BYTES = 64_000
OnHangup = Literal["continue", "stop"]


class Settings(msgspec.Struct, frozen=True):
    """The settings in force; `None` where nothing was chosen.

    The types are the checks: a value that does not convert is left out, with a line in `problems`.
    """

    theme: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    fps: Annotated[float, Meta(ge=FPS_RANGE[0], le=FPS_RANGE[1])] | None = None
    glyphs: Literal["braille", "blocks", "ascii"] | None = None
    session_dir: Path | None = None
    on_hangup: OnHangup | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AskedLook:
    """The look of the screen as asked for; `None` for what the settings and the terminal decide."""

    theme: str | None = None
    fps: float | None = None
    glyphs: Literal["braille", "blocks", "ascii"] | None = None


AS_SET = AskedLook()


@dataclass(frozen=True)
class SettingSpec:
    """Describe one setting: its purpose, its default, and in words which values it accepts."""

    name: str
    about: str
    default: Any
    valid: str


SETTING_SPECS = (
    SettingSpec(
        "theme",
        "The colours: txtop-dark, txtop-light, high-contrast, colorblind, mono, gruvbox, nord, or\n"
        "the name of one of your own in the folder themes beside this file. The keys t and T on\n"
        "the screen write it here.",
        "txtop-dark",
        "the name of a theme",
    ),
    SettingSpec(
        "fps",
        "Frames per second, 0.1 to 30. By default 4, and 2 over SSH.",
        4,
        f"a number from {FPS_RANGE[0]:g} to {FPS_RANGE[1]:g}",
    ),
    SettingSpec(
        "glyphs",
        "What plots are drawn with: braille, blocks or ascii. By default what the terminal can.",
        "braille",
        "braille, blocks or ascii",
    ),
    SettingSpec(
        "session_dir",
        "Where sessions live: from / or ~ on. TXTOP_SESSION_DIR goes before it.",
        "~/.local/state/txtop/sessions",
        "a folder from / or ~ on",
    ),
    SettingSpec(
        "on_hangup",
        "What a run does when its terminal goes: continue or stop. By default it continues, and\n"
        "with --headless it stops.",
        "continue",
        "continue or stop",
    ),
)


def get_settings_path() -> Path:
    """Return the path of the user's settings; `XDG_CONFIG_HOME` moves it."""
    from platformdirs import user_config_path

    return user_config_path("txtop") / "settings.toml"


def load_settings(path: Path | None = None) -> Settings:
    """Read the settings. Anything missing, broken or unknown leaves its default."""
    path = path or get_settings_path()
    try:
        table = tomllib.loads(_read_text(path))
    except (FileNotFoundError, NotADirectoryError):
        return Settings()
    except (OSError, ValueError, RecursionError) as error:
        return Settings(problems=(f"{path.name} {_describe_error(error)}: it is left out",))
    values: dict[str, Any] = {}
    problems = []
    specs = {key.name: key for key in SETTING_SPECS}
    for name, value in table.items():
        if name not in specs:
            hint = did_you_mean(name, specs, f"keys: {', '.join(specs)}")
            problems.append(f"{path.name}: {sanitise(name, 40)} is not a key: {hint}")
            continue
        try:
            checked = msgspec.convert({name: value}, Settings, dec_hook=_path)
            values[name] = getattr(checked, name)
        except (msgspec.ValidationError, OverflowError):
            given = _as_given(name, value)
            problems.append(f"{path.name}: {given} is left out: it has to be {specs[name].valid}")
    return Settings(**values, problems=tuple(problems))


def _path(_kind: type, value: object) -> Path:
    """Convert the value of a folder's key. Raises `ValueError`."""
    if not isinstance(value, str) or "\0" in value or not value.startswith(("/", "~")):
        raise ValueError("not a folder from / or ~ on")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def _as_given(name: str, value: Any) -> str:
    """Return the line of a value that was refused, inert and cut to 80 characters."""
    try:
        return sanitise(_format_toml(name, value), 80)
    except RecursionError:
        return f"{name} = [[…"


def _describe_error(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror})"
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    deep = isinstance(error, RecursionError)
    return f"is not valid TOML ({'nested too deep' if deep else sanitise(str(error), 120)})"


def render_settings(settings: Settings) -> str:
    """Render the file that makes these settings: every key with its purpose, unset ones as
    comments.
    """
    parts = ["# txtop's settings. What a command line says goes before them.\n"]
    for key in SETTING_SPECS:
        about = "".join(f"# {line}\n" for line in key.about.splitlines())
        value = getattr(settings, key.name)
        off = "# " if value is None else ""
        default = _find_state_dir() if key.name == "session_dir" else key.default
        parts.append(f"{about}{off}{_format_toml(key.name, default if value is None else value)}\n")
    return "\n".join(parts)


def _find_state_dir() -> str:
    """Return where sessions live by default, from ~ on where it is in there."""
    from platformdirs import user_state_path

    path = user_state_path("txtop") / "sessions"
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def create_settings_file(path: Path | None = None) -> Path | None:
    """Write a settings file that sets nothing yet. Return None if there is one already.

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
    """Write a theme into the settings and leave every other line as it is.

    Return False, with the file untouched, where that cannot be done: a broken file is the user's.
    """
    from tomlkit.exceptions import TOMLKitError

    path = (path or get_settings_path()).resolve()
    try:
        text = _read_text(path) if path.exists() else ""
        before = tomllib.loads(text)
        changed = _with_theme(text, name)
        if tomllib.loads(changed) != {**before, "theme": name}:
            return False
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.write_text(changed, encoding="utf-8", newline="")
        beside.replace(path)
    except (OSError, ValueError, RecursionError, TOMLKitError):
        return False
    return True


def _with_theme(text: str, name: str) -> str:
    """Return `text` with the theme in place of the former one, else under its commented line, else
    at the top. Raises `ValueError` where `theme` is a table."""
    import tomlkit
    from tomlkit.items import Comment

    document = tomlkit.parse(text)
    if isinstance(document.get("theme"), Mapping):
        raise ValueError("theme is a table")
    if "theme" in document:
        document["theme"] = name
        return tomlkit.dumps(document)
    body = document.body
    at = 0
    for place, (_, line) in enumerate(body, start=1):
        if isinstance(line, Comment) and _is_theme(line.trivia.comment):
            line.trivia.trail = line.trivia.trail or "\n"
            at = place
            break
    # Only rendered from here on: the document's index of its keys is not kept up.
    body.insert(at, (tomlkit.key("theme"), tomlkit.item(name)))
    return tomlkit.dumps(document)


def _is_theme(comment: str) -> bool:
    """Return True for a theme that is commented out, as `render_settings` writes it."""
    key, equals, _ = comment.lstrip("#").partition("=")
    return bool(equals) and key.strip() == "theme"


def _format_toml(name: str, value: Any) -> str:
    """Return `name = value`, as TOML writes it."""
    import tomlkit

    whole = isinstance(value, float) and value.is_integer()
    plain = str(value) if isinstance(value, Path) else int(value) if whole else value
    return tomlkit.dumps({name: plain}).strip()


def _read_text(path: Path) -> str:
    with path.open("rb") as file:
        raw = file.read(_MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise OSError(errno.EFBIG, f"over {_MAX_BYTES} bytes")
    return raw.decode("utf-8-sig")
