"""What is remembered between two starts: the theme, in `settings.toml`."""

from __future__ import annotations

import json
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

_MAX_BYTES = 64_000
_THEME_LINE = re.compile(r"^[ \t]*theme[ \t]*=.*$", re.MULTILINE)
_TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)


@dataclass(frozen=True)
class Settings:
    """`problem` says in a word what was wrong with the file; the values are then the defaults."""

    theme: str | None = None
    problem: str = ""


def settings_path() -> Path:
    """Where this user's settings live; `XDG_CONFIG_HOME` moves them."""
    from platformdirs import user_config_path

    return user_config_path("txtop") / "settings.toml"


def load(path: Path | None = None) -> Settings:
    """Reads the settings. A file that is missing, broken or foreign gives the defaults."""
    try:
        text = _read(path or settings_path())
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError):
        return Settings(problem="unreadable")
    try:
        theme = tomllib.loads(text).get("theme")
    except (tomllib.TOMLDecodeError, RecursionError):
        return Settings(problem="broken")
    if theme is not None and not (isinstance(theme, str) and 0 < len(theme) <= 80):
        return Settings(problem="invalid")
    return Settings(theme=theme)


def save_theme(name: str, path: Path | None = None) -> bool:
    """Remembers a theme beside whatever else the file holds; False when that could not be done.

    A broken file is the user's: it is left alone.
    """
    path = path or settings_path()
    if load(path).problem in ("broken", "unreadable"):
        return False
    line = f"theme = {json.dumps(name)}"
    try:
        text = _read(path) if path.exists() else ""
        table = _TABLE.search(text)
        top = text[: table.start()] if table else text
        rest = text[len(top) :]
        if _THEME_LINE.search(top):
            top = _THEME_LINE.sub(lambda _: line, top, count=1)
        else:
            top = f"{line}\n{top}"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.write_text(top + rest, encoding="utf-8")
        beside.replace(path)
    except (OSError, UnicodeDecodeError):
        return False
    return True


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_MAX_BYTES).decode("utf-8")
