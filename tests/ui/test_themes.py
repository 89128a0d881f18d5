"""Themes: those that ship can be read by everybody, and a user's own stand beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.terminal_process import TerminalProcess
from txtop import resources
from txtop.ui.drawing import themes
from txtop.ui.drawing.themes import GROUNDS, Palette

SHIPPED, _ = themes.load_themes(resources.find_directory("themes"))
TEXT_ROLES = ("text", "muted", "accent-a", "accent-b", "ok", "warn", "bad")
HOME = "from txtop.ui.launch import run_home; run_home()"


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """From 1 to 21: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_formula_gives_the_known_figures() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)
    assert contrast("#0000ff", "#ffffff") == pytest.approx(8.592, abs=0.001)


@pytest.mark.parametrize(
    "palette", [p for p in SHIPPED.values() if not p.plain], ids=lambda p: p.name
)
def test_text_and_plots_stand_out_on_both_grounds(palette: Palette) -> None:
    wanted = {**dict.fromkeys(TEXT_ROLES, 4.5), "plot": 3.0}
    ratios = {
        f"{role} on {ground}": round(contrast(palette.colours[role], palette.colours[ground]), 2)
        for role in wanted
        for ground in GROUNDS
    }
    assert not {place: ratio for place, ratio in ratios.items() if ratio < wanted[place.split()[0]]}


def test_the_seven_themes_ship_and_mono_alone_has_no_colours() -> None:
    assert {name for name, palette in SHIPPED.items() if palette.plain} == {"mono"}
    assert set(SHIPPED) == {
        "txtop-dark", "txtop-light", "high-contrast", "colorblind", "mono", "gruvbox", "nord",
    }  # fmt: skip


GOOD = (resources.find_directory("themes") / "txtop-dark.toml").read_text()


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ('ok = "#7fce92"\n', "", "ok is missing"),
        ('ok = "#7fce92"', 'ok = "green"', "ok has to be #rrggbb"),
        ('bg = "#0e1116"', 'bg = "default"', "default both, or neither"),
        ('bg = "#0e1116"', 'bg = "dim"', "bg has to be"),
        ("[colours]", '[colours]\nborders = "#000000"', "borders is not a role"),
        ('name = "txtop-dark"', 'name = "../x"', "`name`"),
        ("dark = true", "dark = 1", "`dark`"),
        ("[colours]", "[colors]", "[colours] is missing"),
        ("[colours]", "[[[", "no TOML"),
    ],
)
def test_a_theme_file_is_checked(before: str, after: str, why: str) -> None:
    assert before in GOOD
    with pytest.raises(themes.ThemeError) as caught:
        themes.parse_theme(GOOD.replace(before, after))
    assert why in str(caught.value)


def own(folder: Path, name: str, text: str) -> None:
    (folder / "txtop" / "themes").mkdir(parents=True, exist_ok=True)
    (folder / "txtop" / "themes" / f"{name}.toml").write_text(text)


def made_of(name: str, accent: str) -> str:
    colours = {**SHIPPED["txtop-dark"].colours, "accent-a": accent}
    lines = [f'{role} = "{colour}"' for role, colour in colours.items()]
    return "\n".join([f'name = "{name}"', "dark = true", "[colours]", *lines])


def test_a_users_theme_goes_before_ours_of_its_name_and_a_bad_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    own(tmp_path, "nord", made_of("nord", "#ff00ff"))
    own(tmp_path, "new", made_of("Mine", "#00ff00"))
    own(tmp_path, "bad", made_of("bad", "pink"))
    loaded, problems = themes.load_themes(
        resources.find_directory("themes"), themes.get_user_folder()
    )
    assert loaded["nord"].colours["accent-a"] == "#ff00ff"
    assert set(loaded) == {*SHIPPED, "Mine"}
    assert problems == ["theme bad.toml: accent-a has to be #rrggbb or default or dim"]


def test_a_users_theme_is_on_the_screen_chosen_by_its_name_and_remembered(tmp_path: Path) -> None:
    own(tmp_path, "new", made_of("Mine", "#ff00ff"))
    own(tmp_path, "bad", made_of("bad", "pink"))
    env = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "NO_COLOR": None}
    with TerminalProcess(HOME, env=env, size=(100, 30)) as process:
        process.wait_for("theme bad.toml: accent-a")
        assert "ff00ff" not in process.colours()
        process.type("T")
        process.wait_for("type to find")
        process.type("mine")
        process.wait_for(lambda: "ff00ff" in process.colours())
        process.type("\r")
        process.wait_for("theme Mine")
        process.type("q")
        process.wait_end()
    assert 'theme = "Mine"' in (tmp_path / "txtop" / "settings.toml").read_text()
