"""The user's own defaults: read, checked, written back, and overridden by options."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from txtop import settings
from txtop.cli.app import run_command_line
from txtop.plan.plan import Plan
from txtop.session.catalog import get_sessions_dir
from txtop.settings import SETTING_SPECS, AskedLook, Settings
from txtop.ui import launch
from txtop.ui.app import AppOptions
from txtop.ui.drawing import themes
from txtop.ui.modes import LiveMode


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of this test's settings; there are none yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("TXTOP_SESSION_DIR", raising=False)
    (tmp_path / "txtop").mkdir()
    return tmp_path / "txtop" / "settings.toml"


def test_every_key_is_read(file: Path) -> None:
    file.write_text(
        'theme = "nord"\nfps = 2\nglyphs = "ascii"\nsession_dir = "/data/a  b"\n'
        'on_hangup = "stop"\n'
    )
    assert settings.load_settings() == Settings("nord", 2.0, "ascii", Path("/data/a  b"), "stop")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('glyphs = "emoji"', 'glyphs = "emoji" is left out: it has to be braille, blocks or ascii'),
        ("fps = 99", "fps = 99 is left out: it has to be a number from 0.1 to 30"),
        ("fps = true", "fps = true is left out: it has to be a number from 0.1 to 30"),
        ("fps = nan", "fps = nan is left out: it has to be a number from 0.1 to 30"),
        ("fps = " + "9" * 4000, "is left out: it has to be a number from 0.1 to 30"),
        ("fps = " + "[" * 400 + "]" * 400, "is left out: it has to be a number from 0.1 to 30"),
        ('theme = ""', 'theme = "" is left out: it has to be the name of a theme'),
        (f'theme = "{"x" * 81}"', "is left out: it has to be the name of a theme"),
        (
            'session_dir = "~no-such-user/x"',
            'session_dir = "~no-such-user/x" is left out: it has to be a folder from / or',
        ),
        ("theme = 7", "theme = 7 is left out: it has to be the name of a theme"),
        (
            'session_dir = "here"',
            'session_dir = "here" is left out: it has to be a folder from / or',
        ),
        ('on_hangup = ["stop"]', "is left out: it has to be continue or stop"),
        ('them = "nord"', "them is not a key: did you mean theme?"),
        ("x = 1", "x is not a key: keys: theme, fps, glyphs, session_dir, on_hangup"),
    ],
)
def test_a_wrong_value_is_named_and_leaves_its_default_alone(
    file: Path, line: str, message: str
) -> None:
    file.write_text(f"{line}\n" + ("" if line.startswith("fps") else "fps = 3\n"))
    loaded = settings.load_settings()
    (problem,) = loaded.problems
    assert message in problem and problem.startswith("settings.toml: ") and "\n" not in problem
    assert getattr(loaded, line.split()[0], None) is None
    assert line.startswith("fps") or loaded.fps == 3


@pytest.mark.parametrize(
    "content",
    [
        b"theme = [",
        b"\xff\xfe",
        b"[" * 5000,
        b"a = " + b"[" * 9999,
        b"#" * 70_000,
        b"\x1b[2J",
        b"fps = " + b"9" * 5000,
    ],
)
def test_a_broken_file_gives_the_defaults_is_named_and_stays(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    loaded = settings.load_settings()
    (problem,) = loaded.problems
    assert loaded == Settings(problems=(problem,)) and problem.isprintable()
    assert not settings.save_theme("nord")
    assert file.read_bytes() == content


def test_a_broken_file_is_said_once_and_the_command_runs(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    file.write_text("theme = [")
    assert run_command_line(["sessions"]) == 0
    out, err = capsys.readouterr()
    assert "gpt2-precisions" in out and err.count("settings.toml is not valid TOML") == 1


def test_a_theme_is_remembered_and_every_other_line_stays(tmp_path: Path) -> None:
    path = tmp_path / "new" / "settings.toml"
    assert settings.load_settings(path) == Settings()
    assert settings.save_theme("nord", path)
    assert path.read_text() == 'theme = "nord"\n'
    path.write_text('# mine\n  theme = "nord"  # for the night\nfps = 3\n[table]\ntheme = "x"\n')
    assert settings.save_theme("gruvbox", path)
    assert path.read_text() == (
        '# mine\n  theme = "gruvbox"  # for the night\nfps = 3\n[table]\ntheme = "x"\n'
    )
    assert [p.name for p in path.parent.iterdir()] == ["settings.toml"]


def test_a_theme_is_written_under_its_comment(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    assert (
        settings.create_settings_file(path) == path and settings.create_settings_file(path) is None
    )
    before = path.read_text()
    assert settings.save_theme("nord", path)
    assert settings.load_settings(path) == Settings(theme="nord")
    line = '# theme = "txtop-dark"\n'
    assert path.read_text() == before.replace(line, line + 'theme = "nord"\n')


def test_a_link_to_a_file_elsewhere_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    real, link = tmp_path / "dotfiles" / "txtop.toml", tmp_path / "settings.toml"
    real.write_text("fps = 3\n")
    link.symlink_to(real)
    assert settings.save_theme("nord", link)
    assert link.is_symlink() and settings.load_settings(real) == Settings(theme="nord", fps=3.0)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"theme" = "nord"\n', '"theme" = "gruvbox"\n'),
        ("theme = 7 # a number\n", 'theme = "gruvbox" # a number\n'),
        (
            'other = """\ntheme = "x"\n# theme = 1\n"""\n',
            'theme = "gruvbox"\nother = """\ntheme = "x"\n# theme = 1\n"""\n',
        ),
        ("fps=3\r\ntheme='nord'\r\n[a]\r\n", 'fps=3\r\ntheme="gruvbox"\r\n[a]\r\n'),
        ("# theme\nfps = 3\n#theme = 1", '# theme\nfps = 3\n#theme = 1\ntheme = "gruvbox"\n'),
        ("[a]\n# theme = 1\n", 'theme = "gruvbox"\n[a]\n# theme = 1\n'),
    ],
)
def test_the_theme_takes_its_place_and_nothing_else_moves(
    tmp_path: Path, before: str, after: str
) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(before, newline="")
    assert settings.save_theme("gruvbox", path)
    assert path.read_bytes().decode() == after


@pytest.mark.parametrize("content", ["[theme]\nx = 1\n", "theme.x = 1\n", "a = 1\na = 2\n"])
def test_a_file_without_a_place_for_the_theme_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(content)
    assert not settings.save_theme("gruvbox", path)
    assert path.read_text() == content


def test_config_prints_a_file_that_makes_the_same_settings(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text('session_dir = "~/a  b"\nfps = 2.5\ntheme = "nope"\n')
    assert run_command_line(["config"]) == 0
    out, err = capsys.readouterr()
    assert tomllib.loads(out) == {
        "session_dir": str(Path("~/a  b").expanduser()),
        "fps": 2.5,
    }
    assert '# glyphs = "braille"\n' in out and "no theme nope" in err
    for key in SETTING_SPECS:
        assert all(f"# {line}\n" in out for line in key.about.splitlines())


def test_config_names_its_file_and_writes_it_once(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["config", "--path"]) == 0
    assert capsys.readouterr().out == f"{file}\n" and not file.exists()
    assert run_command_line(["config", "--init"]) == 0
    assert settings.load_settings() == Settings() and tomllib.loads(file.read_text()) == {}
    assert run_command_line(["config", "--init"]) == 2
    assert "txtop config prints it" in capsys.readouterr().err


def test_the_file_names_the_themes_that_ship(file: Path) -> None:
    rendered = settings.render_settings(Settings())
    assert all(
        name in rendered
        for name in themes.load_themes(themes.resources.find_directory("themes"))[0]
    )


def test_defaults_that_are_shown_are_valid(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    text = settings.render_settings(Settings())
    for key in SETTING_SPECS:
        text = text.replace(f"\n# {key.name} =", f"\n{key.name} =")
    path.write_text(text)
    read = settings.load_settings(path)
    assert not read.problems and all(getattr(read, key.name) is not None for key in SETTING_SPECS)
    assert {key.name for key in SETTING_SPECS} | {"problems"} == set(Settings.__struct_fields__)


def test_the_environment_goes_before_the_settings(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('session_dir = "/data/mine"\n')
    assert get_sessions_dir() == Path("/data/mine")
    monkeypatch.setenv("TXTOP_SESSION_DIR", "/elsewhere")
    assert get_sessions_dir() == Path("/elsewhere")


def test_what_a_hangup_does_to_an_own_run_alone(file: Path) -> None:
    file.write_text('on_hangup = "stop"\n')
    plan = Plan(cells=())
    assert (
        LiveMode(plan).on_hangup == "stop" and LiveMode(path=file, resumes=True).on_hangup == "stop"
    )
    assert LiveMode(plan, on_hangup="continue").on_hangup == "continue"
    assert LiveMode(path=file).on_hangup == "continue"


def test_the_command_line_goes_before_the_settings(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('theme = "nord"\nfps = 2\nglyphs = "ascii"\nwrong = 1\n')
    made: list[AppOptions] = []

    def drawn(show: object, options: AppOptions) -> None:
        made.append(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "TxtopApp", drawn)
    for look in (AskedLook(), AskedLook(theme="mono", fps=9.0, glyphs="blocks")):
        with pytest.raises(KeyboardInterrupt):
            launch.run_follow(file, look)
    assert [(o.theme, o.fps, o.glyphs) for o in made] == [
        ("nord", 2.0, "ascii"),
        ("mono", 9.0, "blocks"),
    ]
    assert "wrong is not a key" in made[0].problems[0]
