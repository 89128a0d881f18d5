"""What the terminal can do, and what is remembered: decided from the environment and a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from txtop.ui import settings
from txtop.ui.terminal import Capabilities, capabilities

UTF8 = {"TERM": "xterm-256color", "LANG": "C.UTF-8"}


def seen(environ: dict[str, str], stdin: bool = True, stdout: bool = True) -> Capabilities:
    return capabilities(environ, stdin_tty=stdin, stdout_tty=stdout)


@pytest.mark.fault(34)
def test_plain_lines_without_a_terminal() -> None:
    assert seen(UTF8).screen
    assert not seen(UTF8, stdout=False).screen
    assert "input" in seen(UTF8, stdin=False).why
    assert not seen({**UTF8, "TERM": "dumb"}).screen
    assert seen({"LANG": "C.UTF-8"}).why == "TERM is not set"


@pytest.mark.fault(34)
@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LANG": "C"}, "ascii"),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, "ascii"),
        ({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}, "ascii"),
        ({"LANG": "de_DE.ISO-8859-1"}, "ascii"),
        ({"LANG": "ja_JP.UTF-8"}, "ascii"),
        ({"LANG": "en_US.utf8"}, "braille"),
        ({"LANG": "C", "LC_ALL": "en_US.UTF-8"}, "braille"),
        ({}, "braille"),
        ({"LANG": "C.UTF-8", "TERM": "linux"}, "blocks"),
    ],
)
def test_glyphs_follow_the_locale(environ: dict[str, str], expected: str) -> None:
    assert seen({"TERM": "xterm", **environ}).glyphs == expected


@pytest.mark.fault(34)
def test_no_colour_and_remote() -> None:
    assert seen(UTF8).colour and not seen({**UTF8, "NO_COLOR": "1"}).colour
    assert seen(UTF8).fps == 4 and seen({**UTF8, "SSH_CONNECTION": "a 1 b 2"}).fps == 2


def test_a_theme_is_remembered_beside_other_settings(tmp_path: Path) -> None:
    path = tmp_path / "new" / "settings.toml"
    assert settings.load(path) == settings.Settings()
    assert settings.save_theme("nord", path)
    assert settings.load(path).theme == "nord"
    path.write_text('# mine\ntheme = "nord"\nother = 1\n[table]\ntheme = "kept"\n')
    assert settings.save_theme('odd "name"', path)
    assert settings.load(path).theme == 'odd "name"'
    assert path.read_text().startswith("# mine\n") and 'theme = "kept"' in path.read_text()
    assert [p.name for p in path.parent.iterdir()] == ["settings.toml"]


@pytest.mark.parametrize("content", [b"theme = [", b"\xff\xfe", b"[" * 5000, b"a = " + b"[" * 9999])
def test_a_broken_file_of_settings_gives_the_defaults_and_stays(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    found = settings.load(path)
    assert found.theme is None and found.problem
    assert not settings.save_theme("nord", path)
    assert path.read_bytes() == content


def test_a_theme_of_the_wrong_type_is_no_theme(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("theme = 7\n")
    assert settings.load(path) == settings.Settings(problem="invalid")
